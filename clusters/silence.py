"""Notices that a cluster fell silent: pages and admins are told. Called by the lease watch."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q

from calculations.models import Run
from calculations.states import LEASED_RUNS
from clusters.leases import LEASE
from clusters.models import SILENT_AFTER, Cluster
from labportal.accounts.models import User
from labportal.accounts.roles import Role
from labportal.common.clock import now
from labportal.notifications.services import Level, notify
from labportal.realtime.events import publish

NOTICED_WITHIN = timedelta(minutes=2)


def announce_silence() -> int:
    """Tell of each silence once, however often called; return how many are new."""
    moment = now()
    held = Run.objects.filter(cluster=OuterRef("pk"), state__in=LEASED_RUNS)
    fresh = Cluster.objects.filter(
        Q(draining=False) | Exists(held),  # one that was emptied may be switched off
        enabled=True,
        last_exchange_at__lt=moment - SILENT_AFTER,
        last_exchange_at__gt=moment - SILENT_AFTER - NOTICED_WITHIN,
    )
    new = 0
    admins = None
    for cluster in fresh:
        if admins is None:
            admins = list(User.objects.filter(role=Role.ADMIN, is_active=True))
        told = notify(
            admins,
            level=Level.ERROR,
            subject=f"Cluster {cluster.name} is silent",
            body=(
                f"Its agent on {cluster.agent_host or 'an unknown host'} was last heard at "
                f"{cluster.last_exchange_at:%Y-%m-%d %H:%M:%S} UTC. Its runs go back to the queue "
                f"after {LEASE.total_seconds() / 60:g} minutes."
            ),
            url=cluster.get_absolute_url(),
            key=f"silent:{cluster.pk}:{cluster.last_exchange_at:%Y%m%dT%H%M%S.%f}",
        )
        publish(f"cluster:{cluster.pk}", "cluster.changed", {"id": cluster.pk})
        new += bool(told)
    return new
