"""Ranks from the start of the program to the reduced result, without work: seconds by world size.

The program of the plug-in is started as an agent starts it: torch is imported once, ranks are
forked, meet by gloo, pass a barrier, reduce and gather. The published system's state machine needed
4.846, 4.635, 5.029 and 6.877 s for 2, 4, 20 and 50 functions without data.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calculations.software.base import Resources
from calculations.software.registry import get_software
from calculations.software.results import Exit, Verdict

NO_SITE: Mapping[str, str] = {}
BELOW_S = {2: 4.8, 4: 4.6, 20: 5.0, 50: 6.9}  # on two cores


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, nargs="+", default=list(BELOW_S))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--collectives", choices=("gloo", "channel"), default="gloo")


def run(options: argparse.Namespace) -> dict[str, Any]:
    measured = []
    for n in options.n:
        print(f"{n} ranks", file=sys.stderr)
        rounds = [execution(n, options.collectives) for _ in range(options.rounds)]
        seconds = statistics.median(r["seconds"] for r in rounds)
        limit = BELOW_S.get(n)
        measured.append(
            {
                "n": n,
                "seconds": round(seconds, 3),
                "spread_s": [round(r["seconds"], 3) for r in rounds],
                "import_s": round(statistics.median(r["import_s"] for r in rounds), 3),
                "below_s": limit,
                "ok": limit is None or seconds < limit,
            }
        )
    return {"name": "ranks", "collectives": options.collectives, "ranks": measured}


def execution(n: int, collectives: str = "gloo") -> dict[str, float]:
    """Run the program once with `n` ranks and no data."""
    values = {"ranks": n, "partitions": 0, "collectives": collectives}
    with tempfile.TemporaryDirectory(prefix="bench-ranks-") as folder:
        seconds, found = program(Path(folder), values, Resources(cores=os.cpu_count() or 1))
    return {"seconds": seconds, "import_s": found["import_s"]}


def program(
    folder: Path, values: dict[str, Any], resources: Resources, site: Mapping[str, str] = NO_SITE
) -> tuple[float, dict[str, Any]]:
    """Run the plug-in's program in a folder; return the seconds from its start to the reduced
    result, and its quantities.
    """
    plugin = get_software("torch_inference")
    checked = plugin.check(values)
    for name, text in plugin.prepare(checked).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = plugin.command(checked, resources, {"python": sys.executable, **site})
    with (folder / plugin.log_file).open("wb") as log:
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=False)  # noqa: S603
        whole = time.perf_counter() - began
    outcome, results = plugin.assess(folder, Exit(done.returncode))
    if outcome.verdict is not Verdict.VALID:
        raise RuntimeError(f"{outcome.code}: {outcome.message}")
    found = {quantity.name: quantity.value for quantity in results.quantities}
    # What passes before the program's own clock and after the reduction counts to the whole alone.
    return whole - (found["total_s"] - found["reduced_s"]), found
