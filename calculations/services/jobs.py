"""What a cluster's scheduler tells of a run's job: why it waits, its id, what the books say.

Read with care, since the other side may be old, broken or hostile; kept on the run and its attempts
by `execution.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_datetime

from calculations.models import Run
from calculations.signals import time_ending
from labportal.common.clock import now

MAX_ID, MAX_WORD, MAX_TEXT = 64, 60, 300
PENDING = {"reason": MAX_WORD, "text": MAX_TEXT, "partition": MAX_WORD, "expected_start": MAX_WORD}
NUMBERS = ("exit_code", "signal", "elapsed_s", "cpu_s", "max_rss_mib")
WORDS = {
    "kind": MAX_WORD,
    "id": MAX_ID,
    "state": MAX_WORD,
    "nodes": 2000,
    "submitted_at": MAX_WORD,
    "started_at": MAX_WORD,
    "finished_at": MAX_WORD,
}
MOST_LINES = 20
LONGEST_WARNING_S = 86400


def job_columns(run: Run, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run's columns that an agent's entry changes."""
    columns = {
        "scheduler_id": scheduler_id(entry) or run.scheduler_id,
        "pending": pending(entry),
        "walltime_ends_at": run.walltime_ends_at or walltime_end(entry),
    }
    return {name: value for name, value in columns.items() if value != getattr(run, name)}


def attempt_columns(run: Run, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the record of an ended attempt keeps."""
    return {
        "scheduler_id": scheduler_id(entry) or run.scheduler_id,
        "accounting": accounting(entry),
    }


def walltime_end(entry: Mapping[str, Any]) -> datetime | None:
    """When the walltime is over, by an agent that says it is soon."""
    left = entry.get("walltime_left_s")
    good = type(left) in (int, float) and 0 <= left <= LONGEST_WARNING_S
    return now() + timedelta(seconds=left) if good else None


def tell_of_ends(changed: Mapping[Any, Mapping[str, Any]]) -> None:
    """Have people told whose runs, by the columns that were just written, end soon."""
    soon = [pk for pk, columns in changed.items() if columns.get("walltime_ends_at")]
    if soon:
        transaction.on_commit(lambda: time_ending.send(sender=Run, run_ids=soon))


def scheduler_id(entry: Mapping[str, Any]) -> str:
    return _word(entry.get("scheduler_id"), MAX_ID)


def pending(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Why a job waits, and where nothing has been heard of it, since when; None: neither."""
    since = _moment(_word(entry.get("unknown_since"), MAX_WORD))
    if since is not None:
        heard = parse_datetime(since)
        text = f"The scheduler has said nothing of this job since {heard:%Y-%m-%d %H:%M} UTC"
        return {"reason": "Unknown", "text": text, "partition": "", "expected_start": None}
    told = entry.get("pending")
    if not isinstance(told, Mapping):
        return None
    found: dict[str, Any] = {name: _word(told.get(name), most) for name, most in PENDING.items()}
    found["expected_start"] = _moment(found["expected_start"])
    return found


def accounting(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What the books say, as agent/schedulers/base.py describes; {} where they said nothing."""
    told = entry.get("accounting")
    if not isinstance(told, Mapping) or not told:
        return {}
    found: dict[str, Any] = {name: _word(told.get(name), most) for name, most in WORDS.items()}
    for name in ("submitted_at", "started_at", "finished_at"):
        found[name] = _moment(found[name])
    for name in NUMBERS:
        value = told.get(name)
        found[name] = value if type(value) in (int, float) and abs(value) < 1e15 else None
    lines = told.get("evidence")
    lines = lines if isinstance(lines, list) else []
    found["evidence"] = [_word(line, MAX_TEXT) for line in lines[:MOST_LINES]]
    return found


def _word(value: Any, most: int) -> str:
    """Text as the database bears it."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).replace("\0", "")[:most].encode(errors="replace").decode()


def _moment(text: str) -> str | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return text if moment is not None and moment.tzinfo is not None else None
