"""How long things are kept: raw files on clusters, log lines, metrics.

Raw files go only once what was extracted from them is stored and verified: by the rule of their
project, or earlier by hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import DurationField, Exists, ExpressionWrapper, F, OuterRef, QuerySet, Value
from django.db.models.functions import Coalesce

from calculations.models import Attempt, Calculation, Event, LabSettings, Run
from calculations.policy import may_purge
from calculations.services import integrity
from calculations.services.following import lock_calculations
from calculations.services.sweeps import carry_of
from calculations.software.registry import get_software
from calculations.states import TERMINAL, TERMINAL_RUNS, CalculationState
from clusters import summaries
from clusters.calling import call
from clusters.models import Cluster, LogLine, Purge
from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import NotAllowed, WrongMoment
from labportal.notifications.services import Level, notify

BATCH = 200
PENDING = Exists(Purge.objects.filter(run=OuterRef("pk"), done_at=None))


def with_raw_files() -> QuerySet[Run]:
    """Runs of ended calculations whose raw files are still on a cluster, with `due_at`: when their
    project's rule lets them go.
    """
    days = Coalesce(
        F("calculation__project__retention_days"), Value(LabSettings.current().retention_days)
    )
    kept_for = ExpressionWrapper(days * Value(timedelta(days=1)), output_field=DurationField())
    return Run.objects.filter(
        calculation__state__in=TERMINAL,
        calculation__finished_at__isnull=False,
        cluster__isnull=False,
        attempt__gt=0,
        purged_at=None,
    ).annotate(due_at=F("calculation__finished_at") + kept_for)


def schedule_purges() -> int:
    """Order the deletion of raw files whose time is over; return for how many runs.

    A run whose stored results are not what its cluster found keeps its files, with the reason, and
    the admins are told. A calculation with `keep_files` keeps them for good.
    """
    due = with_raw_files().filter(~PENDING, due_at__lt=now(), calculation__keep_files=False)
    ordered, last = 0, UUID(int=0)
    while batch := list(due.filter(pk__gt=last).order_by("pk")[:BATCH]):
        last = batch[-1].pk
        with transaction.atomic():
            ordered += _order(batch, by_hand=None)
    return ordered


@transaction.atomic
def purge_now(calculation: Calculation, *, actor: User) -> int:
    """Order the deletion of its raw files before their time; return for how many runs.

    Results that were stored before there were checksums do not stand in the way of a person who
    knows what they do; results that differ do.
    """
    if not may_purge(actor, calculation):
        raise NotAllowed("Only the author, moderators and admins have raw files deleted.")
    row = lock_calculations([calculation.pk])[calculation.pk]
    if row.state not in TERMINAL:
        raise WrongMoment(f"{row.number} has not ended: its runs still need their files.")
    if row.keep_files:
        raise WrongMoment(f"The files of {row.number} are to be kept; let them go first.")
    runs = list(with_raw_files().filter(~PENDING, calculation=row).order_by("pk"))
    if not runs:
        raise WrongMoment(f"{row.number} has no raw files on a cluster that could be deleted.")
    ordered = _order(runs, by_hand=actor)
    if not ordered:
        held = Run.objects.filter(calculation=row).exclude(purge_held="").first()
        why = held.purge_held if held else "somebody else was faster"
        raise WrongMoment(f"Nothing is deleted: {why}.")
    record(actor, "calculation.purge", target=row.number, detail={"runs": ordered})
    Event.objects.create(
        calculation=row,
        verb="order_purge",
        source=row.state,
        target=row.state,
        actor=actor,
        actor_label=actor.display_name,
        note=f"raw files of {ordered} runs" if ordered > 1 else "",
    )
    return ordered


def _order(runs: Sequence[Run], *, by_hand: User | None) -> int:
    """Verify, then order; the calculations are locked so that none is queued again meanwhile."""
    rows = lock_calculations({run.calculation_id for run in runs})
    found = integrity.problems(runs)
    if by_hand is not None:
        found = {pk: problem for pk, problem in found.items() if problem.differs}
    free = []
    for run in runs:
        run.calculation = rows[run.calculation_id]
        ended = run.calculation.state in TERMINAL and not run.calculation.keep_files
        if ended and run.pk not in found:
            free.append(run)
    _hold(runs, found)
    clusters = _clusters_of(free)
    orders = Purge.objects.bulk_create(
        (
            Purge(
                run=run,
                cluster_id=cluster_id,
                attempt=run.attempt,
                keep=_keep(run),
                wanted_by=by_hand,
            )
            for run in free
            for cluster_id in clusters[run.pk]
        ),
        ignore_conflicts=True,
    )
    counts = Counter(order.cluster_id for order in orders)
    # Afterwards: an exchange holds its cluster's row while it waits for calculations, as we do.
    transaction.on_commit(lambda: _call(counts), robust=True)
    return len(free)


def _call(counts: Mapping[int, int]) -> None:
    """The number is made exact by the cluster's next exchange."""
    for cluster_id, count in counts.items():
        Cluster.objects.filter(pk=cluster_id).update(purges_pending=F("purges_pending") + count)
    call(set(counts))


