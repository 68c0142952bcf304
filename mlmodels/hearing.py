"""What an agent's entry changes about a replica, and what the agent is answered. Pure: the same
entry twice changes nothing the second time, and nothing follows from an entry that is not there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from clusters.agent.protocol import ReplicaState, ServingVerb
from mlmodels.states import ReplicaWanted

ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9._-]{1,80}):(\d{1,5})")
RUNS = frozenset({ReplicaState.STARTING, ReplicaState.READY, ReplicaState.UNHEALTHY})
ENDED = frozenset({ReplicaState.STOPPING, ReplicaState.STOPPED})
STATES = frozenset(state.value for state in ReplicaState)
KEPT = (
    "revision",
    "runtime",
    "launch",
    "again_at",
    "ping",
    "check",
    "exit",
    "usage",
    "gpus",
    "prepared",
    "tail",
)
MOST_WHY, MOST_LINES, MOST_LINE, MOST_TEXT, MOST_ITEMS = 500, 60, 500, 300, 64
MOST_NUMBER = 2**31 - 1
CLOCKS = timedelta(minutes=5)  # an agent's clock that is further ahead is not believed

Entry = Mapping[str, Any]


class BadEntry(ValueError):
    """It names no replica, or no state that this portal knows."""


def generation_of(entry: Entry) -> int:
    return _count(entry.get("generation"))


def is_old(entry: Entry, generation: int) -> bool:
    """It tells of a server that is to be replaced: its state is not the replica's any more."""
    return generation_of(entry) < generation


def is_late(entry: Entry, before: Mapping[str, Any]) -> bool:
    """Whether it was overtaken on its way by `before`, what the agent said later: two exchanges of
    one agent may be under way at once.
    """
    revision, known = entry.get("revision"), before.get("revision")
    return isinstance(revision, int) and isinstance(known, int) and revision < known


def heard(entry: Entry, *, state: str, moment: datetime) -> dict[str, Any]:
    """The columns that the entry says, as they shall be; `state`: what was known before. Raises
    BadEntry.
    """
    told = str(entry.get("state", ""))
    if told not in STATES:
        raise BadEntry(told)
    columns: dict[str, Any] = {
        "state": told,
        "why": _text(entry.get("why"), MOST_WHY),
        "told_generation": generation_of(entry),
        "address": _address(entry.get("address")) if told in RUNS else "",
        "launch": _count(entry.get("launch")),
        "restarts": _count(entry.get("restarts")),
        "started_at": _moment(entry.get("started_at"), moment),
        "ready_at": _moment(entry.get("ready_at"), moment) if told in RUNS else None,
        "report": report_of(entry),
    }
    if told != state:
        columns["since"] = moment
    pinged = _moment(_part(entry, "ping").get("ok_at"), moment)
    if pinged is not None:
        columns["pinged_at"] = pinged
    check = _part(entry, "check")
    if check.get("ok") is True and (at := _moment(check.get("at"), moment)) is not None:
        columns["answered_at"] = at
    return columns


def report_of(entry: Entry) -> dict[str, Any]:
    """What is kept of the entry to be shown, however odd or large it came."""
    report = {name: _bounded(entry[name]) for name in KEPT if name in entry and name != "tail"}
    tail = entry.get("tail")
    if isinstance(tail, Sequence) and not isinstance(tail, str):
        report["tail"] = [_text(line, MOST_LINE) for line in tail[-MOST_LINES:]]
    return report


def answer(wanted: str, entry: Entry | None, generation: int) -> ServingVerb | None:
    """The verb for a replica that is not removed; None where there is nothing to say. `entry` None:
    the agent does not list it.
    """
    if wanted == ReplicaWanted.SERVE:
        known = entry is not None and not is_old(entry, generation)
        return ServingVerb.KEEP if known else ServingVerb.SERVE
    if wanted == ReplicaWanted.REMOVE:
        return ServingVerb.REMOVE
    return ServingVerb.STOP if entry is not None else None


def is_urgent(verb: ServingVerb, entry: Entry | None, *, told_before: bool) -> bool:
    """Whether the agent should hear it at once: not what it is doing already, so that nobody talks
    without a pause while a server takes its time to end. `told_before`: that it is to be removed.
    """
    if verb == ServingVerb.SERVE:
        return True
    ends = entry is not None and entry.get("state") in ENDED
    if verb == ServingVerb.STOP:
        return not ends
    return verb == ServingVerb.REMOVE and not told_before


def _part(entry: Entry, name: str) -> Mapping[str, Any]:
    told = entry.get(name)
    return told if isinstance(told, Mapping) else {}


def _count(value: Any) -> int:
    good = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), MOST_NUMBER) if good else 0


def _text(value: Any, most: int) -> str:
    return str(value).replace("\0", "")[:most] if value not in (None, "") else ""


def _address(value: Any) -> str:
    """host:port, as proxies call it; "" for what they could not."""
    match = ADDRESS.fullmatch(value) if isinstance(value, str) else None
    return value if match and 0 < int(match[1]) < 65_536 else ""


def _moment(value: Any, now: datetime) -> datetime | None:
    """A time of the agent's clock; what lies ahead of ours is now."""
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or moment > now + CLOCKS:
        return None
    return min(moment, now)


def _bounded(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return _text(value, MOST_TEXT)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if depth > 3:
        return None
    if isinstance(value, Mapping):
        return {
            _text(key, 60): _bounded(one, depth + 1)
            for key, one in list(value.items())[:MOST_ITEMS]
        }
    if isinstance(value, Sequence):
        return [_bounded(one, depth + 1) for one in value[:MOST_ITEMS]]
    return None
