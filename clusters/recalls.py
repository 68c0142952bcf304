"""What a cluster that is closed to new work gives back: runs that were handed out and have not
begun, told of or not. Called by the exchange, under the cluster's row lock.

What waits in a batch scheduler's queue has begun: it has a number there.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from calculations.models import Run
from calculations.services import execution
from calculations.states import RunState
from clusters.agent.protocol import AgentState
from clusters.models import Cluster

Told = Mapping[UUID, Mapping[str, Any]]  # the agent's entries by run


def concerned(cluster: Cluster, told: Told) -> set[int]:
    """Return the calculations that `take_back` wants to be locked."""
    if not cluster.closed:
        return set()
    return set(_unbegun(cluster, told).values_list("calculation_id", flat=True))


def take_back(cluster: Cluster, told: Told, *, locked: Set[int]) -> tuple[list[Run], str]:
    """Queue again what has not begun, and return it with the reason; what belongs to calculations
    that are not locked is left for the next exchange.
    """
    if not cluster.closed or not locked:
        return [], ""
    unbegun = _unbegun(cluster, told).filter(calculation__in=locked)
    runs = list(unbegun.select_related("calculation"))
    why = f"{cluster.name} {cluster.closed}"
    execution.recall(runs, why=why, actor=f"agent {cluster.name}")
    return runs, why


def _unbegun(cluster: Cluster, told: Told) -> QuerySet[Run]:
    begun = [pk for pk, entry in told.items() if not _waits_inside(entry)]
    held = Run.objects.filter(cluster=cluster, state=RunState.ASSIGNED, cancel_reason="")
    return held.exclude(pk__in=begun)


def _waits_inside(entry: Mapping[str, Any]) -> bool:
    """Whether the agent has it and has not started it."""
    return entry.get("state") == AgentState.PREPARING and not entry.get("scheduler_id")
