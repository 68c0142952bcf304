"""How long leases last and when they are renewed; those that ran out go back to the queue.

Placement and the exchange read the numbers, the lease watch calls `expire_leases`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from calculations.models import Run
from calculations.services.execution import lose
from calculations.states import LEASED_RUNS
from clusters.agent.protocol import DEFAULT_SETTINGS
from clusters.models import Cluster
from labportal.common.clock import now

LEASE = timedelta(seconds=settings.LEASE_S)
RENEW_BELOW = 0.9 * LEASE  # renewed once less than this is left, not by each exchange


def lease_from(moment: datetime) -> datetime:
    return moment + LEASE


def agent_settings() -> Mapping[str, int]:
    """What agents are told: they speak ten times within a lease, at least every 30 s."""
    often = max(1, min(DEFAULT_SETTINGS["exchange_s"], settings.LEASE_S // 10))
    return {**DEFAULT_SETTINGS, "exchange_s": often}


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
