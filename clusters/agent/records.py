"""What the agent remembers of one attempt of one run, and the phases it goes through."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from clusters.agent.protocol import AgentState, timestamp


class Phase(str, Enum):
    """Where an attempt stands in the agent's own bookkeeping; AGENT_STATE says what the portal
    hears.
    """

    QUEUED = "queued"  # waits for a slot, or its folder is made ready
    STARTING = "starting"  # the intent is on disk; the program may or may not have been started
    SUBMITTED = "submitted"  # in the scheduler's queue
    RUNNING = "running"
    EVALUATING = "evaluating"  # the program ended; judging and extracting
    UPLOADING = "uploading"  # the report is on disk, files are on their way
    FINISHED = "finished"
    CANCELLED = "cancelled"
    LOST = "lost"
    CLOSED = "closed"  # remembered only so that it is never executed again


AGENT_STATE = {
    Phase.QUEUED: AgentState.PREPARING,
    Phase.STARTING: AgentState.PREPARING,
    Phase.SUBMITTED: AgentState.PREPARING,
    Phase.RUNNING: AgentState.RUNNING,
    Phase.EVALUATING: AgentState.VALIDATING,
    Phase.UPLOADING: AgentState.VALIDATING,
    Phase.FINISHED: AgentState.FINISHED,
    Phase.CANCELLED: AgentState.CANCELLED,
    Phase.LOST: AgentState.LOST,
}
TERMINAL = frozenset({Phase.FINISHED, Phase.CANCELLED, Phase.LOST})
IN_SCHEDULER = frozenset({Phase.SUBMITTED, Phase.RUNNING})
STARTED = IN_SCHEDULER | {Phase.STARTING}
NOT_RUNNING = frozenset({Phase.QUEUED, Phase.STARTING, Phase.SUBMITTED})


class Wanted(str, Enum):
    """What the portal asked for that is not done yet."""

    NOTHING = ""
    CANCEL = "cancel"
    ABANDON = "abandon"


class Stop(str, Enum):
    """Why the agent itself is ending a program, recorded before the first signal."""

    NONE = ""
    CANCEL = "cancel"
    ABANDON = "abandon"
    WALLTIME = "walltime"
    MEMORY = "memory"


@dataclass
class Record:
    """One attempt. Everything but the last group is in the journal."""

    run: str
    attempt: int
    spec: dict[str, Any]
    phase: Phase = Phase.QUEUED
    wanted: Wanted = Wanted.NOTHING
    why: str = ""
    since: float = 0.0
    scheduler_id: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    stop: Stop = Stop.NONE
    report: dict[str, Any] = field(default_factory=dict)
    log_offset: int = 0
    verdict: str = ""
    gpus: tuple[int, ...] = ()  # by index, its own as long as it holds a slot

    progress: dict[str, Any] | None = None
    pending: dict[str, Any] | None = None  # why it waits, by the scheduler or for want of room
    ends_at: float | None = None  # when its walltime is over, once that is soon
    unknown_since: float | None = None  # since when the scheduler has said nothing of it
    max_rss_mib: float = 0.0
    disk_bytes: int | None = None
    on_disk: bool = True  # False where the journal could not take it for lack of space

    @property
    def key(self) -> tuple[str, int]:
        return self.run, self.attempt

    @property
    def terminal(self) -> bool:
        return self.phase in TERMINAL

    def resource(self, name: str, default: int) -> int:
        value = self.spec.get("resources", {}).get(name, default)
        return value if isinstance(value, int) and value > 0 else default

    def entry(self, *, with_report: bool = True) -> dict[str, Any]:
        """Return this attempt as the exchange lists it.

        Without its report a finished attempt is still being validated, as far as the portal knows.
        """
        state = AGENT_STATE[self.phase]
        if state is AgentState.FINISHED and not with_report:
            state = AgentState.VALIDATING
        entry: dict[str, Any] = {
            "run": self.run,
            "attempt": self.attempt,
            "state": state.value,
            "since": timestamp(self.since),
            "scheduler_id": self.scheduler_id,
            "progress": self.progress,
        }
        if self.phase in NOT_RUNNING and self.pending:
            entry["pending"] = self.pending
        if self.phase in IN_SCHEDULER and self.unknown_since is not None:
            entry["unknown_since"] = timestamp(self.unknown_since)
        if self.disk_bytes is not None:
            entry["disk_bytes"] = self.disk_bytes
        if self.ends_at is not None and state is AgentState.RUNNING:
            entry["walltime_left_s"] = max(0, round(self.ends_at - time.time()))
        if self.started_at is not None:
            entry["started_at"] = timestamp(self.started_at)
        if state in (AgentState.CANCELLED, AgentState.LOST):
            entry["why"] = self.why
            entry["accounting"] = self.report.get("accounting", {})
        if self.finished_at is not None and self.terminal:
            entry["finished_at"] = timestamp(self.finished_at)
        if state is AgentState.FINISHED:
            entry.update(self.report)
        return entry
