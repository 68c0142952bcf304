"""What PBS tells of the site itself: queues with their limits, nodes with their cores, versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from clusters.agent.schedulers.pbs_text import blocks, mib, seconds

QUEUE = re.compile(r"Queue:\s*(\S+)\s*$")
SERVER = re.compile(r"Server:\s*(\S+)\s*$")
NODE = re.compile(r"(\S+)\s*$")
COUNT = re.compile(r"(\w+):(\d+)")
SLOTS = re.compile(r"(?:^|,)(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)/\d")
YES = frozenset({"true", "yes", "1"})
DOWN = ("down", "offline", "drain", "maint", "unknown", "stale", "provision", "sleep")
BUSY = ("job-busy", "job-exclusive", "busy", "resv-exclusive", "allocated")
PRO, TORQUE, WRAPPERS = "PBS", "Torque", "Slurm's wrappers for PBS"


def flavour_of(version: str) -> str:
    """Tell by the answer of `qstat --version` who answers; "" where that is not clear."""
    if re.search(r"pbs_version|PBSPro|OpenPBS", version):
        return PRO
    if re.search(r"unknown option: version", version, re.IGNORECASE):
        return WRAPPERS  # Slurm's, which knows no such option
    return TORQUE if re.search(r"^\s*version:", version, re.IGNORECASE | re.MULTILINE) else ""


def queues(text: str) -> dict[str, dict[str, str]]:
    return dict(blocks(_ended(text), QUEUE))


def server(text: str) -> dict[str, str]:
    """The attributes of the first server; none where the answer holds no whole one."""
    return next((attributes for _, attributes in blocks(_ended(text), SERVER)), {})


def nodes(text: str) -> dict[str, dict[str, str]]:
    """Read `pbsnodes -a`: a name in the first column, attributes below it."""
    return dict(blocks(_ended(text), NODE))


def _ended(text: str) -> str:
    """A last block without an empty line after it is whole where its last line is."""
    return text + "\n" if text.endswith("\n") else text


def limits(
    by_queue: Mapping[str, Mapping[str, str]],
    by_node: Mapping[str, Mapping[str, str]],
    of_server: Mapping[str, str],
) -> dict[str, Any]:
    """What each queue allows that takes jobs now."""
    usable = {name: node for name, node in by_node.items() if _kind(node) != "down"}
    found = []
    for name, queue in by_queue.items():
        if queue.get("enabled", "True").strip().lower() not in YES:
            continue
        own = [node for node in usable.values() if _serves(node, name)]
        found.append(
            {
                "name": name,
                "max_walltime_s": _whole(seconds(_most(queue, of_server, "walltime"))),
                "max_nodes": _number(_most(queue, of_server, "nodect")) or len(own) or None,
                "cores_per_node": max(map(cores_of, own), default=0),
                "memory_per_node_mib": int(max(map(_memory, own), default=0)),
                "gpus_per_node": max(map(_gpus, own), default=0),
                "default": of_server.get("default_queue", "").strip() == name,
            }
        )
    return {"partitions": found, "accounts": [], "qos": []}


def occupancy(
    by_node: Mapping[str, Mapping[str, str]], of_server: Mapping[str, str]
) -> dict[str, Any]:
    counted = dict.fromkeys(("idle", "allocated", "mixed", "down"), 0)
    cores = dict.fromkeys(("idle", "allocated", "total"), 0)
    for node in by_node.values():
        kind, total, used = _kind(node), cores_of(node), min(_used(node), cores_of(node))
        counted["mixed" if kind == "idle" and used else kind] += 1
        if kind != "down":
            cores["total"] += total
            cores["allocated"] += total if kind == "allocated" and not used else used
    cores["idle"] = cores["total"] - cores["allocated"]
    counts = {n.lower(): int(c) for n, c in COUNT.findall(of_server.get("state_count", ""))}
    jobs = {
        name: sum(counts[word] for word in words if word in counts)
        for name, words in (
            ("running", ("running", "exiting")),
            ("pending", ("queued", "held", "waiting")),
        )
        if counts
    }
    return {"nodes": counted, "cores": cores, "jobs": jobs}


def _kind(node: Mapping[str, str]) -> str:
    state = node.get("state", "").lower()
    if not state or any(word in state for word in DOWN):
        return "down"
    return "allocated" if any(word in state.split(",") for word in BUSY) else "idle"


def cores_of(node: Mapping[str, str]) -> int:
    names = ("resources_available.ncpus", "np", "pcpus", "ncpus")
    return next((n for n in (_number(node.get(name, "")) for name in names) if n), 0)


def _used(node: Mapping[str, str]) -> int:
    assigned = _number(node.get("resources_assigned.ncpus", ""))
    if assigned is not None:
        return assigned
    # Torque: jobs = 0-3,5/123.server or 0/123.server, 1/123.server
    slots = SLOTS.findall(node.get("jobs", "").replace(" ", ""))
    used = 0
    for slot in ",".join(slots).split(","):
        first, dash, last = slot.partition("-")
        if first.isdigit() and (last.isdigit() or not dash):
            used += int(last or first) - int(first) + 1
    return used


def _memory(node: Mapping[str, str]) -> float:
    told = mib(node.get("resources_available.mem", ""))
    status = re.search(r"physmem=(\w+)", node.get("status", ""))  # Torque
    return told or (mib(status[1]) if status else None) or 0


def _gpus(node: Mapping[str, str]) -> int:
    return _number(node.get("resources_available.ngpus", "") or node.get("gpus", "")) or 0


def _serves(node: Mapping[str, str], queue: str) -> bool:
    """Whether a queue may use a node: some are bound to one queue."""
    bound = node.get("queue", "").strip() or node.get("resources_available.Qlist", "").strip()
    return not bound or queue in re.split(r"[,\s]+", bound)


def _most(queue: Mapping[str, str], of_server: Mapping[str, str], resource: str) -> str:
    name = f"resources_max.{resource}"
    return queue.get(name, "") or of_server.get(name, "")


def _number(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() and len(text) < 10 else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
