"""Placement alone: waiting calculations of many people in many projects over many clusters, handed
out in one round by priority, fair share and age.

One round places all of them. `saturated` is a round of the same queue where few slots are free, and
`explained` the one of the beat, which says of each of the others why it waits.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.stack import Stack

LIMIT_S = 2.0
SEED = """
import json
from calculations.models import Calculation, Run
from clusters.models import Cluster
from labportal.accounts.models import Project, User
from labportal.common.clock import now
count, clusters = {count}, {clusters}
people = User.objects.bulk_create(
    User(username=f"p{{n}}", email=f"p{{n}}@x.org") for n in range(40))
projects = Project.objects.bulk_create(
    Project(name=f"q{{n}}", slug=f"q{{n}}", shares=1 + n % 3) for n in range(12))
offers = {{"noop": {{"version": "1", "ok": True, "problem": ""}}}}
def capacity(slots):
    return {{"slots": {{"total": slots, "free": slots}}, "cores": 4 * slots,
            "memory_mib": 8192 * slots, "gpus": [], "software": offers}}
Cluster.objects.all().delete()
Cluster.objects.bulk_create(
    Cluster(name=f"c{{n}}", last_exchange_at=now(), price_core_hour=0.01 + 0.0001 * n,
            capacity=capacity({slots}))
    for n in range(clusters))
moment = now()
made = Calculation.objects.bulk_create((
    Calculation(name=f"n{{n}}", project=projects[n % 12], created_by=people[n % 40],
                software="noop", state="queued", priority=(n % 50 == 0), cores=1 + n % 4,
                memory_mib=1024 * (1 + n % 3), walltime_s=600 * (1 + n % 6))
    for n in range(count)), batch_size=1000)
Run.objects.bulk_create((
    Run(calculation=c, priority=c.priority, queued_at=moment) for c in made), batch_size=1000)
print(json.dumps(len(made)))
"""
ROUND = """
import json, time
from django.db import connection
from django.db.models import Count
from calculations.models import Run
from clusters import placement
from clusters.models import Cluster
connection.ensure_connection()
Cluster.objects.update(last_exchange_at=placement.now())
began = time.perf_counter()
placed = placement.place({how})
seconds = time.perf_counter() - began
held = Run.objects.filter(state="assigned")
print(json.dumps({{
    "placed": placed, "seconds": seconds,
    "waiting": Run.objects.filter(state="queued").count(),
    "unexplained": Run.objects.filter(state="queued", waits_for="").count(),
    "doubled": held.exclude(attempt=1).count(),
    "lost": Run.objects.exclude(state__in=["queued", "assigned"]).count(),
}}))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=10_000, help="waiting calculations")
    parser.add_argument("--clusters", type=int, default=20)


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack() as stack:

        def seed(slots: int) -> None:
            how = {"count": options.n, "clusters": options.clusters, "slots": slots}
            stack.python(SEED.format(**how))

        seed(slots=10)
        few = options.clusters * 10
        saturated = stack.python(ROUND.format(how=""))
        explained = stack.python(ROUND.format(how="explain=True"))
    with Stack() as stack:
        seed(slots=-(-options.n // options.clusters))
        whole = stack.python(ROUND.format(how=""))
    return {
        "name": "placement",
        "n": options.n,
        "clusters": options.clusters,
        "seconds": round(whole["seconds"], 3),
        "per_s": round(whole["placed"] / whole["seconds"], 1),
        "lost": options.n - whole["placed"] - whole["waiting"] + whole["lost"],
        "doubled": whole["doubled"],
        "placed": whole["placed"],
        "saturated": {
            "free": few,
            "placed": saturated["placed"],
            "seconds": round(saturated["seconds"], 3),
        },
        "explained": {
            "waiting": explained["waiting"],
            "unexplained": explained["unexplained"],
            "seconds": round(explained["seconds"], 3),
        },
        "limit": {"seconds": LIMIT_S},
    }
