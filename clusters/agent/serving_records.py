"""What the agent remembers of one replica of a model, and what the portal hears of it."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from clusters.agent.allotment import Held, Need
from clusters.agent.protocol import ReplicaState, timestamp
from clusters.agent.runtimes.base import Handle, ServingSpec, Status

LONGEST_PAUSE_S = 300.0
STEADY_S = 600.0  # of readiness, after which earlier failures count no more
MOST_WHY = 500
BUSY_S, TOLD_S = 30.0, 90.0
TAIL_IN = frozenset({ReplicaState.BACKING_OFF, ReplicaState.GIVEN_UP})
ENDED = frozenset({ReplicaState.STOPPED, ReplicaState.GIVEN_UP, ReplicaState.BACKING_OFF})


class Wanted(str, Enum):
    """What the portal asked for last."""

    SERVE = "serve"
    STOP = "stop"
    REMOVE = "remove"


class Ending(str, Enum):
    """Why the agent itself ends a launch, recorded before the first signal."""

    NONE = ""
    FAILED = "failed"  # it did not become ready, or failed its probes: it starts again
    RENEWED = "renewed"  # a higher generation begins
    DONE = "done"  # its contract was tested


@dataclass
class Traffic:
    """What the portal said of its own calls, and when (monotonic)."""

    in_flight: int = 0
    answered_s: float | None = None
    told_at: float = -math.inf

    @property
    def answered_ago_s(self) -> float:
        """Seconds since the last good answer to a call, infinite where none is known."""
        if self.answered_s is None:
            return math.inf
        return self.answered_s + time.monotonic() - self.told_at

    @property
    def busy(self) -> bool:
        """Whether it answers calls now, so that a slow probe says nothing against it."""
        if time.monotonic() - self.told_at > TOLD_S:
            return False
        return self.in_flight > 0 or self.answered_ago_s <= BUSY_S


@dataclass
class Ping:
    """`failed`: probes in a row that count."""

    ok_at: float | None = None
    failed: int = 0
    ms: float | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        ok_at = timestamp(self.ok_at) if self.ok_at is not None else None
        return {"ok_at": ok_at, "failed": self.failed, "ms": self.ms, "why": self.why}


@dataclass
class Replica:
    """Everything but the last group is in the journal. `launch` counts the starts over its life;
    `begun`: whether the one of this number may be there; `failures`: in a row, without STEADY_S of
    readiness between.
    """

    replica: str
    generation: int
    spec: dict[str, Any]
    wanted: Wanted = Wanted.SERVE
    state: ReplicaState = ReplicaState.PREPARING
    why: str = ""
    since: float = 0.0
    runtime: str = ""
    launch: int = 0
    begun: bool = False
    handle: dict[str, Any] | None = None
    host: str = "127.0.0.1"
    port: int = 0
    gpus: tuple[int, ...] = ()
    restarts: int = 0
    failures: int = 0
    again_at: float | None = None
    started_at: float | None = None
    ready_at: float | None = None
    exit: dict[str, Any] | None = None
    tail: list[str] = field(default_factory=list)
    prepared: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] | None = None
    contract: list[dict[str, Any]] | None = None
    ending: Ending = Ending.NONE
    ending_why: str = ""
    kill_at: float | None = None  # SIGTERM was sent, SIGKILL follows then
    log_offset: int = 0
    revision: int = 0  # grows with every step: of two entries the portal heeds the later one

    ping: Ping = field(default_factory=Ping)
    usage: dict[str, Any] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    waits: bool = False  # for cores, memory or GPUs

    def serving_spec(self) -> ServingSpec:
        """Raises KeyError, TypeError or ValueError where the portal's words are not usable."""
        return ServingSpec.from_json(self.spec)

    def number(self, name: str) -> float:
        """A time or a count of the spec; the usual one where the spec says none."""
        told = self.spec.get(name)
        good = isinstance(told, (int, float)) and not isinstance(told, bool) and told > 0
        return told if good else getattr(ServingSpec, name)

    @property
    def need(self) -> Need:
        """What it takes of this machine."""
        asked = {name: self.spec.get(name) for name in ("cores", "memory_mib", "gpus", "gpu_type")}
        found = Need.from_spec({"resources": {k: v for k, v in asked.items() if v}})
        return Need(found.cores, found.memory_mib, found.gpus, found.gpu_type, slots=0)

    @property
    def held(self) -> Held:
        return Held(self.need, tuple(self.gpus), math.inf)

    @property
    def found(self) -> Handle | None:
        return Handle.from_json(self.handle) if self.handle else None

    @property
    def restful(self) -> bool:
        """Whether nothing is to be done until the portal says more, or `again_at` comes."""
        return not self.begun and self.state in ENDED

    def steady(self, now: float) -> bool:
        return self.ready_at is not None and now - self.ready_at >= STEADY_S

    @property
    def told_state(self) -> ReplicaState:
        """What the portal hears: that an end is under way as soon as it was asked for."""
        leaves = self.wanted is not Wanted.SERVE and self.state is not ReplicaState.STOPPED
        renews = self.begun and self.ending is Ending.RENEWED
        return ReplicaState.STOPPING if leaves or renews else self.state

    def entry(self) -> dict[str, Any]:
        """Return this replica as the exchange lists it."""
        entry: dict[str, Any] = {
            "replica": self.replica,
            "generation": self.generation,
            "revision": self.revision,
            "state": self.told_state.value,
            "why": self.why,
            "since": timestamp(self.since),
            "address": address(self.host, self.port) if self.begun and self.port else "",
            "runtime": self.runtime,
            "launch": self.launch,
            "restarts": self.restarts,
            "ping": self.ping.to_json(),
            "check": self.check,
            "exit": self.exit,
            "usage": self.usage if self.begun else {},
            "gpus": list(self.gpus),
            "prepared": self.prepared,
        }
        for name in ("again_at", "started_at", "ready_at"):
            moment = getattr(self, name)
            entry[name] = timestamp(moment) if moment is not None else None
        if self.state in TAIL_IN:
            entry["tail"] = self.tail
        if self.contract is not None:
            entry["contract"] = self.contract
        return entry

    def stepped(self) -> None:
        """Note that something about it has changed; also a journal that was lost goes on higher."""
        self.revision = max(self.revision + 1, int(time.time() * 1000))

    def body(self) -> dict[str, Any]:
        """What the journal keeps but for the spec, which does not change with every step."""
        found = {name: getattr(self, name) for name in BODY}
        for name in ("wanted", "state", "ending"):
            found[name] = found[name].value
        return found

    @classmethod
    def restore(cls, spec: dict[str, Any], body: Mapping[str, Any], log_offset: int) -> Replica:
        known = {name: body[name] for name in BODY if name in body}
        known["wanted"], known["ending"] = Wanted(known["wanted"]), Ending(known["ending"])
        known["state"], known["gpus"] = ReplicaState(known["state"]), tuple(known["gpus"])
        return cls(spec=spec, log_offset=log_offset, **known)


NOT_IN_BODY = frozenset({"spec", "log_offset", "ping", "usage", "traffic", "waits"})
BODY = [one.name for one in fields(Replica) if one.name not in NOT_IN_BODY]


def pause_s(failures: int, first_s: float) -> float:
    """Return how long to wait before a start after so many failures in a row."""
    return min(first_s * 2.0 ** min(max(failures - 1, 0), 30), LONGEST_PAUSE_S)


def address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def exit_words(one: Replica, status: Status) -> str:
    """Say how a server ended by itself, for people."""
    before = "" if one.ready_at is not None else " before it was ready"
    if status.out_of_memory:
        given = one.need.memory_mib
        return f"it was killed{before}: it needs more than its {given:,} MiB of memory"
    if status.signal:
        return f"it was ended by {_signal_name(status.signal)}{before}"
    if status.code == 0:
        return f"it ended by itself{before}; a server goes on until it gets SIGTERM"
    if status.code is not None:
        return f"it ended with exit code {status.code}{before}"
    return f"it ended{before}" + (f": {status.detail}" if status.detail else "")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
