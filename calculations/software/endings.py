"""Endings that mean the same for every program: cancelled, or ended from outside by a signal.

Called by the verdicts of plug-ins, whose cases quote their own evidence.
"""

from __future__ import annotations

import re
from typing import Protocol

from calculations.software.results import Exit, Outcome, Verdict

HANGUP, INTERRUPT, KILL, TERM = 1, 2, 9, 15
FROM_OUTSIDE = frozenset({HANGUP, INTERRUPT, KILL, TERM})
OUT_OF_MEMORY = re.compile(
    r"out of memory|oom[-_ ]?kill|oom_kill|cannot allocate|allocation would exceed|bad_alloc"
    r"|insufficient virtual memory|error allocating|exceeded .*memory limit",
    re.IGNORECASE,
)


class EndedCase(Protocol):
    """What a verdict knows of a run: how it ended, and how an outcome is made of it."""

    exit: Exit

    @property
    def signal(self) -> int | None: ...

    def outcome(self, verdict: Verdict, code: str, message: str, remedy: str = "") -> Outcome: ...


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
