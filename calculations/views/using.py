"""What ended attempts used: as the agent measured it, else as the scheduler's books say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from calculations.models import Attempt, Calculation

#: Endings that have a name of their own; the others are the attempt's usual word.
ENDINGS = {
    "walltime": "Out of time",
    "out_of_memory": "Out of memory",
    "cancelled_outside": "Cancelled outside",
    "submission_refused": "Refused",
}


@dataclass(frozen=True, slots=True)
class Used:
    """`efficiency` is the share of the cores' time that was computed in, `memory_share` that of the
    memory asked for; None where it is not known. `waited_s`: in the scheduler's own queue.
    """

    attempt: Attempt
    ending: str
    elapsed_s: float | None
    cpu_s: float | None
    efficiency: float | None
    memory_mib: float | None
    memory_share: float | None
    waited_s: float | None
    job: str
    nodes: str
    scheduler: str
    said: Sequence[str]


def used_of(calculation: Calculation, attempt: Attempt) -> Used:
    books: dict[str, Any] = attempt.accounting or {}
    elapsed = _first(attempt.elapsed_s, books.get("elapsed_s"))
    cpu = _first(attempt.cpu_s, books.get("cpu_s"))
    memory = _first(attempt.max_rss_mib, books.get("max_rss_mib"))
    return Used(
        attempt=attempt,
        ending=ENDINGS.get(attempt.code) or attempt.get_ending_display(),
        elapsed_s=elapsed,
        cpu_s=cpu,
        efficiency=_share(cpu, (elapsed or 0.0) * calculation.cores),
        memory_mib=memory,
        memory_share=_share(memory, calculation.memory_mib),
        waited_s=_between(books.get("submitted_at"), books.get("started_at")),
        job=attempt.scheduler_id if books else "",
        nodes=str(books.get("nodes") or ""),
        scheduler=str(books.get("state") or ""),
        said=books.get("evidence") or (),
    )


def _first(*values: Any) -> float | None:
    """The first that is known; an agent that measures nothing says 0."""
    return next((float(value) for value in values if value), None)


def _share(part: float | None, whole: float) -> float | None:
    return 100.0 * part / whole if part and whole else None


def _between(before: Any, after: Any) -> float | None:
    first, last = _moment(before), _moment(after)
    return (last - first).total_seconds() if first and last and last >= first else None


def _moment(text: Any) -> datetime | None:
    return parse_datetime(text) if isinstance(text, str) else None
