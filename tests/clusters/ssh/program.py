"""A program whose runs take a file along and leave one: a shell script given as a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Resources, Software
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Exit, Outcome, Quantity, Results, Verdict


class Courier(Software):
    name = "courier"
    label = "Courier"
    parameters = (
        Parameter("script", "Script", Kind.TEXT, default="true", lines=20),
        Parameter("takes", "File taken along", Kind.TEXT, default="", required=False),
        Parameter("value", "Value", Kind.NUMBER, default=0.0, required=False, sweepable=True),
    )
    carry = ("state.txt",)
    retrieve = ("*.dat",)
    log_file = "courier.out"
    main_result = "lines"

    def needed_files(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(filter(None, (parameters.get("takes"),)))

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        return {"program.sh": parameters["script"]}

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        return ["sh", "program.sh"]

    def discover(self, site: Mapping[str, str]) -> str | None:
        return "1"

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        good = exit.code == 0
        return Outcome(Verdict.VALID if good else Verdict.FAILED, "done", f"Code {exit.code}.")

    def extract(self, folder: Path) -> Results:
        lines = (folder / self.log_file).read_text().splitlines()
        return Results((Quantity("lines", "Lines", len(lines)),))
