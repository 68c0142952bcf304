"""The part of the exchange that is about models: carried here, understood one floor above.

The app that serves models registers who takes it; `exchange` calls `take` within its transaction,
under the cluster's row lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clusters.models import Cluster


@dataclass(slots=True)
class Served:
    """The reply's entries, and whether they say anything that the agent should hear at once."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    urgent: bool = False


#: Takes the agent's entries; None where the agent is older than serving and says nothing of it.
Taker = Callable[[Cluster, Sequence[Mapping[str, Any]] | None], Served]

_takers: list[Taker] = []


def register_serving(taker: Taker) -> None:
    """Have `taker` answer for models; registering again replaces it."""
    _takers[:] = [taker]


def take(cluster: Cluster, entries: Sequence[Mapping[str, Any]] | None) -> Served:
    return _takers[0](cluster, entries) if _takers else Served()
