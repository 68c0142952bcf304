"""The search with 100,000 calculations, of each kind its rows and its count: milliseconds.

Asked in one process, as the page asks: words that every fifth row holds, rare ones, and words with
numbers. The library has 5,000 structures, each of twenty calculations.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from bench.stack import ROOT, Stack

SEED = """
import json, os, random
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from calculations.models import Calculation, Quantity, Run, Structure
from labportal.accounts.models import Project, User
rows, start = int(os.environ["BENCH_ROWS"]), timezone.now()
person = User.objects.get(username=os.environ["BENCH_PERSON"])
project = Project.objects.get(is_default=True)
picks = random.Random(1)
kinds = [("Water in a field", "H2O", ["H", "O"]), ("Silicon bands", "Si2", ["Si"]),
    ("Benzene", "C6H6", ["C", "H"]), ("Graphene sheet", "C2", ["C"]),
    ("Copper slab", "Cu4", ["Cu"])]
states = ["valid"] * 90 + ["not_valid"] * 5 + ["failed"] * 5
structures = Structure.objects.bulk_create((Structure(project=project, created_by=person,
    name=f"{kinds[n % 5][0]} {n}", formula=kinds[n % 5][1], elements=kinds[n % 5][2],
    atom_count=3, content="", fingerprint=str(n)) for n in range(max(5, rows // 20))),
    batch_size=5000)
for first in range(0, rows, 5000):
    batch = []
    for number in range(first, min(first + 5000, rows)):
        at, state = start - timedelta(minutes=rows - number), picks.choice(states)
        batch.append(Calculation(project=project, created_by=person, software="noop", state=state,
            name=f"{kinds[number % 5][0]} number {number}", structure=structures[number
            % len(structures)], created_at=at, state_since=at, submitted_at=at, finished_at=at,
            announced_at=at, description="A converged run of the spring campaign, as in the plan"))
    batch = Calculation.objects.bulk_create(batch)
    runs = Run.objects.bulk_create(Run(calculation=c, state=c.state) for c in batch)
    Quantity.objects.bulk_create([Quantity(calculation_id=run.calculation_id, run=run, name=name,
        label=label, number=picks.uniform(0, high), unit="eV") for run in runs
        for name, label, high in (("gap", "Gap", 10), ("total_energy", "Total energy", -900))],
        batch_size=5000)
with connection.cursor() as cursor:
    cursor.execute("VACUUM ANALYZE")
print(json.dumps(rows))
"""
SENTENCES = (
    "water",
    "benz",
    "campaign",
    "number 77777",
    '"silicon bands"',
    '"bands silicon"',
    "nowhere",
    "valid water gap>5 eV",
    "valid gap>5 eV",
    "gap>9.99",
    "-failed gap 1..1.01 eV",
    "formula:H2O",
    "formula:H2O2",
    "element:Si",
    "C-500",
    "mine validated",
    "failed since yesterday",
)
LIMIT_MS = 200


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack(durable=False) as stack:
        stack.environment["BENCH_ROWS"] = str(options.rows)
        print(f"{options.rows} calculations are written …", file=sys.stderr)
        stack.python(SEED)
        command = [sys.executable, "-m", "bench.ask", json.dumps(SENTENCES), str(options.rounds)]
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=stack.environment, check=True, stdout=subprocess.PIPE
        )
        asked = json.loads(done.stdout.splitlines()[-1])
    slowest = max(group["rows_ms"] + group["count_ms"] for one in asked for group in one["groups"])
    return {
        "name": "search",
        "rows": options.rows,
        "sentences": asked,
        "slowest_ms": round(slowest, 1),
        "limit_ms": LIMIT_MS,
        "within": slowest <= LIMIT_MS,
    }
