"""Before the time of runs is over: their author is told once, with what can be done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from calculations.models import Calculation, Run
from calculations.services.announcements import interested_in
from calculations.states import RunState
from labportal.common.clock import now
from labportal.common.templatetags.labportal import duration
from labportal.notifications.services import Level, notify

MOST_NAMED = 5
REMEDY = (
    "Nothing is lost by that: its files stay. Should it need more, duplicate it with a longer time "
    "limit, or ask the cluster's operators to let the job run on."
)


def warn(run_ids: Iterable[Any]) -> None:
    """Tell of runs that are about to be ended, once for all runs of a calculation that are at the
    same attempt; twice is the same as once.
    """
    rows = Run.objects.filter(
        pk__in=list(run_ids), state=RunState.RUNNING, walltime_ends_at__isnull=False
    )
    found: dict[Calculation, list[Run]] = {}
    for run in rows.select_related("calculation__created_by", "cluster").order_by("index"):
        found.setdefault(run.calculation, []).append(run)
    for calculation, runs in found.items():
        people = interested_in(calculation, Level.ERROR)
        if people:
            notify(
                people,
                level=Level.ERROR,
                subject=f"{calculation.number} {calculation.name}: its time is nearly over",
                body=f"{words(runs)} {REMEDY}",
                url=calculation.get_absolute_url(),
                key=f"walltime:{calculation.pk}:{max(run.attempt for run in runs)}",
            )


def words(runs: Sequence[Run]) -> str:
    """Say which runs end when, and where; expects their calculation and clusters to be loaded."""
    first = min(runs, key=lambda run: run.walltime_ends_at)
    left = max(0.0, (first.walltime_ends_at - now()).total_seconds())
    numbers = ", ".join(str(run.index + 1) for run in runs[:MOST_NAMED])
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    limit = duration(first.calculation.walltime_s)
    what = f"run {numbers}{more}" if first.calculation.run_count > 1 else "the run"
    job = f", job {first.scheduler_id}" if first.scheduler_id and len(runs) == 1 else ""
    where = f" on {first.cluster.name}{job}" if first.cluster else ""
    has = "have" if len(runs) > 1 else "has"
    text = f"{what} {has} {duration(round(left))} left of {limit}{where}, and will be ended then."
    return text[:1].upper() + text[1:]


def ending_soon(calculation: Calculation) -> list[Run]:
    """The runs of a calculation whose time is nearly over, by what their agents have said."""
    rows = calculation.runs.filter(state=RunState.RUNNING, walltime_ends_at__isnull=False)
    return list(rows.select_related("calculation", "cluster").order_by("index"))
