"""Celery tasks of calculations: each loads by id, calls one service, and may run twice without
harm.
"""

from __future__ import annotations

from collections.abc import Sequence

from celery import shared_task
from django.db import OperationalError

from calculations.models import Calculation
from calculations.services import (
    announcements,
    drafts,
    export_making,
    exports,
    reanalysis,
    results,
    standing,
    walltime,
)
from labportal.accounts.models import User
from labportal.common.errors import Unavailable

LONGEST_EXPORT_S = 3000


@shared_task(autoretry_for=(OperationalError,), retry_backoff=True, max_retries=5)
def follow_up(analyse_ids: Sequence[int], ended_ids: Sequence[int]) -> None:
    """After runs ended: compute what looks at all runs, check what is valid, then tell who wants to
    know of what has ended.
    """
    for calculation_id in analyse_ids:
        results.analyse(calculation_id)
    standing.check(ended_ids)
    announcements.announce(ended_ids)


@shared_task(autoretry_for=(OperationalError,), retry_backoff=True, max_retries=5)
def warn_of_walltime(run_ids: Sequence[str]) -> None:
    """Tell that the time of runs is nearly over."""
    walltime.warn(run_ids)


@shared_task(autoretry_for=(OperationalError,), retry_backoff=True, max_retries=5)
def reanalyse(calculation_id: int, names: Sequence[str], actor_id: int) -> None:
    """Compute analyses from stored results."""
    calculation = Calculation.objects.get(pk=calculation_id)
    reanalysis.reanalyse(calculation, names, actor=User.objects.get(pk=actor_id))


@shared_task
def sweep_unannounced() -> None:
    """Announce what was left out while the broker was away."""
    ids = announcements.unannounced()
    if ids:
        follow_up(results.with_analyses_across_runs(ids), ids)


@shared_task(
    autoretry_for=(OperationalError, Unavailable),
    retry_backoff=True,
    max_retries=5,
    soft_time_limit=LONGEST_EXPORT_S,
    time_limit=LONGEST_EXPORT_S + 60,
)
def make_export(export_id: str) -> None:
    """Make the file of an export."""
    export_making.make(export_id)


@shared_task
def empty_bin() -> None:
    """Delete for good the drafts that were deleted long ago."""
    drafts.empty_bin()


@shared_task
def tend_exports() -> None:
    """Take up the exports that nobody makes, and let go of those that have expired."""
    export_making.tend()
    exports.forget_old()
