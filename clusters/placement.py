"""Which queued run goes to which cluster: by priority, then by age, as far as slots are free.

Called by the Celery task `place`. It locks, hands out leases, and wakes the agents on commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet

from calculations.models import Run
from calculations.services.execution import assign
from calculations.states import LEASED_RUNS, RunState
from clusters.calling import call
from clusters.leases import lease_from
from clusters.models import Cluster
from labportal.common.clock import now

PLACEMENT_LOCK = 0x4C_50_01  # an arbitrary number, the same in every process
AHEAD_S = 1.0  # hand out ahead of free slots what is done within this time ...
MAX_AHEAD = 64  # ... and never more runs than this


@transaction.atomic
def place() -> int:
    """Hand out as many queued runs as fit; return how many. Two callers take turns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLACEMENT_LOCK])
    if not Run.objects.filter(state=RunState.QUEUED).exists():
        return 0
    pairs: list[tuple[Run, Cluster]] = []
    taken: set[object] = set()
    for cluster, room in _rooms():
        for run in _candidates(cluster, taken)[:room]:
            taken.add(run.pk)
            pairs.append((run, cluster))
    if pairs:
        assign(pairs, expires_at=lease_from(now()))
        called = {cluster.pk for _, cluster in pairs}
        # Afterwards: an exchange holds its cluster's row while it waits for runs, as we hold runs.
        transaction.on_commit(lambda: call(called), robust=True)
    return len(pairs)


def _rooms() -> list[tuple[Cluster, int]]:
    """Return the clusters that take work, most room first, and how many runs each takes."""
    leased = dict(
        Run.objects.filter(state__in=LEASED_RUNS)
        .order_by()
        .values_list("cluster")
        .annotate(count=Count("pk"))
    )
    moment = now()
    rooms = [
        (cluster, room_of(cluster, leased.get(cluster.pk, 0)))
        for cluster in Cluster.objects.filter(enabled=True)
        if cluster.takes_work(moment)
    ]
    return sorted((r for r in rooms if r[1] > 0), key=lambda r: -r[1])


def room_of(cluster: Cluster, leased: int) -> int:
    """Free slots, and for very short runs a few more, so that a slot never waits for the next
    exchange.
    """
    slots = cluster.slots_total
    if slots == 0:
        return 0
    if cluster.on_trial:
        return 1 - leased
    ahead = int(slots * AHEAD_S / max(cluster.mean_run_s, 0.001))
    return slots + min(MAX_AHEAD, ahead) - leased


def _candidates(cluster: Cluster, taken: set[object]) -> QuerySet[Run]:
    """Queued runs that may go to the cluster. A run of a chain stays where its files are."""
    return (
        _eligible(cluster)
        .exclude(pk__in=taken)
        .select_related("calculation")
        .order_by("-priority", "queued_at", "index")
        .select_for_update(of=("self",), skip_locked=True, no_key=True)
    )


def _eligible(cluster: Cluster) -> QuerySet[Run]:
    offered: Sequence[str] = [name for name in cluster.software if cluster.offers(name)]
    return Run.objects.filter(
        Q(calculation__cluster=cluster) | Q(calculation__cluster=None),
        Q(predecessor=None) | Q(predecessor__cluster=cluster),
        state=RunState.QUEUED,
        calculation__software__in=offered,
    )
