"""How a job is started, found again, watched and stopped, whatever runs it.

The life cycle of runs (`lifecycle.py`) is the only caller. A scheduler decides nothing about a run;
it says what stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from calculations.software.base import Resources

Key = tuple[str, int]  # (run, attempt)


class Status(Enum):
    ABSENT = "absent"  # never started
    PENDING = "pending"  # the scheduler has it and has not started it yet
    ALIVE = "alive"
    UNKNOWN = "unknown"  # the scheduler gave no answer: nothing is concluded
    ENDED = "ended"  # with an exit marker
    VANISHED = "vanished"  # started, gone, and neither exit marker nor accounting says how


class Ending(str, Enum):
    """How a scheduler says that a job ended, where that is more than an exit code."""

    NORMAL = ""
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    NODE_FAIL = "node_fail"  # by the hardware's fault: the run is tried again
    PREEMPTED = "preempted"  # for somebody else's job: the run is tried again
    CANCELLED = "cancelled"  # by somebody who is not the agent


INFRASTRUCTURE = frozenset({Ending.NODE_FAIL, Ending.PREEMPTED})


@dataclass(frozen=True)
class Job:
    """One program to run: `folder` is its working directory, `control` holds the agent's marks."""

    key: Key
    folder: Path
    control: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    log_file: str
    stdin_file: str = ""
    resources: Resources = field(default_factory=Resources)  # `tasks` is at least 1
    group: str = ""  # the calculation: its independent jobs may become one array

    @property
    def name(self) -> str:
        """By which a scheduler's job is found again: of one attempt, at most 15 characters' worth
        of it is shown by PBS, so comments hold it whole.
        """
        run, attempt = self.key
        return f"lab-{run}-{attempt}"


@dataclass(frozen=True)
class Standing:
    """What is known of a job now; the numbers are None where unknown."""

    status: Status
    scheduler_id: str = ""
    exit_code: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cpu_s: float | None = None
    max_rss_mib: float | None = None
    ending: Ending = Ending.NORMAL
    # While PENDING: {"reason", "text", "expected_start" (ISO 8601, UTC), "partition"}.
    pending: Mapping[str, Any] | None = None
    unknown_since: float | None = None
    # What the scheduler's accounting says: {"kind", "id", "state", "exit_code", "nodes",
    # "elapsed_s", "cpu_s", "max_rss_mib", "submitted_at", "started_at", "finished_at", "evidence"},
    # where "evidence" names the command and the lines that were read.
    accounting: Mapping[str, Any] = field(default_factory=dict)


class StartFailed(Exception):
    """The job could not be started; the message is a sentence for the scientist."""


class Scheduler(ABC):
    """One way to run programs. Not thread-safe: the agent's loop alone calls it."""

    kind: str
    poll_s: float | None = None  # how often poll() must be called while jobs are watched

    def version(self) -> str:
        return ""

    @abstractmethod
    def start(self, job: Job) -> str:
        """Start a job and watch it; return its scheduler id. Raises StartFailed, OSError.

        May be called again for a job of which it is not known whether it was started: never two
        run.
        """

    @abstractmethod
    def find(self, job: Job) -> Standing:
        """Say what stands of a job, by the marks on disk and the scheduler's own word."""

    @abstractmethod
    def watch(self, job: Job) -> None:
        """Watch a living job that an earlier process of the agent started."""

    @abstractmethod
    def stop(self, job: Job, *, force: bool) -> None:
        """Ask the program to end, or end it by force. Absent is fine."""

    def poll(self) -> list[Key]:
        """Return the watched jobs that may have ended since the last call."""
        return []

    def memory_mib(self) -> dict[Key, float]:
        """Return what the watched jobs hold in memory now, as far as it can be known."""
        return {}

    def exact_memory_mib(self, job: Job) -> float | None:
        """Return the memory of one job with shared pages counted once."""
        return None
