"""Which clusters may ever take a run, and in which words none can. Called by placement; the
numbers are told by abilities.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from calculations.software.base import Software
from calculations.software.registry import UnknownSoftware, all_software, get_software
from clusters.abilities import plural
from clusters.models import Cluster
from clusters.queueing import Wanted
from clusters.ranking import Shape, seats_of
from clusters.rooms import Room

NAMED = 2  # clusters that a sentence names

Parameters = Callable[[int], Mapping[str, Any]]


def looking() -> frozenset[str]:
    """The programs that look at the parameters to say which versions can."""
    return frozenset(
        name
        for name, software in all_software().items()
        if type(software).unsupported is not Software.unsupported
    )


class Shapes:
    """Makes the shapes of one round. `rooms` holds the clusters that take work now."""

    def __init__(
        self,
        clusters: Sequence[Cluster],
        rooms: Mapping[int, Room],
        seats: Mapping[str, int],
        parameters: Parameters,
        now: datetime,
    ) -> None:
        self._clusters = {cluster.pk: cluster for cluster in clusters}
        self._rooms, self._seats, self._now = rooms, seats, now
        self._parameters = parameters

    def shape_of(self, wanted: Wanted) -> Shape:
        only = wanted.follows or wanted.fixed
        asked = [self._clusters[only]] if only else list(self._clusters.values())
        cannot = {cluster.pk: self._why_cannot(cluster, wanted) for cluster in asked}
        able = [
            (self._rooms[c.pk], self._rooms[c.pk].price(wanted.need))
            for c in asked
            if not cannot[c.pk] and c.pk in self._rooms
        ]
        able.sort(key=lambda one: one[1])
        shape = Shape(wanted.need, tuple(able), seats=seats_of(wanted.need, self._seats))
        for name, count in shape.seats:
            if count > self._seats[name]:
                shape.able = ()
                seats = f"{self._seats[name]} {plural('seat', self._seats[name])}"
                shape.never = f"The lab has {seats} of licence {name}; {count} are asked for."
        if not shape.able and not shape.never:
            shape.never = self._words(wanted, asked, cannot, only is not None)
        return shape

    def _why_cannot(self, cluster: Cluster, wanted: Wanted) -> str:
        """Why the cluster cannot run it, whether or not it takes work now."""
        if cluster.last_exchange_at is None:
            return "was never heard"
        if not cluster.offers(wanted.software):
            return f"has no {label_of(wanted.software)} now"
        if wanted.calculation is not None:
            version = str(cluster.software[wanted.software].get("version") or "unknown")
            parameters = self._parameters(wanted.calculation)
            words = get_software(wanted.software).unsupported(parameters, version)
            if words:
                return words
        return cluster.why_never(wanted.need)

    def _words(
        self, wanted: Wanted, asked: Sequence[Cluster], cannot: Mapping[int, str], named: bool
    ) -> str:
        label = label_of(wanted.software)
        if named:
            cluster = asked[0]
            why = cluster.why_not(self._now) or cannot[cluster.pk]
            if wanted.follows:
                return f"The files that it starts from are on {cluster.name}, which {why}."
            return f"{cluster.name} {why}."
        able = [cluster for cluster in asked if not cannot[cluster.pk]]
        if able:
            reasons = [f"{c.name} {c.why_not(self._now)}" for c in able]
            return f"No cluster that can run it takes work now: {_few(reasons)}."
        with_it = [cluster for cluster in asked if cluster.offers(wanted.software)]
        if not with_it:
            return f"No cluster has {label}."
        reasons = [f"{cluster.name} {cannot[cluster.pk]}" for cluster in with_it]
        return f"No cluster can run it: {_few(reasons)}."


def label_of(software: str) -> str:
    try:
        return get_software(software).label
    except UnknownSoftware:
        return software


def _few(reasons: Sequence[str]) -> str:
    more = len(reasons) - NAMED
    shown = "; ".join(reasons[:NAMED])
    return f"{shown}; and {more} more" if more > 0 else shown
