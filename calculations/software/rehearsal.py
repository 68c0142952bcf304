"""A program that does nothing, with which `manage.py rehearse` tries clusters that are none.

Scientists are not offered it, and an agent has it only where its settings name a folder of marks:
each execution leaves its folder's name there, in the file `ran`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Exit, Outcome, Quantity, Results, Verdict

PROGRAM = 'pwd >>"$0/ran"; sleep "$1"'


class Rehearsal(Software):
    name = "rehearsal"
    label = "Rehearsal"
    description = "Does nothing for a while, on clusters that are none."
    offered = False
    parameters = (
        Parameter("number", "Number", Kind.INTEGER, default=0, required=False, sweepable=True),
        Parameter("seconds", "Duration", Kind.NUMBER, default=1.0, unit="s", minimum=0),
    )
    main_result = "exit_code"

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        return {}

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        return ["sh", "-c", PROGRAM, site.get("marks", "."), str(parameters.get("seconds", 1))]

    def discover(self, site: Mapping[str, str]) -> str | None:
        return "1" if Path(site.get("marks") or "/nowhere").is_dir() else None

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        if exit.timed_out:
            return Outcome(Verdict.FAILED, "walltime", "The walltime was over.", "Ask for more.")
        if exit.signal:
            return Outcome(Verdict.FAILED, "killed", f"Killed by signal {exit.signal}.")
        if exit.code != 0:
            return Outcome(Verdict.FAILED, "program_error", f"Ended with exit code {exit.code}.")
        return Outcome(Verdict.VALID, "done", "Ended with exit code 0.")

    def extract(self, folder: Path) -> Results:
        return Results((Quantity("exit_code", "Exit code", 0),))
