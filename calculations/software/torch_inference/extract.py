"""Picks the small useful part out of what an inference left: how well, how quickly, at what use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from calculations.software.analysis import is_number
from calculations.software.results import Column, Dataset, Quantity, Results
from calculations.software.torch_inference.reading import is_whole, read_document, read_plan

MOST_ROWS = 5000
SECONDS, MIB, RATE = "s", "MiB", "1/s"
# Name, label and unit of a quantity, and where it stands in results.json.
NUMBERS = (
    ("samples_per_s", "Samples per second", RATE, "totals"),
    ("wall_s", "Time, start barrier to reduced result", SECONDS, "totals"),
    ("cpu_s", "Processor time of all ranks", SECONDS, "totals"),
    ("load_s", "Loading, all ranks", SECONDS, "totals"),
    ("compute_s", "Computing, all ranks", SECONDS, "totals"),
    ("write_s", "Handing in, all ranks", SECONDS, "totals"),
    ("communicate_s", "Barrier, reduce and gather, all ranks", SECONDS, "totals"),
    ("wait_s", "Waiting for work, all ranks", SECONDS, "totals"),
    ("straggling", "Slowest rank / median rank", "", "totals"),
    ("idle_ranks", "Ranks without data", "", "totals"),
    ("peak_mib", "Peak memory of a rank", MIB, "totals"),
    ("peak_all_mib", "Peak memory of all ranks together", MIB, "totals"),
    ("gpu_peak_mib", "Peak GPU memory of a rank", MIB, "totals"),
    ("model_mib", "Memory of the network", MIB, "totals"),
    ("import_s", "Importing torch", SECONDS, "times"),
    ("model_s", "Reading or making the weights", SECONDS, "times"),
    ("fork_s", "Forking the ranks", SECONDS, "times"),
    ("save_s", "Saving results", SECONDS, "times"),
    ("mae", "MAE", "", "quality"),
    ("mse", "MSE", "", "quality"),
    ("bias", "Bias, mean of Δz / (1 + z)", "", "quality"),
    ("precision", "Precision, 1.48 × median deviation", "", "quality"),
    ("r2", "R²", "", "quality"),
)
BILLED = (
    ("function_memory_mib", "memory_mib", "Memory of a function", MIB),
    ("billed_s", "billed_s", "Billed time of all functions", SECONDS),
    ("billed_gb_s", "gb_s", "Billed memory × time", "GB s"),
    ("function_requests", "requests", "Requests of functions", ""),
    ("transitions", "transitions", "Transitions of the state machine", ""),
    ("function_price", "price", "Price of the functions", ""),
)
RANK_COLUMNS = (
    ("rank", "Rank", ""),
    ("node", "Node", ""),
    ("partitions", "Partitions", ""),
    ("samples", "Samples", ""),
    ("batches", "Batches", ""),
    ("wall_s", "Time", SECONDS),
    ("cpu_s", "Processor time", SECONDS),
    ("load_s", "Loading", SECONDS),
    ("compute_s", "Computing", SECONDS),
    ("write_s", "Handing in", SECONDS),
    ("communicate_s", "Barrier, reduce, gather", SECONDS),
    ("wait_s", "Waiting", SECONDS),
    ("model_s", "Making ready", SECONDS),
    ("samples_per_s", "Samples per second", RATE),
    ("seconds_per_batch", "Time of a batch", SECONDS),
    ("peak_mib", "Peak memory", MIB),
    ("gpu_peak_mib", "Peak GPU memory", MIB),
)
PARTITION_COLUMNS = (
    ("partition", "Partition", ""),
    ("rank", "Rank", ""),
    ("samples", "Samples", ""),
    ("load_s", "Loading", SECONDS),
    ("compute_s", "Computing", SECONDS),
    ("at_s", "Handed in at", SECONDS),
)


def extract(folder: Path) -> Results:
    """Return what can be read; a run without whole results has what was planned."""
    plan, document = read_plan(folder), read_document(folder)
    try:
        planned = tuple(_planned(plan))
    except (KeyError, TypeError, ValueError, AttributeError):
        planned = ()
    if document is None or not is_whole(document):
        return Results(planned)
    try:
        quantities = (*planned, *_found(document))
        return Results(quantities, tuple(_datasets(document)))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return Results(planned)


def _planned(plan: Mapping[str, Any]) -> Iterator[Quantity]:
    if not plan:
        return
    yield Quantity("ranks", "Ranks", int(plan["world_size"]))
    yield Quantity("nodes", "Nodes", len({node["host"] for node in plan["nodes"]}))
    yield Quantity("threads", "Threads of a rank", int(plan["threads"]))
    yield Quantity("batch_size", "Batch size", int(plan["batch_size"]))
    yield Quantity("device", "Device", str(plan["device"]))
    yield Quantity("number_format", "Numbers", str(plan["precision"]))
    yield Quantity("partitions", "Partitions", len(plan["partitions"]))
    yield Quantity("samples", "Samples", sum(part["samples"] for part in plan["partitions"]))
    size = sum(part["bytes"] for part in plan["partitions"])
    yield Quantity("data_mib", "Size of the data", round(size / 2**20, 3), MIB)
    if plan.get("deadline"):
        yield Quantity("deadline_s", "Deadline", plan["deadline"]["deadline_s"], SECONDS)
        foreseen = plan["deadline"].get("foreseen_s")
        if is_number(foreseen):
            yield Quantity("foreseen_s", "Time foreseen", foreseen, SECONDS)


def _found(document: Mapping[str, Any]) -> Iterator[Quantity]:
    sums, times, course = document["sums"], document["times"], document["course"]
    for name, label, unit, section in NUMBERS:
        value = document[section].get(name)
        if is_number(value):
            yield Quantity(name, label, value, unit)
    yield Quantity("start_s", "Start until all ranks are ready", times["started_at_s"], SECONDS)
    yield Quantity("reduced_s", "Start until the reduced result", times["reduced_at_s"], SECONDS)
    yield Quantity("total_s", "Start to end", times["ended_at_s"], SECONDS)
    yield Quantity("batches", "Batches", int(sums["batches"]))
    throughput = document["totals"].get("throughput_bps")
    if is_number(throughput):
        yield Quantity("throughput", "Throughput", throughput / 1e6, "Mbit/s")
        yield Quantity(
            "seconds_per_batch",
            "Time of a batch",
            document["totals"]["compute_s"] / max(1, sums["batches"]),
            SECONDS,
        )
    if sums["samples"] - sums["not_finite"] > 0:
        mean = sums["prediction"] / (sums["samples"] - sums["not_finite"])
        yield Quantity("mean_prediction", "Mean prediction", mean)
    reduced = document["reduced"]
    yield Quantity("reduced_difference", "Reduced against exact sum", reduced["difference"])
    tolerance = reduced["tolerance_between_ranks"]
    yield Quantity("tolerance", "Tolerance between numbers of ranks", tolerance)
    yield Quantity("collectives", "Barrier, reduce, gather by", str(reduced["by"]))
    yield Quantity("generations", "Generations of ranks", int(course["generations"]))
    yield Quantity("lost_ranks", "Ranks lost", len(course["lost_ranks"]))
    yield Quantity("moved_partitions", "Partitions moved", int(course["moved_partitions"]))
    if document.get("deadline_kept") is not None:
        yield Quantity("deadline_kept", "Deadline kept", bool(document["deadline_kept"]))
    yield from _billed(document.get("functions"))
    version = next((host.get("torch") for host in document["hosts"] if host.get("torch")), None)
    if version:
        yield Quantity("program_version", "Program", f"torch {version}")


def _billed(functions: Any) -> Iterator[Quantity]:
    """What a cloud's functions have used, where ranks were that."""
    if not isinstance(functions, Mapping):
        return
    for name, key, label, unit in BILLED:
        value = functions.get(key)
        if is_number(value):
            yield Quantity(name, label, value, unit)


