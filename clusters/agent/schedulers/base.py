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
    REFUSED = "refused"  # taken into the queue, where it would have waited for ever


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
    why: str = ""  # a sentence, where there is more to say than the status and the ending do


class StartFailed(Exception):
    """The job could not be started; the message is a sentence for the scientist."""


class SubmissionRefused(StartFailed):
    """The scheduler does not take the job, now and later; the message is its own words."""


class TryLater(Exception):
    """Not started now, by no fault of the job; the message says why. `start` is called again."""


class Unanswered(Exception):
    """The scheduler has answered none of several submissions, and says that it has no such job; the
    message is a sentence.
    """


class Scheduler(ABC):
    """One way to run programs. Not thread-safe: the agent's loop alone calls it; or, where it is
    `blocking`, one thread beside the loop calls start_many, withdraw, stop, poll and survey, never
    two at once, and the loop the rest.
    """

    kind: str
    blocking = False  # whether calls may take seconds
    grace_s = 0.0  # at least so long between two orders to end the same job
    overtime_s = 0.0  # so long over its walltime the scheduler itself is left to end a job
    poll_s: float | None = None  # how often poll() must be called while jobs are watched

    def version(self) -> str:
        return ""

    def about(self) -> dict[str, Any]:
        """Return what the portal is told of this scheduler; memory alone."""
        return {"kind": self.kind, "version": self.version()}

    def slots(self, configured: int) -> int:
        """How many jobs may be started and not ended."""
        return configured

    def survey(self) -> None:  # noqa: B027  (an optional hook)
        """Find out what `about` and `site` tell. May take seconds; raises nothing."""

    def site(self) -> Mapping[str, Any] | None:
        """Return what the whole site does now, as the scheduler counts it; None: not known."""
        return None

    @abstractmethod
    def start(self, job: Job) -> str:
        """Start a job and watch it; return its scheduler id. Raises StartFailed, TryLater, OSError.

        May be called again for a job of which it is not known whether it was started: never two
        run.
        """

    def start_many(self, jobs: Sequence[Job]) -> dict[Key, str | Exception]:
        """Start jobs that are ready at the same time; return the id of each, or what `start`
        raises.
        """
        answers: dict[Key, str | Exception] = {}
        for job in jobs:
            try:
                answers[job.key] = self.start(job)
            except Exception as error:
                answers[job.key] = error
        return answers

    def withdraw(self, job: Job) -> str:
        """See to it that a job never runs of which it is not known whether it was started.

        Return "" where nothing is left of it, else the id of what was found: it is being ended,
        and watched. Raises TryLater.
        """
        return ""

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
        """Return the watched jobs that may have begun or ended since the last call."""
        return []

    def forget(self, job: Job) -> None:  # noqa: B027  (an optional hook)
        """The end of a job has been taken in."""

    def settling(self) -> bool:
        """Whether a job seems to be over, and only the scheduler's word on that is awaited."""
        return False

    def memory_mib(self) -> dict[Key, float]:
        """Return what the watched jobs hold in memory now, as far as it can be known."""
        return {}

    def exact_memory_mib(self, job: Job) -> float | None:
        """Return the memory of one job with shared pages counted once."""
        return None
