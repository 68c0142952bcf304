"""Leases that ran out: the agent was not heard in time, and its runs go back to the queue."""

from __future__ import annotations

from django.db import transaction

from calculations.models import Run
from calculations.services.execution import lose
from calculations.states import LEASED_RUNS
from clusters.models import Cluster
from labportal.common.clock import now


def expire_leases() -> int:
    """Return how many leases ended. Each cluster in its own transaction, under the lock that
    exchanges take.
    """
    late = Run.objects.filter(state__in=LEASED_RUNS, lease_expires_at__lt=now())
    ended = 0
    for cluster_id in set(late.order_by().values_list("cluster", flat=True)):
        with transaction.atomic():
            cluster = Cluster.objects.select_for_update(no_key=True).get(pk=cluster_id)
            runs = list(late.filter(cluster=cluster).order_by("calculation_id", "index"))
            heard = cluster.last_exchange_at
            since = f" since {heard:%Y-%m-%d %H:%M:%S} UTC" if heard else ""
            why = f"{cluster.name} was not heard{since}; its lease ran out"
            lose([(run, why) for run in runs], actor="lease watch")
            ended += len(runs)
    return ended
