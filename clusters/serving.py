"""The part of the exchange that is about models: carried here, understood one floor above.

The app that serves models registers who takes it; `exchange` calls `take` within its transaction,
under the cluster's row lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

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

_takers: list[Taker] = []
_knowers: list[Known] = []


def register_serving(taker: Taker, *, known: Known) -> None:
    """Have `taker` answer for models, and `known` for whose lines are kept; registering again
    replaces them.
    """
    _takers[:], _knowers[:] = [taker], [known]


def take(cluster: Cluster, entries: Sequence[Mapping[str, Any]] | None) -> Served:
    return _takers[0](cluster, entries) if _takers else Served()


def known(cluster: Cluster, replicas: Iterable[UUID]) -> set[UUID]:
    return _knowers[0](cluster, replicas) if _knowers else set()
