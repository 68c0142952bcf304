"""plan.json before the ranks begin; results.json, predictions.parquet and inference.png after.

results.json is one superset of what the published runs write in six shapes: wall and processor time
told apart, memory as the kernel counts it, each phase of each rank.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from calculations.software.torch_inference.program import sums
from calculations.software.torch_inference.program.picture import density, write_picture
from calculations.software.torch_inference.program.planning import PLAN
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.rank import STATISTICS

if TYPE_CHECKING:
    from calculations.software.torch_inference.program.execution import Execution

RESULTS = "results.json"
REDUCED = 1e-9  # by how much the reduced sums may differ from the exact ones
# By how much answers of another number of ranks may differ, relative to their size: kernels for
# other numbers of threads, and on GPUs other shapes, add up in another order.
TOLERANCE = {"fp32": 1e-5, "tf32": 1e-3, "bf16": 2e-2}


def plan_document(
    execution: Execution, ranks: int, deadline: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what this execution will do; it is written once."""
    work = execution.work
    return {
        "format": 1,
        "created_at": time.time(),
        "network": work.network,
        "weights": {
            "kind": work.weights,
            "file": work.weights_file if work.weights != "seeded" else "",
            "seed": work.weights_seed if work.weights == "seeded" else None,
        },
        "data": {
            "source": work.source,
            "folder": work.folder if work.source == "folder" else "",
            "seed": work.data_seed if work.source == "generated" else None,
            "samples": execution.samples,
        },
        "batch_size": work.batch_size,
        "device": work.device,
        "precision": work.precision,
        "compile": work.compile,
        "threads": work.threads,
        "collectives": work.backend,
        "launch": work.launch,
        "patience_s": work.patience,
        "world_size": ranks,
        "deadline": deadline,
        "nodes": [
            {"node": node, "host": about["host"]}
            for node, about in sorted(execution.about_hosts.items())
        ],
        "ranks": [
            {"rank": rank, "node": execution.node_of(rank), "partitions": share}
            for rank, share in enumerate(execution.shares)
        ],
        "partitions": [
            {"index": p.index, "name": p.name, "samples": p.samples, "bytes": p.size}
            for p in execution.partitions
        ],
    }


def write(execution: Execution, functions: Mapping[str, Any] | None = None) -> None:
    """Write what an execution found; `functions`: what a cloud's functions have used, where ranks
    were that. Raises Problem where the sums do not add up.
    """
    coordinator, predictions = execution.coordinator, execution.predictions
    exact = sums.added([coordinator.found[index] for index in sorted(coordinator.found)])
    exact = exact or [0.0] * len(sums.NAMES)
    difference = sums.difference(coordinator.total, exact)
    if not difference <= REDUCED:
        raise Problem(
            "reduced_differs",
            "What the ranks have added up together is not the sum of what they handed in.",
            "Choose the run's own connection for collectives, and show this to the operator.",
            f"relative difference {difference:g}, allowed {REDUCED:g}",
        )
    found, truth = predictions.arrays()
    quality = sums.measures(exact)
    precise = sums.precision(found, truth) if predictions.known else None
    if precise is not None:
        quality["precision"] = precise
    began = time.perf_counter()
    rows = predictions.write_table({"plan_sha256": execution.plan_sha256, "plan": PLAN})
    cells = density(found, truth) if predictions.known else None
    if cells is not None:
        write_picture(execution.folder, cells, quality)
    saved_s = time.perf_counter() - began
    execution.say(f"{rows} predictions kept, in {saved_s:.2f} s")
    ranks = _ranks(coordinator.statistics, execution)
    document = {
        "format": 1,
        "plan_sha256": execution.plan_sha256,
        "sums": dict(zip(sums.NAMES, exact)),
        "reduced": {
            "by": coordinator.backend,
            "difference": difference,
            "allowed": REDUCED,
            "tolerance_between_ranks": TOLERANCE[execution.work.precision],
        },
        "quality": quality,
        "times": _times(execution, saved_s),
        "totals": _totals(execution, exact, ranks),
        "ranks": ranks,
        "partitions": sorted(execution.computed, key=lambda item: item["partition"]),
        "course": coordinator.report(),
        "hosts": [_host(about) for _, about in sorted(execution.about_hosts.items())],
        "strangers_refused": execution.hub.refused[:20],
        "density": cells.to_json() if cells is not None else None,
        "truth_known": predictions.known,
        "deadline_kept": _deadline_kept(execution),
        "functions": functions,
    }
    temporary = execution.folder / (RESULTS + ".new")
    temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
    temporary.replace(execution.folder / RESULTS)


