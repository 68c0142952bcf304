"""Dashboard, list and detail with 100,000 calculations: queries, which must not grow with the rows,
and milliseconds.

Rendered in one process by Django's test client, without a network: what the portal itself needs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from bench.stack import ROOT, Stack

SEED = """
import json, os, random, uuid
from datetime import timedelta
from django.db import connection
from django.utils import timezone
from calculations.models import Calculation, Event, Quantity, Run
from labportal.accounts.models import Project, User
rows, start = int(os.environ["BENCH_ROWS"]), timezone.now()
person = User.objects.get(username=os.environ["BENCH_PERSON"])
project = Project.objects.get(is_default=True)
picks = random.Random(1)
states = ["valid"] * 90 + ["not_valid"] * 4 + ["failed"] * 3 + ["queued", "running", "draft"]
for first in range(0, rows, 5000):
    batch = []
    for number in range(first, min(first + 5000, rows)):
        state, at = picks.choice(states), start - timedelta(minutes=rows - number)
        ended = state in ("valid", "not_valid", "failed")
        batch.append(Calculation(
            project=project, created_by=person, name=f"Water {number}", software="noop",
            state=state,
            run_count=5, created_at=at, state_since=at, submitted_at=at,
            finished_at=at if ended else None, announced_at=at if ended else None,
            main_value=picks.random() if state == "valid" else None,
            main_label="Energy", main_unit="eV"))
    batch = Calculation.objects.bulk_create(batch)
    runs = [Run(calculation=c, index=i, state=c.state if c.state != "draft" else "queued",
                parameters={"value": i}, main_value=c.main_value, started_at=c.created_at)
            for c in batch if c.state != "draft" for i in range(5)]
    Run.objects.bulk_create(runs)
    Quantity.objects.bulk_create(Quantity(calculation_id=r.calculation_id, run=r, name="energy",
        label="Energy", number=r.main_value or 0.0, unit="eV") for r in runs[::5])
    Event.objects.bulk_create(Event(calculation=c, verb="create", source="", target="draft",
        actor=person, actor_label="bench", at=c.created_at) for c in batch)
with connection.cursor() as cursor:
    cursor.execute("VACUUM ANALYZE")
last = Calculation.objects.filter(state="valid").latest("id")
print(json.dumps(last.pk))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)


def run(options: argparse.Namespace) -> dict[str, Any]:
    small = _measure(200, max(5, options.rounds // 3))
    large = _measure(options.rows, options.rounds)
    before = {page["page"]: page["queries"] for page in small}
    return {
        "name": "pages",
        "rows": options.rows,
        "pages": [{**page, "queries_at_200_rows": before[page["page"]]} for page in large],
        "constant": all(page["queries"] == before[page["page"]] for page in large),
        "limit": {"ms_p50": 200},
    }


def _measure(rows: int, rounds: int) -> list[dict[str, Any]]:
    with Stack(durable=False) as stack:
        stack.environment["BENCH_ROWS"] = str(rows)
        print(f"{rows} calculations are written …", file=sys.stderr)
        newest = stack.python(SEED)
        addresses = {
            "dashboard": "/",
            "list": "/calculations/",
            "list, filtered": "/calculations/?state=valid&text=Water",
            "detail": f"/calculations/{newest}/",
            "API list": "/api/v1/calculations/",
            "API detail": f"/api/v1/calculations/{newest}/",
        }
        return rendered(stack, addresses, rounds)


def rendered(stack: Stack, addresses: dict[str, str], rounds: int) -> list[dict[str, Any]]:
    """Render the pages in a process of their own: their queries, and milliseconds."""
    command = [sys.executable, "-m", "bench.render", json.dumps(addresses), str(rounds)]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=stack.environment, check=True, stdout=subprocess.PIPE
    )
    return json.loads(done.stdout.splitlines()[-1])
