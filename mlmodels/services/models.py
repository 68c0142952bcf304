"""What people do to a model as a whole: register, change, delete. Starting and stopping is in
`operation`, versions are in `versions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotFound
from mlmodels import timetable
from mlmodels.models import RegisteredModel
from mlmodels.policy import require_change
from mlmodels.services import events
from mlmodels.services.locking import lock
from mlmodels.services.tending import tend
from mlmodels.states import Desired

EDITABLE = frozenset(
    {
        "description",
        "replicas_wanted",
        "schedule",
        "timeout_s",
        "max_body_mib",
        "max_in_flight",
        "calls_per_minute",
        "stores_bodies",
        "prediction_days",
    }
)
RESERVED_NAMES = frozenset({"new"})  # pages beside those of the models


def register(
    *, name: str, actor: User, clusters: Iterable[Cluster] = (), **settings: Any
) -> RegisteredModel:
    """Make a model without a version, stopped; `settings` are of EDITABLE, `clusters` where its
    replicas may run (none named: wherever there is room). Raises InvalidInput by field.
    """
    require(actor, Can.REGISTER_MODEL)
    model = RegisteredModel(name=name.strip(), created_by=actor)
    if model.name in RESERVED_NAMES:
        raise InvalidInput("is a name that the portal needs itself", field="name")
    _set(model, settings)
    try:
        with transaction.atomic():
            model.save()
            model.clusters.set(clusters)
            events.note(model, "register", actor=actor)
            events.tell(model)
            events.audit(model, "register", actor=actor)
    except IntegrityError:
        raise InvalidInput("There is a model of this name already.", field="name") from None
    return model


@transaction.atomic
def update(
    model: RegisteredModel,
    *,
    actor: User,
    clusters: Iterable[Cluster] | None = None,
    **settings: Any,
) -> RegisteredModel:
    """Change what is given of EDITABLE, and where it may run. Replicas follow. Raises InvalidInput
    by field.
    """
    require_change(actor, model)
    lock(model)
    before = {name: getattr(model, name) for name in settings if name in EDITABLE}
    _set(model, settings)
    changed = {
        name: [value, getattr(model, name)]
        for name, value in before.items()
        if getattr(model, name) != value
    }
    if "schedule" in changed:  # what was due by the old one is not made up for
        model.schedule_seen_at, model.asleep = now(), model.asleep and bool(model.schedule)
    if clusters is not None:
        chosen = sorted(clusters, key=lambda cluster: cluster.pk)
        had = sorted(model.clusters.all(), key=lambda cluster: cluster.pk)
        if chosen != had:
            model.clusters.set(chosen)
            changed["clusters"] = [[c.name for c in had], [c.name for c in chosen]]
    if changed:
        model.save(update_fields=[*before, "schedule_seen_at", "asleep"])
        lines = [f"{name.replace('_', ' ')}: {old} → {new}" for name, (old, new) in changed.items()]
        events.note(model, "change", actor=actor, evidence=lines)
        tend(model)
        events.tell(model)
        events.audit(model, "change", actor=actor, changed=changed)
    return model


@transaction.atomic
def remove(model: RegisteredModel, *, actor: User) -> None:
    """Delete a model: it is seen no more, its replicas end, its name is free again; its timeline
    and what was metered stay. Doing it again is no error.
    """
    require_change(actor, model)
    try:
        lock(model)
    except NotFound:
        return
    name = model.name
    model.desired, model.deleted_at, model.asleep = Desired.STOPPED, now(), False
    model.save(update_fields=["desired", "deleted_at", "asleep"])
    events.note(model, "delete", actor=actor)
    tend(model)
    events.tell(model)
    events.audit(model, "delete", actor=actor)
    model.name = f"{name[:40]}~{model.pk}"
    model.save(update_fields=["name"])


def _set(model: RegisteredModel, settings: dict[str, Any]) -> None:
    unknown = settings.keys() - EDITABLE
    if unknown:
        raise InvalidInput(errors=dict.fromkeys(sorted(unknown), "cannot be set"))
    if "schedule" in settings:
        settings = {**settings, "schedule": timetable.checked(settings["schedule"] or {})}
    for name, value in settings.items():
        setattr(model, name, value.strip() if isinstance(value, str) else value)
    try:
        excluded = ["created_by", "current", "serving", "previous"]
        model.full_clean(exclude=excluded, validate_unique=False)  # a race is told the same way
    except ValidationError as error:
        errors = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise InvalidInput(errors=errors) from None
