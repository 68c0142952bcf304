"""How a job is started, found again, watched and stopped, whatever runs it.

The life cycle of runs (`lifecycle.py`) is the only caller. A scheduler decides nothing about a run;
it says what stands.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

Key = tuple[str, int]  # (run, attempt)


class Status(Enum):
    ABSENT = "absent"  # never started
    ALIVE = "alive"
    ENDED = "ended"  # with an exit marker
    VANISHED = "vanished"  # started, gone, and no exit marker says how


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
