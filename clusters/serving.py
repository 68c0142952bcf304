"""The part of the exchange that is about models: carried here, understood one floor above.

The app that serves models registers who takes it; `exchange` calls `take` within its transaction,
under the cluster's row lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from calculations.software.base import Resources
from clusters.models import Cluster


@dataclass(slots=True)
class Served:
    """The reply's entries, and whether they say anything that the agent should hear at once."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    urgent: bool = False


#: Takes the agent's entries; None where the agent is older than serving and says nothing of it.
Taker = Callable[[Cluster, Sequence[Mapping[str, Any]] | None], Served]

#: Says which of these replicas the cluster has or had.
Known = Callable[[Cluster, Iterable[UUID]], set[UUID]]
#: Says what each server of a model takes of each cluster, by its key: cores, memory_mib, gpus and
#: gpu_type.
Held = Callable[[], Mapping[int, Sequence[Mapping[str, Any]]]]

_takers: list[Taker] = []
_knowers: list[Known] = []
_holders: list[Held] = []


def register_serving(taker: Taker, *, known: Known, held: Held) -> None:
    """Have `taker` answer for models, `known` for whose lines are kept, `held` for the room that is
    left to runs; registering again replaces them.
    """
    _takers[:], _knowers[:], _holders[:] = [taker], [known], [held]


def take(cluster: Cluster, entries: Sequence[Mapping[str, Any]] | None) -> Served:
    return _takers[0](cluster, entries) if _takers else Served()


def known(cluster: Cluster, replicas: Iterable[UUID]) -> set[UUID]:
    return _knowers[0](cluster, replicas) if _knowers else set()


def held() -> dict[int, list[Resources]]:
    found = _holders[0]() if _holders else {}
    return {key: [Resources(**amounts) for amounts in taken] for key, taken in found.items()}
