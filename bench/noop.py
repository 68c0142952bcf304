"""A program that does nothing, to measure and to test what stands around programs.

Announce it by LABPORTAL_SOFTWARE="noop=bench.noop:Noop".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Exit, Outcome, Quantity, Results, Verdict


class Noop(Software):
    name = "noop"
    label = "No operation"
    description = "Runs true, false or sleep; judged by the exit code alone."
    parameters = (
        Parameter("value", "Value", Kind.NUMBER, default=0.0, required=False, sweepable=True),
        Parameter(
            "program",
            "Program",
            Kind.CHOICE,
            default="true",
            choices=(("true", "succeeds"), ("false", "fails"), ("sleep", "sleeps")),
            sweepable=True,
        ),
        Parameter(
            "seconds",
            "Seconds of sleep",
            Kind.NUMBER,
            default=60.0,
            unit="s",
            minimum=0,
            maximum=1e6,
            sweepable=True,
        ),
    )
    main_result = "exit_code"

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        return {}

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        program = str(parameters.get("program") or "true")
        return [program, str(parameters.get("seconds", 60))] if program == "sleep" else [program]

    def discover(self, site: Mapping[str, str]) -> str | None:
        return "1"

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
