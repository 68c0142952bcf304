"""A thousand runs of one calculation, as one array through a real Slurm; and the same jobs by
sbatch alone, for comparison.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from typing import Any

from bench.sites import KINDS, Site, portal_with
from bench.stack import Stack

LIMITS = {"times_bare": 3.0, "lost": 0, "doubled": 0}
# A thousand runs are more than anybody may have without a review.
OPEN = """
import json
from calculations.models import LabSettings
LabSettings.objects.filter(pk=LabSettings.current().pk).update(auto_approve_core_hours=10_000)
print(json.dumps(True))
"""
COUNTS = """
import json
from calculations.models import Attempt, OrphanResult, Run
states = Run.objects.filter(state="valid").count()
more = Attempt.objects.count() - Run.objects.count()
print(json.dumps([states, max(more, 0) + OrphanResult.objects.count()]))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=1200, help="at the most")


def run(options: argparse.Namespace) -> dict[str, Any]:
    missing = KINDS["slurm"].missing()
    if missing:
        return {"name": "array", "left_out": missing}
    with Stack() as stack, portal_with(stack, "slurm", slots=options.n) as site:
        bare_s = _bare(site, options.n)
        stack.python(OPEN)
        seconds = _ours(stack, options.n, options.seconds)
        valid, doubled = stack.python(COUNTS)
        submitted = site.submissions()
    found = {
        "name": "array",
        "n": options.n,
        "seconds": round(seconds, 1),
        "per_s": round(options.n / seconds, 1),
        "bare_s": round(bare_s, 1),
        "bare_per_s": round(options.n / bare_s, 1),
        "times_bare": round(seconds / bare_s, 2),
        "submissions": submitted.total(),
        "lost": options.n - valid,
        "doubled": doubled + sum(count - 1 for count in submitted.values()),
        "limit": LIMITS,
    }
    return found | {"within": all(found[name] <= most for name, most in LIMITS.items())}


def _bare(site: Site, n: int) -> float:
    """Seconds for an array of the same program without a portal."""
    command = ["sbatch", "--wait", f"--array=0-{n - 1}", "--output=/dev/null", "--wrap=true"]
    began = time.perf_counter()
    environment = {**site.stack.environment, **site.environment()}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return time.perf_counter() - began


def _ours(stack: Stack, n: int, most_s: float) -> float:
    sweep = {"parameter": "value", "values": list(range(n)), "mode": "independent"}
    asked = {"name": "array", "software": "noop", "walltime_s": 60, "sweep": sweep}
    with stack.client() as client, stack.watcher(client) as watcher:
        began = time.perf_counter()
        made = client.post("/api/v1/calculations/bulk/", {"calculations": [asked], "submit": True})
        watcher.wait_for(made[0]["id"], most_s)
        return time.perf_counter() - began
