"""Puts models to sleep and wakes them by their schedules. The beat calls `keep_schedules`; each
edge is acted on once, also where the portal was away when it came.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from mlmodels.models import RegisteredModel
from mlmodels.services.locking import for_change
from mlmodels.services.operation import set_desired
from mlmodels.states import Desired
from mlmodels.timetable import Timetable

log = logging.getLogger(__name__)

ACTOR = "schedule"


def keep_schedules() -> int:
    """Return how many models were stopped or started."""
    moment, changed = now(), 0
    models = RegisteredModel.objects.filter(deleted_at=None).exclude(schedule={})
    for model_id in list(models.order_by("pk").values_list("pk", flat=True)):
        with transaction.atomic():
            model = for_change().filter(pk=model_id, deleted_at=None).first()
            changed += model is not None and _keep(model, moment)
    return changed


def _keep(model: RegisteredModel, moment: datetime) -> bool:
    """A person's word holds until the next edge; only what was put to sleep is woken."""
    try:
        timetable = Timetable.read(model.schedule)
    except InvalidInput as error:
        log.warning("the schedule of %s cannot be read: %s", model.name, error)
        return False
    if timetable is None:
        return False
    edge = timetable.last(moment)
    if edge.at <= model.schedule_seen_at:
        return False
    model.schedule_seen_at = moment
    model.save(update_fields=["schedule_seen_at"])
    if edge.starts and model.asleep:
        return set_desired(model, Desired.RUNNING, actor=ACTOR)
    if not edge.starts and model.desired == Desired.RUNNING:
        until = timetable.next(moment, starts=True).astimezone(timetable.zone)
        words = f"until {until:%A %H:%M} ({timetable.zone.key})"
        return set_desired(model, Desired.STOPPED, actor=ACTOR, note=words, asleep=True)
    return False
