"""What a cluster can ever do, by what its agent told: cores, memory, GPUs, a site's limits. Pure.

Nothing here asks what is free now; what an agent did not tell is no reason to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.base import Resources
from clusters.agent.allotment import of_type
from labportal.common.templatetags.labportal import duration, mebibytes

Capacity = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition or queue of a site; None where the scheduler tells no limit."""

    name: str
    default: bool
    max_walltime_s: int | None
    max_nodes: int | None
    cores_per_node: int | None
    memory_per_node_mib: int | None
    gpus_per_node: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be asked of a cluster: of a site's scheduler (its `kind`), else of one machine."""

    kind: str = ""
    partitions: tuple[Partition, ...] = ()
    accounts: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()
    cores: int | None = None
    memory_mib: int | None = None
    gpus: tuple[str, ...] = ()


def limits(capacity: Capacity) -> Limits:
    """Read what the agent told, whatever of it is there."""
    if not is_batch(capacity):
        cores, memory = amount(capacity, "cores"), amount(capacity, "memory_mib")
        return Limits(cores=cores, memory_mib=memory, gpus=tuple(gpu_names(capacity)))
    scheduler = _scheduler(capacity)
    told = scheduler.get("limits")
    told = told if isinstance(told, Mapping) else {}
    partitions = tuple(
        Partition(
            str(one.get("name")),
            bool(one.get("default")),
            *(amount(one, name) for name in _OF_PARTITION),
            one["gpus_per_node"] if isinstance(one.get("gpus_per_node"), int) else None,
        )
        for one in told.get("partitions") or ()
        if isinstance(one, Mapping)
    )
    names = (tuple(_names(told.get(name))) for name in ("accounts", "qos"))
    return Limits(str(scheduler["kind"]), partitions, *names)


_OF_PARTITION = ("max_walltime_s", "max_nodes", "cores_per_node", "memory_per_node_mib")


def is_batch(capacity: Capacity) -> bool:
    """Whether a scheduler of the site gives out its cores, rather than the agent itself."""
    return _scheduler(capacity).get("kind") in ("slurm", "pbs")


def why_never(capacity: Capacity, asked: Resources) -> str:
    """Say why such a cluster can never run it, to be read after its name; "" where it can."""
    if is_batch(capacity):
        return _beyond_limits(_scheduler(capacity).get("limits"), asked)
    return _beyond_machine(capacity, asked)


def gpu_names(capacity: Capacity) -> list[str]:
    told = capacity.get("gpus")
    known = told if isinstance(told, list) else []
    return [str(gpu.get("name", "")) for gpu in known if isinstance(gpu, Mapping)]


def amount(capacity: Capacity, name: str) -> int | None:
    """Return a total that the agent told, None where it told none."""
    value = capacity.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return int(value) if good else None


def _scheduler(capacity: Capacity) -> Mapping[str, Any]:
    told = capacity.get("scheduler")
    return told if isinstance(told, Mapping) else {}


def _beyond_machine(capacity: Capacity, asked: Resources) -> str:
    if asked.partition:
        return f"has no partition {asked.partition}"
    if asked.nodes > 1:
        return f"is one machine, and {asked.nodes} nodes are asked for"
    cores, memory = amount(capacity, "cores"), amount(capacity, "memory_mib")
    if cores is not None and asked.cores > cores:
        return _too_many(asked.cores, cores, "core")
    if memory is not None and asked.memory_mib > memory:
        return _too_much_memory(asked.memory_mib, memory)
    if asked.gpus and "gpus" in capacity:
        fitting = [n for n in gpu_names(capacity) if of_type(n, asked.gpu_type)]
        if asked.gpus > len(fitting):
            kind = f"GPU of type {asked.gpu_type}" if asked.gpu_type else "GPU"
            return _too_many(asked.gpus, len(fitting), kind)
    return ""


def _beyond_limits(limits: Any, asked: Resources) -> str:
    if not isinstance(limits, Mapping):
        return ""
    for name, kind in (("account", "account"), ("qos", "QOS")):
        known = _names(limits.get(f"{name}s" if name == "account" else name))
        wanted = getattr(asked, name)
        if wanted and known and wanted not in known:
            return f"has no {kind} {wanted} for us"
    partitions = [p for p in limits.get("partitions") or () if isinstance(p, Mapping)]
    if not partitions:
        return ""
    if asked.partition:
        partitions = [p for p in partitions if p.get("name") == asked.partition]
        if not partitions:
            return f"has no partition {asked.partition}"
    else:
        partitions = [p for p in partitions if p.get("default")] or partitions
    reasons = [_beyond_partition(partition, asked) for partition in partitions]
    return "" if "" in reasons else reasons[0]


def _beyond_partition(partition: Mapping[str, Any], asked: Resources) -> str:
    where = f" in its partition {partition.get('name')}"
    walltime = amount(partition, "max_walltime_s")
    if walltime is not None and asked.walltime_s > walltime:
        wanted = duration(asked.walltime_s)
        return f"allows at most {duration(walltime)}{where}, and {wanted} is asked for"
    nodes = amount(partition, "max_nodes")
    if nodes is not None and asked.nodes > nodes:
        return _too_many(asked.nodes, nodes, "node", where)
    cores = amount(partition, "cores_per_node")
    if cores is not None and asked.cores > cores * asked.nodes:
        return _too_many(asked.cores, cores * asked.nodes, "core", _on_nodes(asked) + where)
    memory = amount(partition, "memory_per_node_mib")
    if memory is not None and asked.memory_mib > memory * asked.nodes:
        return _too_much_memory(asked.memory_mib, memory * asked.nodes, _on_nodes(asked) + where)
    gpus = partition.get("gpus_per_node")
    if isinstance(gpus, int) and asked.gpus > gpus * asked.nodes:
        return _too_many(asked.gpus, gpus * asked.nodes, "GPU", _on_nodes(asked) + where)
    return ""


def _names(known: Any) -> list[str]:
    """Of names, or of objects that have one."""
    if not isinstance(known, Sequence) or isinstance(known, str):
        return []
    return [str(one.get("name") if isinstance(one, Mapping) else one) for one in known]


def _on_nodes(asked: Resources) -> str:
    return " on a node" if asked.nodes == 1 else f" on {asked.nodes} nodes"


def _too_many(asked: int, there: int, what: str, where: str = "") -> str:
    has = f"{there} {plural(what, there)}" if there else f"no {what}"
    return f"has {has}{where}, and {asked} {'is' if asked == 1 else 'are'} asked for"


def _too_much_memory(asked: int, there: int, where: str = "") -> str:
    return f"has {mebibytes(there)} of memory{where}, and {mebibytes(asked)} are asked for"


def plural(what: str, count: int) -> str:
    """cores; GPUs of type a100."""
    if count == 1:
        return what
    first, _, rest = what.partition(" ")
    return f"{first}s{' ' if rest else ''}{rest}"
