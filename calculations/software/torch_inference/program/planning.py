"""Who shall do what: partitions spread over ranks, ranks over nodes, and how many ranks are
cheapest for a deadline. A plan is written once and never changed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PLAN = "plan.json"
MARGIN = 1.1  # on the time that is foreseen, before it is held against a deadline


def spread(count: int, ranks: int) -> list[list[int]]:
    """Return the partitions (by index) of each rank: ceil(what is left / ranks left), in order.
    Ranks beyond the partitions get none.
    """
    shares, given = [], 0
    for rank in range(ranks):
        size = math.ceil((count - given) / (ranks - rank))
        shares.append(list(range(given, given + size)))
        given += size
    return shares


def node_of(rank: int, ranks: int, nodes: int) -> int:
    """The node of a rank: neighbours share one."""
    return rank * nodes // ranks


def foreseen_s(samples: Sequence[int], ranks: int, rate: float, start_s: float) -> float:
    """Seconds that a run of so many ranks will take, each doing `rate` samples per second."""
    longest = max(sum(samples[i] for i in share) for share in spread(len(samples), ranks))
    return start_s + longest / rate


def cheapest(
    samples: Sequence[int], most: int, rate: float, start_s: float, deadline_s: float
) -> dict[str, Any]:
    """Return the number of ranks that costs least (ranks times seconds) among those that keep the
    deadline, with what was weighed; where none keeps it, the quickest.
    """
    weighed = []
    for ranks in range(1, most + 1):
        seconds = foreseen_s(samples, ranks, rate, start_s) * MARGIN
        weighed.append({"ranks": ranks, "seconds": round(seconds, 3), "cost": ranks * seconds})
    in_time = [item for item in weighed if item["seconds"] <= deadline_s]
    if in_time:
        chosen = min(in_time, key=lambda item: (item["cost"], item["ranks"]))
    else:
        chosen = min(weighed, key=lambda item: (item["seconds"], item["ranks"]))
    return {
        "deadline_s": deadline_s,
        "samples_per_s_and_rank": round(rate, 2),
        "ranks": chosen["ranks"],
        "foreseen_s": chosen["seconds"],
        "kept": bool(in_time),
        "weighed": [{**item, "cost": round(item["cost"], 3)} for item in weighed[:256]],
    }


def write_plan(folder: Path, plan: Mapping[str, Any]) -> str:
    """Write plan.json, which must not exist, for reading only; return its SHA-256 (hex)."""
    content = (json.dumps(plan, indent=1) + "\n").encode()
    descriptor = os.open(folder / PLAN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()
