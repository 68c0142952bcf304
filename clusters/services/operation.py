"""What admins do while clusters work: drain, disable, enable, let work in again, update agents.

Nothing here waits for an agent; what it should hear, its next exchange says. Each verb may be done
twice, and each but the update is undone by `enable` or `release`.
"""

from __future__ import annotations

from django.db import transaction

from clusters import updates
from clusters.agent import __version__ as PORTALS_VERSION
from clusters.calling import call
from clusters.models import Cluster
from clusters.services.clusters import ask_for_placement, check, tell
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import WrongMoment


@transaction.atomic
def drain(cluster: Cluster, *, note: str = "", actor: User) -> None:
    """Hand out nothing more for a while: what runs there ends, what has not begun is taken back.

    People may go on choosing it; what they submit waits. Doing it again changes the note.
    """
    require(actor, Can.MANAGE_CLUSTERS)
    if not cluster.enabled:
        raise WrongMoment(f"{cluster.name} is disabled: it takes no work already.")
    cluster.draining, cluster.maintenance_note = True, note.strip()
    check(cluster)
    cluster.save(update_fields=["draining", "maintenance_note"])
    record(actor, "cluster.drain", target=cluster.name, detail={"note": cluster.maintenance_note})
    _call(cluster)


@transaction.atomic
def disable(cluster: Cluster, *, note: str = "", actor: User) -> None:
    """As draining, and nobody can choose it any more. Doing it again changes the note."""
    require(actor, Can.MANAGE_CLUSTERS)
    cluster.enabled, cluster.draining, cluster.maintenance_note = False, False, note.strip()
    check(cluster)
    cluster.save(update_fields=["enabled", "draining", "maintenance_note"])
    record(actor, "cluster.disable", target=cluster.name, detail={"note": cluster.maintenance_note})
    _call(cluster)


@transaction.atomic
def enable(cluster: Cluster, *, actor: User) -> None:
    """Hand out work again, after `disable` or `drain`. Enabling twice is no error."""
    require(actor, Can.MANAGE_CLUSTERS)
    closed = Cluster.objects.filter(pk=cluster.pk).exclude(enabled=True, draining=False)
    if not closed.update(enabled=True, draining=False, maintenance_note=""):
        return
    cluster.enabled, cluster.draining, cluster.maintenance_note = True, False, ""
    record(actor, "cluster.enable", target=cluster.name)
    _call(cluster)
    ask_for_placement()


@transaction.atomic
def release(cluster: Cluster, *, actor: User) -> None:
    """Let work in again after the circuit breaker held it: one run goes first, on trial."""
    require(actor, Can.MANAGE_CLUSTERS)
    if not Cluster.objects.filter(pk=cluster.pk, held_at__isnull=False).update(
        held_at=None, held_reason=""
    ):
        return
    reason, cluster.held_at, cluster.held_reason = cluster.held_reason, None, ""
    record(actor, "cluster.release", target=cluster.name, detail={"was_held": reason})
    _call(cluster)
    ask_for_placement()


@transaction.atomic
def update_agent(cluster: Cluster, *, may_go_back: bool = False, actor: User) -> None:
    """Have the agent change itself to the portal's version; programs go on running.

    Raises WrongMoment where there is nothing to change, or no agent that could do it by itself.
    """
    require(actor, Can.MANAGE_CLUSTERS)
    if cluster.last_exchange_at is None:
        raise WrongMoment(f"The agent of {cluster.name} was never heard: install it first.")
    if cluster.carrier == Cluster.Carrier.QUEUE:
        raise WrongMoment(
            f"A node is updated where it stands: install it anew as {cluster.name}'s page shows, "
            "and restart its service."
        )
    if cluster.carrier != Cluster.Carrier.HTTPS:
        raise WrongMoment(
            f"{cluster.name} is reached by another carrier, which brings the agent with it."
        )
    if updates.is_current(cluster):
        raise WrongMoment(f"The agent of {cluster.name} is of version {PORTALS_VERSION} already.")
    if updates.goes_back(cluster) and not may_go_back:
        raise WrongMoment(
            f"The agent of {cluster.name} is of version {cluster.agent_version}, newer than the "
            f"portal's {PORTALS_VERSION}. Ask for the older one expressly.",
            code="older",
        )
    cluster.update_wanted, cluster.update_wanted_at = PORTALS_VERSION, now()
    cluster.update_may_go_back = may_go_back
    names = ["update_wanted", "update_wanted_at", "update_may_go_back"]
    cluster.save(update_fields=names)
    detail = {"from": cluster.agent_version, "to": PORTALS_VERSION}
    record(actor, "cluster.update_agent", target=cluster.name, detail=detail)
    _call(cluster)


def _call(cluster: Cluster) -> None:
    call({cluster.pk})
    tell(cluster)
