"""A program whose every execution leaves a mark, and which waits wherever a test holds it.

The parameter `folder` names a folder of marks: a line in `ran` per execution; `in-<step>` says that
a step has begun; while `hold-<step>` exists the step waits (prepare, run, judge). Where it holds
`keep`, a file is sent to the portal. The agent carries this file: standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Exit, Outcome, Quantity, Results, Verdict

LONGEST_S = 60.0
# The working directory names run and attempt, so that a mark tells which attempt was executed.
PROGRAM = """
pwd >>"$0/ran"
while [ -e "$0/hold-run" ]; do sleep 0.02; done
sleep "$1"
[ ! -e "$0/keep" ] || cat "$0/keep" >kept.txt
"""


class Chaos(Software):
    name = "chaos"
    label = "Chaos"
    parameters = (
        Parameter("folder", "Folder of marks", Kind.TEXT),
        Parameter("number", "Number", Kind.INTEGER, default=0, required=False, sweepable=True),
        Parameter("seconds", "Seconds of sleep", Kind.NUMBER, default=0.0, required=False),
        Parameter("failures", "Tries that fail", Kind.INTEGER, default=0, required=False),
        Parameter("tries", "Tries so far", Kind.INTEGER, default=0, required=False),
    )
    retrieve = ("kept.txt",)
    retried = ("not_yet",)
    main_result = "executions"

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        folder = _marks(parameters)
        _wait(folder, "prepare")
        return {"marks.txt": str(folder), "failures.txt": str(parameters.get("failures") or 0)}

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        seconds = str(parameters.get("seconds") or 0)
        return ["sh", "-c", PROGRAM, str(_marks(parameters)), seconds]

    def discover(self, site: Mapping[str, str]) -> str | None:
        return "1"

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        marks = Path((folder / "marks.txt").read_text())
        _wait(marks, "judge")
        if exit.code != 0:
            return Outcome(Verdict.FAILED, "program_error", f"Ended with exit code {exit.code}.")
        executions = len((marks / "ran").read_text().splitlines())
        if executions <= int((folder / "failures.txt").read_text()):
            advice = {"tries": executions}
            return Outcome(Verdict.NOT_VALID, "not_yet", "Try again.", retry=advice)
        return Outcome(Verdict.VALID, "done", "Ended with exit code 0.")

    def extract(self, folder: Path) -> Results:
        ran = Path((folder / "marks.txt").read_text()) / "ran"
        count = len(ran.read_text().splitlines())
        return Results((Quantity("executions", "Executions", count),))


def _marks(parameters: Mapping[str, Any]) -> Path:
    """Each run of a sweep has marks of its own."""
    return Path(parameters["folder"]) / str(parameters.get("number") or 0)


def _wait(folder: Path, step: str) -> None:
    (folder / f"in-{step}").touch()
    deadline = time.monotonic() + LONGEST_S
    while (folder / f"hold-{step}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