def _clusters_of(runs: Sequence[Run]) -> dict[object, set[int]]:
    """Where attempts of the runs may have left files: not the last one's cluster alone."""
    clusters = {run.pk: {run.cluster_id} for run in runs}
    earlier = Attempt.objects.filter(run__in=runs, cluster__isnull=False).order_by()
    for run_id, cluster_id in earlier.values_list("run_id", "cluster_id").distinct():
        clusters[run_id].add(cluster_id)
    return clusters


def _hold(runs: Sequence[Run], found: dict[object, integrity.Problem]) -> None:
    """Write down why files stay, where that is new, and tell the admins once."""
    changed = []
    for run in runs:
        words = found[run.pk].words if run.pk in found else ""
        if run.purge_held != words:
            run.purge_held = words
            changed.append(run)
    Run.objects.bulk_update(changed, ["purge_held"])
    _tell_admins(run for run in changed if run.pk in found and found[run.pk].differs)


def _tell_admins(runs: Iterable[Run]) -> None:
    by_calculation: dict[int, Run] = {}
    for run in runs:
        by_calculation.setdefault(run.calculation_id, run)
    admins = list(User.objects.filter(role=Role.ADMIN, is_active=True)) if by_calculation else []
    for run in by_calculation.values():
        notify(
            admins,
            level=Level.ERROR,
            subject=f"{run}: its raw files are not deleted",
            body=f"Their time is over, but {run.purge_held}. Nothing is deleted until they agree.",
            url=run.calculation.get_absolute_url(),
            key=f"purge-held:{run.pk}:{run.attempt}",
        )


def _keep(run: Run) -> list[str]:
    """A run that could still be continued from keeps what its successor would take, by the sweep's
    own patterns, and what another attempt may start from.
    """
    if run.calculation.state == CalculationState.VALID:
        return []
    restarts = get_software(run.calculation.software).carry
    return list(dict.fromkeys([*restarts, *carry_of(run.calculation)]))


def withdraw(calculation: Calculation, **_: object) -> None:
    """Take back what no cluster has told to be done; one that was faster tells it all the same."""
    Purge.objects.filter(run__calculation=calculation, done_at=None).delete()


def pending(cluster: Cluster, most: int) -> list[Purge]:
    """What the cluster is to delete now; orders that a newer attempt made void are dropped."""
    orders = Purge.objects.filter(cluster=cluster, done_at=None)
    void = orders.exclude(run__state__in=TERMINAL_RUNS) | orders.filter(
        run__attempt__gt=F("attempt"), attempt__gt=0
    )
    void.delete()
    return list(orders.order_by("pk")[:most])


def forget_old() -> int:
    """Delete metrics and log lines beyond their time; return how many rows."""
    before = now() - timedelta(days=LabSettings.current().log_retention_days)
    lines, _ = LogLine.objects.filter(at__lt=before).delete()
    return summaries.forget() + lines
