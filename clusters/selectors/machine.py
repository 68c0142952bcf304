"""A cluster's scheduler and GPUs, as its agent tells of them: checks and tables of its health."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.dateparse import parse_datetime

from clusters.models import Cluster
from clusters.selectors.check import BAD, GOOD, Check
from clusters.selectors.clusters import number, parts

KINDS = {"process": "plain processes", "slurm": "Slurm", "pbs": "PBS"}


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of the site with its limits; None where the scheduler tells none."""

    name: str
    default: bool
    max_walltime_s: float | None
    max_nodes: int | None
    cores_per_node: int | None
    memory_per_node_gib: float | None
    gpus_per_node: int | None


@dataclass(frozen=True, slots=True)
class Gpu:
    index: str
    name: str
    memory_gib: float | None
    free_gib: float | None
    busy: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """What the health page lists beside the checks."""

    partitions: tuple[Partition, ...]
    accounts: str
    qos: str
    gpus: tuple[Gpu, ...]


def machine_of(cluster: Cluster) -> Machine:
    limits = _mapping(_mapping(cluster.capacity.get("scheduler")).get("limits"))
    return Machine(
        partitions=tuple(_partition(one) for one in parts(limits.get("partitions"))),
        accounts=_words(limits.get("accounts")),
        qos=_words(limits.get("qos")),
        gpus=tuple(_gpu(one) for one in parts(cluster.capacity.get("gpus"))),
    )


def machine_checks(cluster: Cluster) -> Iterator[Check]:
    yield _scheduler(_mapping(cluster.capacity.get("scheduler")))
    gpus = machine_of(cluster).gpus
    if gpus:
        busy = sum(gpu.busy for gpu in gpus)
        names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
        yield Check("GPUs", GOOD, "Found", f"{len(gpus)}, {busy} busy: {names}")


def _scheduler(told: Mapping[str, Any]) -> Check:
    kind = str(told.get("kind") or "process")
    found = " ".join(filter(None, (KINDS.get(kind, kind), str(told.get("version") or "")[:40])))
    if told.get("answers", True):
        return Check("Scheduler", GOOD, "Answers", found)
    remedy = (
        "Runs that wait or work there keep the state that was last known, nothing is concluded. "
        f"Ask it by hand on {'the login node' if kind != 'process' else 'the machine'}: "
        f"{'sinfo' if kind == 'slurm' else 'qstat -B'}."
    )
    problem = str(told.get("problem") or "no reason given")[:300]
    since = _moment(told.get("since"))
    return Check("Scheduler", BAD, "No answer", f"{found}: {problem}; since", remedy, since)


def _partition(told: Mapping[str, Any]) -> Partition:
    memory = number(told.get("memory_per_node_mib"))
    return Partition(
        name=str(told.get("name") or "")[:60],
        default=bool(told.get("default")),
        max_walltime_s=number(told.get("max_walltime_s")),
        max_nodes=_whole(told.get("max_nodes")),
        cores_per_node=_whole(told.get("cores_per_node")),
        memory_per_node_gib=memory / 1024 if memory else None,
        gpus_per_node=_whole(told.get("gpus_per_node")) or None,
    )


def _gpu(told: Mapping[str, Any]) -> Gpu:
    memory, free = number(told.get("memory_mib")), number(told.get("free_memory_mib"))
    return Gpu(
        index=str(told.get("index", ""))[:8],
        name=str(told.get("name") or "GPU")[:60],
        memory_gib=memory / 1024 if memory is not None else None,
        free_gib=free / 1024 if free is not None else None,
        busy=bool(told.get("busy")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None or not math.isfinite(found) else int(found)


def _words(value: Any) -> str:
    return ", ".join(str(one)[:60] for one in value) if isinstance(value, list) else ""


def _moment(value: Any) -> Any:
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
