"""The health of a model's replicas as pages and the API show it: the three signs, and what ended.

Liveness (the process), readiness (/ping) and the last good answer are three things: a server may
answer /ping for long after its model is dead.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime

from clusters.agent.protocol import ReplicaState
from clusters.agent.runtimes.base import ServingSpec
from labportal.common.clock import now
from mlmodels.models import RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.states import Purpose

PROBES_BEFORE_RESTART = ServingSpec.failures
WAITS = frozenset({ReplicaState.BACKING_OFF})
OK, TROUBLE, MOVING, OPEN = "ok", "failed", "running", "draft"
LAST = "last good"
RUNS = frozenset({ReplicaState.STARTING, ReplicaState.READY, ReplicaState.UNHEALTHY})


@dataclass(frozen=True, slots=True)
class Sign:
    """`state` gives the dot's colour, `label` is the word; `found` says how we know, and what
    happened at `when` is in `whence` ("" where that is what was found).
    """

    name: str
    state: str
    label: str
    found: str = ""
    when: datetime | None = None
    whence: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """One replica. `stale`: its cluster is silent, what stands here is what was last heard."""

    replica: Replica
    signs: tuple[Sign, Sign, Sign]
    stale: bool
    again_at: datetime | None
    ended: str
    tail: tuple[str, ...]
    cpu_percent: float | None
    memory_mib: float | None
    gpus: tuple[int, ...]
    runtime: str

    @property
    def is_up(self) -> bool:
        return self.replica.state in RUNS

    @property
    def cpu_words(self) -> str:
        """Of one core, as the tools of nodes count."""
        return f"{self.cpu_percent or 0:.0f} %"

    @property
    def label(self) -> str:
        return self.replica.get_state_display() if self.replica.state else "Not heard of yet"


def replicas_of(model: RegisteredModel) -> QuerySet[Replica]:
    """Those that serve or served it, for `health_of`."""
    rows = Replica.objects.filter(version__model=model, purpose=Purpose.SERVE)
    return rows.select_related("version", "cluster").defer(*without_heavy("version"))


def health_of(replica: Replica) -> Health:
    told = replica.report if isinstance(replica.report, Mapping) else {}
    usage = _mapping(told, "usage")
    stale = replica.cluster.is_silent()
    signs = (_process(replica, told), _readiness(replica, told), _answer(replica, told))
    return Health(
        replica=replica,
        signs=tuple(_unknown(sign) for sign in signs) if stale else signs,
        stale=stale,
        again_at=_ahead(told.get("again_at")) if replica.state in WAITS else None,
        ended=ended_words(_mapping(told, "exit")),
        tail=tuple(str(line) for line in _list(told, "tail")),
        cpu_percent=_number(usage.get("cpu_percent")),
        memory_mib=_number(usage.get("memory_mib")),
        gpus=tuple(n for n in _list(told, "gpus") if isinstance(n, int)),
        runtime=str(told.get("runtime") or ""),
    )


def ended_words(told: Mapping[str, Any]) -> str:
    """How the process ended last, in words; "" where it never did or nobody saw it."""
    if told.get("out_of_memory"):
        return "ended for want of memory: it used more than its version asks for"
    if told.get("signal"):
        return f"ended by signal {told['signal']}"
    return f"ended with exit code {told['code']}" if told.get("code") is not None else ""


def _process(replica: Replica, told: Mapping[str, Any]) -> Sign:
    name = "Process"
    if replica.state in RUNS:
        how = ", ".join(filter(None, (str(told.get("runtime") or ""), f"launch {replica.launch}")))
        return Sign(name, OK, "Runs", how, replica.started_at, "started")
    match replica.state:
        case "":
            return Sign(name, OPEN, "Not heard of yet", "its agent takes it in when it calls")
        case ReplicaState.PREPARING:
            return Sign(name, MOVING, "Prepared", replica.why or "image, files and environment")
        case ReplicaState.STOPPING | ReplicaState.STOPPED:
            return Sign(name, OPEN, replica.get_state_display(), replica.wanted_why)
    ended = ended_words(_mapping(told, "exit")) or replica.why
    label = "Given up" if replica.state == ReplicaState.GIVEN_UP else "Ended"
    return Sign(name, TROUBLE, label, ended, replica.since)


def _readiness(replica: Replica, told: Mapping[str, Any]) -> Sign:
    name, ping = "Ready", _mapping(told, "ping")
    took = _number(ping.get("ms"))
    answered = f"/ping answered in {took:.0f} ms" if took is not None else "/ping answered"
    match replica.state:
        case ReplicaState.READY:
            return Sign(name, OK, "Ready", answered, replica.pinged_at)
        case ReplicaState.STARTING:
            window = replica.version.startup_s
            return Sign(
                name, MOVING, "Loads", f"within {window} s of its start", replica.started_at
            )
        case ReplicaState.UNHEALTHY:
            failed = int(_number(ping.get("failed")) or 0)
            words = f"{failed} of {PROBES_BEFORE_RESTART} probes failed in a row, then it restarts"
            return Sign(name, TROUBLE, "Fails", words, replica.pinged_at, "last good")
    return Sign(name, OPEN, "Not ready", "", replica.pinged_at, "last ready")


def _answer(replica: Replica, told: Mapping[str, Any]) -> Sign:
    name, check = "Last good answer", _mapping(told, "check")
    if replica.failed_calls:
        calls = f"{replica.failed_calls} call{'s' if replica.failed_calls > 1 else ''}"
        return Sign(name, TROUBLE, "Calls fail", f"{calls} in a row", replica.answered_at, LAST)
    if check.get("ok") is False:
        why = f"its example: {check.get('why') or 'no good answer'}"
        return Sign(name, TROUBLE, "Example fails", why, replica.answered_at, LAST)
    if replica.answered_at is None:
        return Sign(name, OPEN, "None yet", "neither a call nor its example")
    how = "its example was answered" if check.get("ok") else "a call was answered"
    if replica.state not in RUNS:
        return Sign(name, OPEN, "Answered", how, replica.answered_at)
    return Sign(name, OK, "Answers", how, replica.answered_at)


def _unknown(sign: Sign) -> Sign:
    """What was last heard of a cluster that is silent now."""
    return Sign(sign.name, OPEN, "Not known", f"was: {sign.label.lower()}", sign.when, sign.whence)


def _mapping(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(told: Mapping[str, Any], name: str) -> list[Any]:
    value = told.get(name)
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _ahead(value: Any) -> datetime | None:
    """A moment that is still to come."""
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo and moment > now() else None