def _datasets(document: Mapping[str, Any]) -> Iterator[Dataset]:
    yield _table("ranks", "Ranks", RANK_COLUMNS, document["ranks"][:MOST_ROWS])
    yield _table(
        "by_partition", "Partitions", PARTITION_COLUMNS, document["partitions"][:MOST_ROWS]
    )
    if document["course"]["lost_ranks"]:
        columns = (
            ("rank", "Rank", ""),
            ("why", "Why", ""),
            ("phase", "While", ""),
            ("at_s", "At", SECONDS),
            ("unheard_s", "Unheard for", SECONDS),
            ("partitions", "Partitions moved", ""),
        )
        yield _table("lost", "Lost ranks", columns, document["course"]["lost_ranks"][:MOST_ROWS])
    cells = (document.get("density") or {}).get("cells")
    if cells:
        truth = tuple(cell[0] for cell in cells)
        yield Dataset(
            "density",
            "Predicted against known",
            "series",
            (
                Column("truth", "Spectroscopic redshift", "", truth),
                Column("prediction", "Predicted redshift", "", tuple(c[1] for c in cells)),
                Column("identity", "y = x", "", truth),
                Column("samples", "Samples", "", tuple(c[2] for c in cells)),
            ),
        )


def _table(name: str, label: str, columns: Any, rows: list[dict[str, Any]]) -> Dataset:
    return Dataset(
        name,
        label,
        "table",
        tuple(
            Column(key, title, unit, tuple(row.get(key) for row in rows))
            for key, title, unit in columns
        ),
    )