def _ranks(rows: Mapping[int, Sequence[float]], execution: Execution) -> list[dict[str, Any]]:
    found = []
    lost = {item["rank"] for item in execution.coordinator.lost_ranks}
    for rank, row in sorted(rows.items()):
        record: dict[str, Any] = {"rank": rank, "node": execution.node_of(rank)}
        record.update(zip(STATISTICS, row))
        for name in ("partitions", "samples", "batches"):
            record[name] = int(record[name])
        busy = record["load_s"] + record["compute_s"] + record["write_s"]
        record["busy_s"] = round(busy, 6)
        record["samples_per_s"] = _ratio(record["samples"], busy)
        record["seconds_per_batch"] = _ratio(record["compute_s"], record["batches"])
        record["lost"] = rank in lost
        found.append(record)
    return found


def _times(execution: Execution, saved_s: float) -> dict[str, Any]:
    """Seconds since the program began, and how long its parts took."""
    marks = execution.coordinator.marks
    spawned = execution.spawned[-1] if execution.spawned else {}
    imports = [about.get("import_s", 0.0) for about in execution.about_hosts.values()]
    return {
        "import_s": max(imports, default=0.0),
        "model_s": max((m.get("model_s", 0.0) for m in execution.spawned), default=0.0),
        "fork_s": spawned.get("fork_s", 0.0),
        "joined_at_s": round(marks.get("joined", 0.0), 4),
        "started_at_s": round(marks.get("started", 0.0), 4),
        "worked_at_s": round(marks.get("worked", marks.get("started", 0.0)), 4),
        "reduced_at_s": round(marks["reduced"], 4),
        "save_s": round(saved_s, 4),
        "ended_at_s": round(execution.clock(), 4),
    }


def _totals(
    execution: Execution, exact: Sequence[float], ranks: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    marks = execution.coordinator.marks
    wall = marks["reduced"] - marks.get("started", marks["reduced"])
    samples, bits = exact[0], exact[2]
    busy = [record["busy_s"] for record in ranks if record["partitions"]]
    added = {
        name: round(math.fsum(record[name] for record in ranks), 6)
        for name in ("cpu_s", "load_s", "compute_s", "write_s", "communicate_s", "wait_s")
    }
    return {
        **added,
        "wall_s": round(wall, 6),
        "samples_per_s": _ratio(samples, wall),
        "throughput_bps": _ratio(bits, wall),
        "straggling": _ratio(max(busy), statistics.median(busy)) if busy else None,
        "idle_ranks": sum(not record["partitions"] for record in ranks),
        "peak_mib": round(max((record["peak_mib"] for record in ranks), default=0.0), 2),
        "peak_all_mib": round(execution.coordinator.peak_mib, 2),
        "gpu_peak_mib": round(max((record["gpu_peak_mib"] for record in ranks), default=0.0), 2),
        "model_mib": max((record["model_mib"] for record in ranks), default=0.0),
    }


def _deadline_kept(execution: Execution) -> bool | None:
    """Whether the reduced result was there in time, None where nobody asked."""
    if not execution.plan["deadline"]:
        return None
    return execution.coordinator.marks["reduced"] <= execution.work.deadline


def _host(about: Mapping[str, Any]) -> dict[str, Any]:
    names = ("node", "host", "torch", "import_s", "gpus", "gpu_models", "machine")
    return {name: about.get(name) for name in names}


def _ratio(above: float, below: float) -> float | None:
    return round(above / below, 6) if below > 0 else None
