"""What is known about a finished run, and the lines that a verdict may quote from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calculations.software.endings import ending_words, signal_of
from calculations.software.espresso.inputs import BANDS_INPUT
from calculations.software.espresso.output import OUTPUT, read_output
from calculations.software.espresso.report import ErrorBox, Line, Report
from calculations.software.reading import lines
from calculations.software.results import Exit, Outcome, Verdict

STDERR = ("stderr.txt", "stderr")
MAX_NOTES = 60
# pw.x itself: 2 where SCF, 3 where the geometry did not converge.
OWN_CODES = (2, 3)


@dataclass
class Case:
    """Everything that was read about a run, and the evidence gathered so far."""

    exit: Exit
    report: Report
    stderr: list[str]
    steps: int
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
        """What was complained of on stderr and in boxes of errors, and where."""
        boxes = [f"{b.head.text} {b.text} ({OUTPUT}:{b.head.number})" for b in self.report.errors]
        return [f"{note} (stderr)" for note in self.stderr] + boxes

    @property
    def stopped(self) -> bool:
        """Whether something outside of pw.x ended it."""
        return bool(self.exit.signal or self.exit.timed_out or self.signal)

    @property
    def complete(self) -> bool:
        """All steps reported their end, and nothing contradicts that but pw.x's own codes."""
        ended = self.exit.code in (0, None, *OWN_CODES) and not self.stopped
        return ended and len(self.report.done) >= self.steps and not self.report.errors

    def quote(self, line: Line | None) -> None:
        if line is not None:
            self.evidence.append(f"{line.text} ({OUTPUT}:{line.number})")

    def quote_box(self, box: ErrorBox) -> None:
        self.evidence.append(f"{box.head.text} {box.text} ({OUTPUT}:{box.head.number})")

    def quote_stderr(self, pattern: str) -> None:
        note = next((n for n in self.stderr if re.search(pattern, n, re.IGNORECASE)), None)
        if note is not None:
            self.evidence.append(f"{note} (stderr)")

    def outcome(
        self, verdict: Verdict, code: str, message: str, remedy: str = "", **advice: Any
    ) -> Outcome:
        """`advice` is what an outcome says for another attempt: retry, restart, last_geometry."""
        ending = [f"{line.text} ({OUTPUT}:{line.number})" for line in self.report.done]
        if self.has_output and len(self.report.done) < self.steps:
            where = f" of step {len(self.report.done) + 1}" if self.steps > 1 else ""
            ending.append(f"no 'JOB DONE.'{where} in {OUTPUT} ({self.report.lines_read} lines)")
        ending.append(f"exit code {'unknown' if self.exit.code is None else self.exit.code}")
        evidence = tuple(dict.fromkeys([*self.evidence, *ending]))
        return Outcome(verdict, code, message, remedy, evidence, **advice)


def read_case(folder: Path, exit: Exit, report: Report | None = None) -> Case:
    output = folder / OUTPUT
    return Case(
        exit=exit,
        report=report or read_output(output),
        stderr=[note for name in STDERR for note in _notes(folder / name)],
        steps=2 if _size(folder / BANDS_INPUT) else 1,
        has_output=_size(output) > 0,
    )


def _notes(path: Path) -> list[str]:
    """The first lines of a short file that say something."""
    found = []
    for _, text in lines(path):
        stripped = text.strip()[:200]
        if stripped:
            found.append(stripped)
        if len(found) >= MAX_NOTES:
            break
    return found


def _size(path: Path) -> int:
    """The bytes of a regular file, 0 for everything else."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
