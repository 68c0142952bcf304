"""Data sets: rows per second and peak memory of writing runs as Parquet and as JSON Lines.

The same is measured for a tenth of the runs: what memory takes more must not depend on them.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.stack import Stack

# Ten runs to a calculation; as many numbers as an ab initio program gives, and one list.
SEED = """
import json, os
from calculations.models import Calculation, Dataset, Quantity, Run
from calculations.software.registry import get_software
from labportal.accounts.models import Project, User
from labportal.common.clock import now
n, names = {n}, [f"quantity_{{i}}" for i in range({quantities})]
person = User.objects.get(username=os.environ["BENCH_PERSON"])
project = Project.objects.get(is_default=True)
parameters = get_software("pyscf").check({{}})
made = Calculation.objects.bulk_create(
    Calculation(project=project, name=f"Water {{i}}", software="pyscf", parameters=parameters,
        state="valid", standing="validated", run_count=10, created_by=person)
    for i in range(n // 10))
for start in range(0, len(made), 50):
    runs = Run.objects.bulk_create(
        Run(calculation=c, index=i, state="valid", attempt=1, finished_at=now(),
            parameters={{"field_z": i / 100}}, point=[i / 100])
        for c in made[start:start + 50] for i in range(10))
    Quantity.objects.bulk_create(
        Quantity(calculation_id=r.calculation_id, run=r, name=name, label=name, unit="eV",
            number=r.index + len(name) / 7)
        for r in runs for name in names)
    Dataset.objects.bulk_create(
        Dataset(calculation_id=r.calculation_id, run=r, name="levels", label="Levels",
            kind="table", columns=[{{"name": "energy", "label": "Energy", "unit": "eV",
                "values": [i / 3 for i in range({levels})]}}])
        for r in runs)
print(json.dumps(Run.objects.count()))
"""
WRITE = """
import json, os, resource, tempfile, time
from calculations.exports.registry import kind_of
from labportal.accounts.models import User
kind = kind_of({kind!r})
asked = {{"include": ["structures", "levels"]}}
chosen = kind.check(asked, User.objects.get(username=os.environ["BENCH_PERSON"]))
told = [0]
with tempfile.TemporaryFile() as stream:
    began = time.perf_counter()
    kind.write(chosen, stream, lambda done, of: told.append(done))
    took = time.perf_counter() - began
    size = stream.seek(0, os.SEEK_END)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(dict(rows=told[-1], per_s=round(told[-1] / took, 1), peak_rss_mib=round(peak, 1),
    megabytes=round(size / 1e6, 2))))
"""
KINDS = ("dataset-parquet", "dataset-jsonl")
MORE_MEMORY_MIB = 60  # what ten times the runs may take more


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--quantities", type=int, default=15)
    parser.add_argument("--levels", type=int, default=60)


def run(options: argparse.Namespace) -> dict[str, Any]:
    sizes = (options.n // 10, options.n - options.n // 10)
    with Stack(clusters=0, durable=False) as stack:
        measured: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for size in sizes:
            stack.python(_seed(options, size))
            for kind in KINDS:
                measured[kind].append(stack.python(WRITE.format(kind=kind)))
    grown = {
        kind: round(large["peak_rss_mib"] - small["peak_rss_mib"], 1)
        for kind, (small, large) in measured.items()
    }
    return {
        "name": "export",
        "n": options.n,
        "small": {kind: small for kind, (small, _) in measured.items()},
        "large": {kind: large for kind, (_, large) in measured.items()},
        "per_s": min(large["per_s"] for _, large in measured.values()),
        "memory_grown_mib": grown,
        "constant_memory": max(grown.values()) <= MORE_MEMORY_MIB,
        "first_mark": {"per_s": 500, "memory_grown_mib": MORE_MEMORY_MIB},
        "goal": {"per_s": 2000, "peak_rss_mib": 300},
    }


def _seed(options: argparse.Namespace, size: int) -> str:
    return SEED.format(n=size, quantities=options.quantities, levels=options.levels)
