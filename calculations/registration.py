"""What calculations announce to the shared rooms at start: topics, listeners. Called by the
AppConfig alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from kombu.exceptions import OperationalError

from calculations import signals, subjects
from calculations.models import Calculation
from calculations.services.results import across_runs
from labportal.accounts.models import User
from labportal.realtime.topics import register_topic

log = logging.getLogger(__name__)


def register() -> None:
    register_topic("calculation", _may_hear_calculation)
    subjects.register()
    signals.settled.connect(_follow_up, dispatch_uid="calculations.follow_up")
    signals.time_ending.connect(_warn, dispatch_uid="calculations.warn_of_walltime")


def _may_hear_calculation(user: User, key: str) -> bool:
    return key.isdecimal() and Calculation.objects.visible_to(user).filter(pk=key).exists()


def _follow_up(calculations: Sequence[Calculation], **_: Any) -> None:
    from calculations.tasks import follow_up

    analyse_ids = [c.pk for c in calculations if across_runs(c)]
    ended_ids = [c.pk for c in calculations if c.is_terminal]
    if not analyse_ids and not ended_ids:
        return
    try:
        follow_up.delay(analyse_ids, ended_ids)
    except OperationalError as error:
        log.warning("the broker does not answer; the beat announces %s: %s", ended_ids, error)


def _warn(run_ids: Sequence[Any], **_: Any) -> None:
    from calculations.tasks import warn_of_walltime

    try:
        warn_of_walltime.delay([str(pk) for pk in run_ids])
    except OperationalError as error:
        log.warning("the broker does not answer; the page alone tells of the end: %s", error)
