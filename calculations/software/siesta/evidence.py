"""What is known about a finished run, and the lines that a verdict may quote from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calculations.software.endings import ending_words, signal_of
from calculations.software.results import Exit, Outcome, Verdict
from calculations.software.siesta.files import read_notes
from calculations.software.siesta.output import OUTPUT, Line, Report, read_output

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
        return signal_of(self.exit)

    @property
    def ending(self) -> str:
        return ending_words(self.exit)

    @property
    def said(self) -> list[str]:
        """What was complained of on stderr, in MESSAGES and in the output, and where."""
        noted = [f"{note} (stderr)" for note in self.stderr]
        noted += [f"{note} (MESSAGES)" for note in self.messages]
        return noted + [f"{e.text} ({OUTPUT}:{e.number})" for e in self.report.errors]

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

    def outcome(
        self, verdict: Verdict, code: str, message: str, remedy: str = "", **advice: Any
    ) -> Outcome:
        """`advice` is what an outcome says for another attempt: retry, restart, last_geometry."""
        ending = []
        if self.report.completed:
            ending.append(f"{self.report.completed.text} ({OUTPUT}:{self.report.completed.number})")
        elif self.has_output:
            ending.append(f"no 'Job completed' in {OUTPUT} ({self.report.lines_read} lines)")
        ending.append("0_NORMAL_EXIT present" if self.normal_exit else "0_NORMAL_EXIT absent")
        ending.append(f"exit code {'unknown' if self.exit.code is None else self.exit.code}")
        evidence = tuple(dict.fromkeys([*self.evidence, *ending]))
        return Outcome(verdict, code, message, remedy, evidence, **advice)


def read_case(folder: Path, exit: Exit, report: Report | None = None) -> Case:
    output = folder / OUTPUT
    return Case(
        exit=exit,
        report=report or read_output(output),
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
