"""Where replicas go: clusters that can serve a version and have room for it now, spread over them.
Pure but for `rooms_for`, which reads what agents told; called by `tending`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.abilities import gpu_names, plural
from clusters.agent.allotment import of_type
from clusters.models import Cluster
from labportal.common.templatetags.labportal import mebibytes
from mlmodels.models import ModelVersion, Replica

ENGINES = ("podman", "docker")
NAMED = 3  # clusters that a sentence names


@dataclass(slots=True)
class Room:
    """A cluster as a version sees it. `cannot`: why it never can, or not now, to be read after its
    name; amounts are what is free, infinite where nobody counts them.
    """

    key: int
    name: str
    cannot: str = ""
    cores: float = math.inf
    memory_mib: float = math.inf
    gpus: float = math.inf
    here: int = 0  # replicas of this model
    gave_up: bool = False  # one of this version was given up there
    prepared: bool = False  # a stopped replica of this version waits there

    def why_not(self, version: ModelVersion) -> str:
        if self.cannot:
            return self.cannot
        if version.gpus > self.gpus:
            return _short(self.gpus, version.gpus, "GPU")
        if version.cores > self.cores:
            return _short(self.cores, version.cores, "core")
        if version.memory_mib > self.memory_mib:
            free = mebibytes(max(0, int(self.memory_mib)))
            return f"has {free} of memory free, and {mebibytes(version.memory_mib)} are asked for"
        return ""

    def change(self, version: ModelVersion, sign: int) -> None:
        """Take (1) or give back (-1)."""
        self.cores -= sign * version.cores
        self.memory_mib -= sign * version.memory_mib
        self.gpus -= sign * version.gpus


def choose(rooms: Sequence[Room], version: ModelVersion, count: int) -> list[Room]:
    """Return a room for each replica that finds one, and take it there: where the fewest of this
    model are, none was given up, one is prepared, and the most is free.
    """
    chosen = []
    for _ in range(count):
        able = [room for room in rooms if not room.why_not(version)]
        if not able:
            break
        best = min(able, key=_order)
        best.change(version, 1)
        best.here += 1
        chosen.append(best)
    return chosen


def _order(room: Room) -> tuple[Any, ...]:
    return (room.gave_up, room.here, not room.prepared, -room.cores, -room.memory_mib, room.name)


def sentence(rooms: Sequence[Room], version: ModelVersion) -> str:
    """Why no place was found, in words."""
    if not rooms:
        return "No cluster is registered."
    reasons = [f"{room.name} {why}" for room in rooms if (why := room.why_not(version))]
    more = len(reasons) - NAMED
    words = "; ".join(reasons[:NAMED]) + (f"; and {more} more" if more > 0 else "")
    return f"No node can serve {version} now: {words}." if reasons else ""


def rooms_for(
    version: ModelVersion,
    clusters: Iterable[Cluster],
    there: Iterable[Replica],
    *,
    allowed: AbstractSet[int],
    moment: datetime,
) -> list[Room]:
    """`there`: all replicas that are not removed, of any model; `allowed`: clusters by key, empty
    for any.
    """
    rooms = {c.pk: _room(c, version, allowed, moment) for c in clusters}
    for replica in there:
        room = rooms.get(replica.cluster_id)
        if room is None:
            continue
        own = replica.version.model_id == version.model_id
        same = replica.version_id == version.pk
        if replica.is_wanted:
            room.here += own
            room.gave_up |= same and replica.has_given_up
        room.prepared |= same and replica.is_put_by
        if not replica.is_counted:
            room.change(replica.version, 1)
    return sorted(rooms.values(), key=lambda room: room.name)


def _room(
    cluster: Cluster, version: ModelVersion, allowed: AbstractSet[int], moment: datetime
) -> Room:
    room = Room(cluster.pk, cluster.name)
    if allowed and cluster.pk not in allowed:
        room.cannot = "is not among the clusters of this model"
    else:
        room.cannot = cluster.why_not(moment) or why_unable(cluster.capacity, version)
    free = _serving(cluster.capacity).get("free")
    if isinstance(free, Mapping):
        room.cores, room.memory_mib = _amount(free, "cores"), _amount(free, "memory_mib")
        room.gpus = _amount(free, "gpus")
    return room


def why_unable(capacity: Mapping[str, Any], version: ModelVersion) -> str:
    """Why a cluster of such a capacity can never serve the version; "" where it can."""
    serving = _serving(capacity)
    runtimes = serving.get("runtimes")
    runtimes = runtimes if isinstance(runtimes, Mapping) else {}
    if not runtimes:
        return "serves no models"
    if version.runtime == ModelVersion.Runtime.PROCESS:
        fitting = [runtimes["process"]] if "process" in runtimes else []
        missing = "serves no models as processes"
    else:
        fitting = [runtimes[name] for name in ENGINES if name in runtimes]
        missing = "has no podman or docker"
    if not fitting:
        return missing
    if not version.gpus:
        return ""
    names = [name for name in gpu_names(capacity) if of_type(name, version.gpu_type)]
    if len(names) < version.gpus:
        kind = f"GPU of type {version.gpu_type}" if version.gpu_type else "GPU"
        return _short(len(names), version.gpus, kind, "")
    if not any(_gives_gpus(runtime) for runtime in fitting):
        return "gives no GPU to models"
    return ""


def _gives_gpus(runtime: Any) -> bool:
    return bool(runtime.get("gpus", True)) if isinstance(runtime, Mapping) else True


def _serving(capacity: Mapping[str, Any]) -> Mapping[str, Any]:
    told = capacity.get("serving")
    return told if isinstance(told, Mapping) else {}


def _amount(free: Mapping[str, Any], name: str) -> float:
    """A number, or a list of what is free; what was not told is not counted."""
    value = free.get(name)
    if isinstance(value, list):
        return float(len(value))
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else math.inf


def _short(there: float, asked: int, what: str, free: str = " free") -> str:
    count = max(0, int(there))
    has = f"{count} {plural(what, count)}{free}" if count else f"no {what}{free}"
    return f"has {has}, and {asked} {'is' if asked == 1 else 'are'} asked for"
