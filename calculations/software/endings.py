"""Endings that mean the same for every program: cancelled, out of time, memory or disk, ended from
outside, without output.

Called by the verdicts of plug-ins, whose cases quote their own evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from calculations.software.results import Exit, Outcome, Verdict

HANGUP, INTERRUPT, KILL, TERM = 1, 2, 9, 15
FROM_OUTSIDE = frozenset({HANGUP, INTERRUPT, KILL, TERM})
SIGNALS = {
    4: "illegal instruction",
    6: "abort",
    7: "bus error",
    8: "arithmetic error",
    9: "kill",
    11: "segmentation fault",
}
OUT_OF_MEMORY = re.compile(
    r"out of memory|oom[-_ ]?kill|oom_kill|cannot allocate|allocation would exceed|bad_alloc"
    r"|insufficient virtual memory|error allocating|exceeded .*memory limit",
    re.IGNORECASE,
)
DISK_FULL = re.compile(
    r"no space left on device|disk quota exceeded|\bENOSPC\b|file ?system (?:is )?full",
    re.IGNORECASE,
)


# By the word of a batch scheduler, whatever the program itself has left: code, message, remedy.
BY_SCHEDULER = {
    "out_of_memory": (
        "out_of_memory",
        "The scheduler ended the run since it needed more memory than it had asked for.",
        "Ask for more memory, or make the calculation smaller.",
    ),
    "cancelled": (
        "cancelled_outside",
        "The job was cancelled in the cluster's queue, not by this portal.",
        "Ask the operator of the cluster why, or submit the run again.",
    ),
}


class EndedCase(Protocol):
    """What a verdict knows of a run: how it ended, and how an outcome is made of it."""

    exit: Exit
    has_output: bool
    evidence: list[str]

    @property
    def signal(self) -> int | None: ...

    @property
    def complete(self) -> bool: ...

    @property
    def said(self) -> Iterable[str]:
        """What the program complained of, each line with where it stands behind it."""
        ...

    def outcome(self, verdict: Verdict, code: str, message: str, remedy: str = "") -> Outcome: ...


def signal_of(exit: Exit) -> int | None:
    """The signal that ended a program, also where a shell has put it into the code."""
    if exit.signal:
        return exit.signal
    in_code = exit.code is not None and 128 < exit.code < 128 + 65
    return exit.code - 128 if exit.code is not None and in_code else None


def ending_words(exit: Exit) -> str:
    """The exit code and, where there is one, the signal in words."""
    code = "an unknown exit code" if exit.code is None else f"exit code {exit.code}"
    signal = signal_of(exit)
    return code if signal is None else f"{code} ({SIGNALS.get(signal, f'signal {signal}')})"


def ended_by_scheduler(exit: Exit, evidence: Iterable[str]) -> Outcome | None:
    """Return the outcome that a scheduler's word makes certain, None where the program's output has
    to be read.
    """
    known = BY_SCHEDULER.get(exit.ending)
    return known and Outcome(Verdict.FAILED, *known, tuple(evidence))


def cancelled(case: EndedCase) -> Outcome | None:
    if not case.exit.cancelled:
        return None
    return case.outcome(
        Verdict.FAILED,
        "cancelled",
        "The run was cancelled before its end.",
        "Submit it again if it is still wanted.",
    )


def killed(case: EndedCase) -> Outcome | None:
    if case.signal not in FROM_OUTSIDE:
        return None
    return case.outcome(
        Verdict.FAILED,
        "killed",
        f"The run was ended from outside by signal {case.signal}.",
        "Signal 9 often means that memory ran out: ask for more, otherwise submit the run again."
        if case.signal == KILL
        else "Submit the run again; ask the operator of the cluster if it happens twice.",
    )


def out_of_memory(case: EndedCase, lower: str) -> Outcome | None:
    """`lower` names what makes the program need less."""
    if not _said(case, OUT_OF_MEMORY):
        return None
    return case.outcome(
        Verdict.FAILED,
        "out_of_memory",
        "The run needed more memory than it was given.",
        f"Ask for more memory, or lower {lower}.",
    )


def disk_full(case: EndedCase) -> Outcome | None:
    if not _said(case, DISK_FULL):
        return None
    return case.outcome(
        Verdict.FAILED,
        "disk_full",
        "The disk of the cluster was full, or a quota was reached.",
        "Free room in the cluster's work folder (old raw files may be purged), then retry.",
    )


def _said(case: EndedCase, pattern: re.Pattern[str]) -> bool:
    if case.complete:
        return False
    lines = [line for line in case.said if pattern.search(line)]
    case.evidence += lines[:2]
    return bool(lines)


def out_of_time(case: EndedCase, where: str, start: str) -> Outcome | None:
    """`where` says how far it was, `start` from what it may go on."""
    if not case.exit.timed_out:
        return None
    return case.outcome(
        Verdict.FAILED,
        "walltime",
        f"The time limit ended the run{where}.",
        f"Ask for more time or more cores, or start from the {start} of this run.",
    )


def without_output(case: EndedCase, program: str, settings: str, file: str) -> Outcome | None:
    """`settings` is what the cluster's settings of the program are called."""
    if case.has_output:
        return None
    case.evidence.append(f"{file} is absent or empty")
    case.evidence += list(case.said)[:3]
    return case.outcome(
        Verdict.FAILED,
        "no_output",
        f"{program} wrote no output.",
        f"Check the cluster's settings for {settings} (executable, launcher): it may not have "
        "started.",
    )
