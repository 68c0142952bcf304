"""Calculations with 1,000 runs on one, two and three axes: the form's preview, results stored and
analysed, the page with its matrix, the results.

Rendered in one process by Django's test client, without a network: what the portal itself needs.
`cpu` is the time of that process, without the database's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from bench.stack import ROOT, Stack

LIMITS = {"preview_ms_p50": 1000, "matrix_ms_p50": 300, "results_ms_p50": 300, "store_1000_s": 10}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=10)


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack(durable=False) as stack:
        done = subprocess.run(  # noqa: S603  (our own interpreter)
            [sys.executable, "-m", "bench.sweep_steps", str(options.rounds)],
            cwd=ROOT,
            env=stack.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    within = all(
        kind["preview"]["ms_p50"] < LIMITS["preview_ms_p50"]
        and kind["matrix"]["ms_p50"] < LIMITS["matrix_ms_p50"]
        and kind["results"]["ms_p50"] < LIMITS["results_ms_p50"]
        and kind["store"]["seconds"] < LIMITS["store_1000_s"]
        for kind in found["kinds"].values()
    )
    return {"name": "sweep", **found, "limit": LIMITS, "within": within}
