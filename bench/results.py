"""The section Analyses with 100,000 rows of results: queries, which must not grow with the rows,
and milliseconds.

Rendered in one process by Django's test client, without a network: what the portal itself needs.
Each row has six quantities, the energy of every third in hartree, so that units are turned as well.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench.pages import rendered
from bench.stack import Stack

SEED = """
import json, os, random
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from calculations.models import Calculation, Quantity, Run
from labportal.accounts.models import Project, User
rows, start = int(os.environ["BENCH_ROWS"]), timezone.now()
person = User.objects.get(username=os.environ["BENCH_PERSON"])
project = Project.objects.get(is_default=True)
picks = random.Random(1)
kinds = [("gap", "Gap", "eV", 1, 9), ("dipole", "Dipole", "Debye", 0, 3),
    ("max_force", "Largest force", "eV/Å", 0, 1), ("scf_iterations", "SCF iterations", "", 6, 40),
    ("volume", "Cell volume", "Å³", 10, 900)]
made = 0
while made < rows:
    sizes = []
    while sum(sizes) < min(2000, rows - made):
        sizes.append(picks.choice((1, 1, 1, 5)))
    batch = Calculation.objects.bulk_create(Calculation(project=project, created_by=person,
        name=f"Water {made + n}", software="noop", state="valid", run_count=size,
        created_at=start - timedelta(minutes=rows - made - n)) for n, size in enumerate(sizes))
    runs = Run.objects.bulk_create(Run(calculation=c, index=i, state="valid", point=[i])
        for c, size in zip(batch, sizes) for i in range(size))
    found = []
    for run in runs:
        energy, in_hartree = picks.uniform(-900, -400), picks.random() < 0.33
        found.append(Quantity(calculation_id=run.calculation_id, run=run, name="total_energy",
            label="Total energy", unit="Ha" if in_hartree else "eV",
            number=energy / 27.211386 if in_hartree else energy))
        found += [Quantity(calculation_id=run.calculation_id, run=run, name=name, label=label,
            unit=unit, number=round(picks.uniform(low, high), 6 if unit else 0))
            for name, label, unit, low, high in kinds]
    found += [Quantity(calculation=c, name="polarizability", label="Polarizability", unit="Å³",
        number=picks.uniform(0.5, 20)) for c, size in zip(batch, sizes) if size > 1]
    Quantity.objects.bulk_create(found, batch_size=5000)
    made += len(runs)
with connection.cursor() as cursor:
    cursor.execute("VACUUM ANALYZE")
print(json.dumps(made))
"""
PAGES = {
    "newest": "/analyses/",
    "newest runs": "/analyses/?per=run",
    "runs by gap": "/analyses/?per=run&sort=-gap&columns=total_energy,gap,dipole",
    "runs by energy in two units": "/analyses/?per=run&sort=total_energy&columns=total_energy,gap",
    "brushed": "/analyses/?per=run&x=gap&y=dipole&where=gap>=4 eV&where=gap<=5 eV"
    "&where=dipole>=1&where=dipole<=1.2&columns=gap,dipole",
    "sweeps by polarizability": "/analyses/?sort=-polarizability&columns=polarizability,gap",
    "API": "/api/v1/results/?per=run&sort=-gap&columns=total_energy:eV,gap",
}
LIMIT_MS = 300


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)


def run(options: argparse.Namespace) -> dict[str, Any]:
    small = _measure(200, max(3, options.rounds // 4))
    large = _measure(options.rows, options.rounds)
    before = {page["page"]: page for page in small}
    pages = [
        {
            **page,
            "queries_at_200_rows": before[page["page"]]["queries"],
            "ms_p50_at_200_rows": before[page["page"]]["ms_p50"],
        }
        for page in large
    ]
    return {
        "name": "results",
        "rows": options.rows,
        "pages": pages,
        "constant": all(page["queries"] == page["queries_at_200_rows"] for page in pages),
        "limit": {"ms_p50": LIMIT_MS},
        "within_limit": all(page["ms_p50"] <= LIMIT_MS for page in pages),
    }


def _measure(rows: int, rounds: int) -> list[dict[str, Any]]:
    with Stack(durable=False) as stack:
        stack.environment["BENCH_ROWS"] = str(rows)
        print(f"{rows} rows of results are written …", file=sys.stderr)
        stack.python(SEED)
        return rendered(stack, PAGES, rounds)
