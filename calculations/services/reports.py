"""An agent's terminal report of a run: read from JSON with care, since the other side may be old,
broken or hostile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from calculations.services import jobs
from calculations.software.canonical import MAX_NAME, MOST_LOST, results_sha256
from calculations.software.execution import COMPUTED, FAILED, MAX_PROBLEM, MISSING
from calculations.software.results import Outcome, Results, Verdict

MAX_TEXT = 4000
MAX_CHANGES = 20


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    name: str
    version: int
    input_sha256: str
    results: Results
    status: str = COMPUTED
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FileReport:
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FinishReport:
    """How an attempt ended, what it found and which files it left."""

    outcome: Outcome
    exit_code: int | None
    exit_signal: int | None
    started_at: datetime | None
    finished_at: datetime | None
    elapsed_s: float | None
    cpu_s: float | None
    max_rss_mib: float | None
    results: Results
    analyses: tuple[AnalysisReport, ...]
    files: tuple[FileReport, ...]
    results_sha256: str = ""
    not_finite: tuple[str, ...] = ()
    disk_bytes: int | None = None
    scheduler_id: str = ""
    accounting: Mapping[str, Any] = field(default_factory=dict)


DAMAGED = "its results are not what the agent hashed"


def damaged_report() -> dict[str, Any]:
    """What takes the place of results that arrived damaged, twice."""
    outcome = Outcome(
        Verdict.FAILED,
        "results_damaged",
        "The results arrived, but not as the agent had found them.",
        "Update the cluster's agent, then retry; or let an admin adopt what arrived.",
        (DAMAGED,),
    )
    empty: dict[str, Any] = {"quantities": [], "datasets": []}
    return {"outcome": outcome.to_json(), "results": empty, "analyses": [], "files": []}


def read_report(document: Mapping[str, Any]) -> FinishReport:
    """Never raises: a report that cannot be read becomes a failed outcome `unreadable_report`."""
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        outcome = Outcome(
            Verdict.FAILED,
            "unreadable_report",
            "The agent's report could not be read.",
            "Update the agent of this cluster, then retry.",
            (f"{type(error).__name__}: {error}"[:MAX_TEXT],),
        )
        return FinishReport(outcome, None, None, None, None, None, None, None, Results(), (), ())


def _read(document: Mapping[str, Any]) -> FinishReport:
    ended, usage = document.get("exit") or {}, document.get("usage") or {}
    return FinishReport(
        outcome=_cut(Outcome.from_json(document["outcome"])),
        exit_code=_integer(ended.get("code")),
        exit_signal=_integer(ended.get("signal")),
        started_at=_moment(document.get("started_at")),
        finished_at=_moment(document.get("finished_at")),
        elapsed_s=_number(usage.get("elapsed_s")),
        cpu_s=_number(usage.get("cpu_s")),
        max_rss_mib=_number(usage.get("max_rss_mib")),
        results=Results.from_json(document.get("results") or {}),
        analyses=tuple(
            AnalysisReport(
                str(item["name"])[:60],
                int(item.get("version", 1)),
                str(item.get("input_sha256", ""))[:64],
                Results.from_json(item.get("results") or {}),
                _status(item.get("status")),
                str(item.get("problem", ""))[:MAX_PROBLEM],
            )
            for item in document.get("analyses") or ()
        ),
        files=tuple(
            FileReport(str(item["name"])[:200], int(item["size"]), str(item["sha256"])[:64])
            for item in document.get("files") or ()
        ),
        results_sha256=results_sha256(document.get("results") or {}),
        not_finite=tuple(str(name)[:MAX_NAME] for name in document.get("not_finite") or ())[
            :MOST_LOST
        ],
        disk_bytes=_bytes(document.get("disk_bytes")),
        scheduler_id=jobs.scheduler_id(document),
        accounting=jobs.accounting(document),
    )


def _status(value: Any) -> str:
    """Agents of before say nothing: what they report, they have computed."""
    return value if value in (COMPUTED, MISSING, FAILED) else COMPUTED


def _cut(outcome: Outcome) -> Outcome:
    return Outcome(
        outcome.verdict,
        outcome.code[:60],
        outcome.message[:MAX_TEXT],
        outcome.remedy[:MAX_TEXT],
        tuple(line[:MAX_TEXT] for line in outcome.evidence[:50]),
        dict(list(outcome.retry.items())[:MAX_CHANGES]),
        outcome.restart[:MAX_CHANGES],
        outcome.last_geometry,
    )


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _bytes(value: Any) -> int | None:
    """A size as the database bears it; anything else is not known."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value < 2**63 else None


def _moment(value: Any) -> datetime | None:
    moment = parse_datetime(value) if isinstance(value, str) else None
    return moment if moment is not None and moment.tzinfo is not None else None
