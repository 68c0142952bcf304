"""A program for the agent's tests: a shell script given as a parameter, judged by its exit code.

Files named hold-<step> in the folder `signals` make the plug-in wait in that step, so that a test
can kill the agent there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calculations.software.base import Analysis, Resources, Software
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Exit, Outcome, Progress, Quantity, Results, Verdict


def _double(results: Results, parameters: Mapping[str, Any]) -> Results:
    lines = results.quantity("lines")
    return Results((Quantity("double", "Double", 2 * int(lines.value if lines else 0)),))


def _quadruple(results: Results, parameters: Mapping[str, Any]) -> Results:
    double = results.quantity("double")
    return Results((Quantity("quadruple", "Quadruple", 2 * int(double.value if double else 0)),))


def _breaks(results: Results, parameters: Mapping[str, Any]) -> Results:
    raise RuntimeError("this analysis always breaks")


class Probe(Software):
    name = "probe"
    label = "Probe"
    parameters = (
        Parameter("script", "Script", Kind.TEXT, default="true", lines=20),
        Parameter("signals", "Signals", Kind.TEXT, default="", required=False),
    )
    analyses = (
        Analysis("quadruple", "Quadruple", "run", _quadruple, requires=("double",)),
        Analysis("double", "Double", "run", _double),
        Analysis("breaks", "Breaks", "run", _breaks),
    )
    carry = ("state*",)
    retrieve = ("*.dat",)
    log_file = "probe.out"

    def prepare(self, parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> dict[str, str]:
        self._hold(parameters.get("signals", ""), "prepare")
        if parameters.get("script") == "raise":
            raise RuntimeError("prepare is broken")
        files = {"program.sh": parameters["script"], "carried.txt": " ".join(carried)}
        if parameters.get("extra"):
            files[parameters["extra"]] = "text"
        return files

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        return ["sh", "program.sh", parameters.get("signals", "")]

    def environment(self, site: Mapping[str, str]) -> dict[str, str]:
        return {"PROBE_NEEDS": "this"}

    def discover(self, site: Mapping[str, str]) -> str | None:
        return "1.0"

    def progress(self, tail: str) -> Progress | None:
        steps = [line for line in tail.splitlines() if line.startswith("step")]
        return Progress(len(steps), None, "step") if steps else None

    def judge(self, folder: Path, exit: Exit) -> Outcome:
        script = (folder / "program.sh").read_text()
        if "judge-raises" in script:
            raise RuntimeError("judge is broken")
        holds = [word for word in script.split() if word.startswith("signals=")]
        if holds:
            self._hold(holds[0].partition("=")[2], "judge")
        if exit.timed_out:
            return Outcome(Verdict.FAILED, "walltime", "over time")
        if exit.code != 0:
            return Outcome(Verdict.FAILED, "program_error", f"exit code {exit.code}")
        return Outcome(Verdict.VALID, "done", "done", evidence=("exit code 0",))

    def extract(self, folder: Path) -> Results:
        try:
            lines = (folder / self.log_file).read_text(errors="replace").count("\n")
        except OSError:
            lines = -1
        return Results((Quantity("lines", "Lines", lines),))

    def _hold(self, signals: str, step: str) -> None:
        folder = Path(signals)
        if not signals or not (folder / f"hold-{step}").exists():
            return
        (folder / f"in-{step}").touch()
        while (folder / f"hold-{step}").exists():
            time.sleep(0.005)
