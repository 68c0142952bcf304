"""`make chaos`: plays every scenario of the table, then a storm; prints what came of each, and the
sums as JSON in the last line. Ends with 1 where a run was lost or doubled.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labportal.settings")

from tests.chaos.audit import Tally
from tests.chaos.lab import Absent, Lab
from tests.chaos.playing import LABS, Scenario, open_lab_of, play
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.storm import Storm

REPORTS = Path("test-results/chaos")


class Table:
    """The rows as they come, and their sums."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.played = self.failed = 0
        self.left_out: list[str] = []

    def head(self) -> None:
        print(
            f"{'':6} {'s':>5} {'runs':>4} {'orphans':>7}  {'site':10} {'stage':22} what is broken"
        )

    def row(self, scenario: Scenario, seconds: float, tally: Tally | None, word: str) -> None:
        runs, orphans = (tally.runs, tally.orphans) if tally else ("", "")
        print(
            f"{word:6} {seconds:5.1f} {runs:>4} {orphans:>7}  {scenario.site:10} "
            f"{scenario.stage:22.22} {scenario.breaks} ({scenario.name})",
            flush=True,
        )


def play_all(scenarios: Iterable[Scenario], table: Table) -> None:
    table.head()
    for name in LABS:
        of_lab = [scenario for scenario in scenarios if scenario.lab == name]
        if of_lab:
            with open_lab_of(name) as lab:
                for scenario in of_lab:
                    _play(scenario, lab, table)


def _play(scenario: Scenario, lab: Lab, table: Table) -> None:
    began = time.monotonic()
    try:
        tally = play(scenario, lab)
    except Absent as absent:
        table.left_out.append(f"{scenario.site}: {absent}")
        table.row(scenario, 0.0, None, "absent")
        return
    except Exception:
        table.failed += 1
        table.row(scenario, time.monotonic() - began, None, "WRONG")
        REPORTS.mkdir(parents=True, exist_ok=True)
        (REPORTS / f"{scenario.id}.txt").write_text(traceback.format_exc())
        _add_up(table, lab)
        lab.give_up()
        return
    table.played += 1
    table.tally.add(tally)
    table.row(scenario, time.monotonic() - began, tally, "ok")


def _add_up(table: Table, lab: Lab) -> None:
    """What a scenario that went wrong has lost or doubled counts too."""
    from tests.chaos.audit import audit

    with contextlib.suppress(Exception):
        table.tally.add(audit(lab, lab.works))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--runs", type=int, default=2000, help="of the storm; 0: no storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", default="", help="scenarios that begin so, such as ssh:; - for none"
    )
    options = parser.parse_args()
    began, table = time.monotonic(), Table()
    chosen = [s for s in SCENARIOS if s.id.startswith(options.only)] if options.only != "-" else []
    play_all(chosen, table)
    storm = Storm(options.runs, options.seed)
    if options.runs:
        print(f"\nstorm of {options.runs} runs, seed {options.seed}", flush=True)
        table.tally.add(storm.play())
        _tell(storm)
    for wrong in table.tally.wrong:
        print(f"WRONG: {wrong}")
    seconds = time.monotonic() - began
    tally = table.tally
    print(
        json.dumps(
            {
                "name": "chaos",
                "scenarios": table.played,
                "failed": table.failed,
                "left_out": len(table.left_out),
                "n": tally.runs,
                "runs": tally.runs,
                "storm_runs": sum(storm.states.values()),
                "storm_s": round(storm.seconds, 1),
                "broken": storm.broken.total(),
                "given_up": storm.states.get("failed", 0),
                "orphans": tally.orphans,
                "adopted": tally.adopted,
                "seed": options.seed,
                "seconds": round(seconds, 1),
                "per_s": round(tally.runs / seconds, 2),
                "lost": tally.lost,
                "doubled": tally.doubled,
            }
        )
    )
    return 1 if table.failed or tally.lost or tally.doubled or tally.wrong else 0


def _tell(storm: Storm) -> None:
    print(f"\n{'times':>5}  what was broken")
    for name, times in sorted(storm.broken.items()):
        print(f"{times:5}  {name}")
    print(f"attempts by site: {storm.attempts}; runs by state: {storm.states}")
    for words, times in storm.given_up.items():
        print(f"given up after {times}: {words}")
    print(f"held, and let in again by the operator: {dict(storm.held)}")
    for absent in storm.absent:
        print(f"left out: {absent}")


if __name__ == "__main__":
    sys.exit(main())
