"""What is known about a finished run, and the lines that a verdict may quote from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from calculations.software.results import Exit, Outcome, Verdict
from calculations.software.siesta.files import read_notes
from calculations.software.siesta.output import OUTPUT, Line, Report, read_output

SIGNALS = {
    4: "illegal instruction",
    6: "abort",
    7: "bus error",
    8: "arithmetic error",
    9: "kill",
    11: "segmentation fault",
}
STDERR = ("stderr.txt", "stderr")


@dataclass
class Case:
    """Everything that was read about a run, and the evidence gathered so far."""

    exit: Exit
    report: Report
    messages: list[str]
    stderr: list[str]
    normal_exit: bool
    has_output: bool
    evidence: list[str] = field(default_factory=list)

    @property
    def signal(self) -> int | None:
        if self.exit.signal:
            return self.exit.signal
        return (
            self.exit.code - 128
            if self.exit.code is not None and 128 < self.exit.code < 128 + 65
            else None
        )

    @property
    def ending(self) -> str:
        """The exit code and, where there is one, the signal in words."""
        code = "an unknown exit code" if self.exit.code is None else f"exit code {self.exit.code}"
        signal = self.signal
        return code if signal is None else f"{code} ({SIGNALS.get(signal, f'signal {signal}')})"

    @property
    def complete(self) -> bool:
        """SIESTA said that it had finished, and nothing about its end contradicts that."""
        ended_well = (
            self.exit.code in (0, None) and not self.exit.signal and not self.exit.timed_out
        )
        return ended_well and self.report.completed is not None

    def quote(self, line: Line | None) -> None:
        if line is not None:
            self.evidence.append(f"{line.text} ({OUTPUT}:{line.number})")

    def quote_notes(self, pattern: str) -> bool:
        """Quote the first matching line of MESSAGES and of stderr; True where there is one."""
        found = False
        for name, notes in (("MESSAGES", self.messages), ("stderr", self.stderr)):
            line = next((note for note in notes if re.search(pattern, note, re.IGNORECASE)), None)
            if line is not None:
                self.evidence.append(f"{line} ({name})")
                found = True
        return found

    def outcome(self, verdict: Verdict, code: str, message: str, remedy: str = "") -> Outcome:
        ending = []
        if self.report.completed:
            ending.append(f"{self.report.completed.text} ({OUTPUT}:{self.report.completed.number})")
        elif self.has_output:
            ending.append(f"no 'Job completed' in {OUTPUT} ({self.report.lines_read} lines)")
        ending.append("0_NORMAL_EXIT present" if self.normal_exit else "0_NORMAL_EXIT absent")
        ending.append(f"exit code {'unknown' if self.exit.code is None else self.exit.code}")
        return Outcome(
            verdict, code, message, remedy, tuple(dict.fromkeys([*self.evidence, *ending]))
        )


def read_case(folder: Path, exit: Exit) -> Case:
    output = folder / OUTPUT
    return Case(
        exit=exit,
        report=read_output(output),
        messages=read_notes(folder / "MESSAGES"),
        stderr=[note for name in STDERR for note in read_notes(folder / name)],
        normal_exit=_exists(folder / "0_NORMAL_EXIT"),
        has_output=_exists(output) and _size(output) > 0,
    )


def _exists(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
