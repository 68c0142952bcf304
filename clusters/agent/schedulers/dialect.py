"""What a batch scheduler's language is made of: argument lists, scripts, and readers of answers.

A dialect is pure: it starts nothing, reads no clock and keeps no memory. `batch.py` makes the calls
and draws the conclusions. A reader that cannot tell returns None, "no answer": never an empty
answer, which would say that the jobs are gone.
"""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Ending, Job, Status
from clusters.agent.schedulers.options import Options


class Unclear(Exception):
    """Nobody knows whether it was submitted: look it up before trying again."""


@dataclass(frozen=True)
class Submission:
    """What goes to the scheduler at once: one job, or several as the tasks 0, 1, … of an array.

    `name`    the scheduler's name of it, by which it is found again: letters, digits and "-"
    `comment` in words, for whoever looks at the queue
    `script`  the file to submit; `output` is where what it prints goes, of an array with
              `.<index>` behind it
    """

    name: str
    comment: str
    jobs: tuple[Job, ...]
    script: Path
    output: Path

    @property
    def is_array(self) -> bool:
        return len(self.jobs) > 1

    @property
    def job(self) -> Job:
        """Any one of them: they ask for the same resources."""
        return self.jobs[0]


@dataclass(frozen=True)
class JobState:
    """What one answer says of one job. Times in seconds since 1970, None where unknown.

    `status`  PENDING, ALIVE, ENDED; UNKNOWN for a state that this version does not know
    `state`   the scheduler's own word; `reason` why it waits, in its own word, `text` in ours
    `refused` not empty: it waits for what will never come; a sentence with the scheduler's word
    `name`    its name in the scheduler, "" where not told: numbers are given again
    """

    status: Status
    state: str = ""
    name: str = ""
    reason: str = ""
    text: str = ""
    refused: str = ""
    partition: str = ""
    expected_start: float | None = None
    ending: Ending = Ending.NORMAL
    exit_code: int | None = None  # as a shell gives it: 128 + signal where a signal ended it
    nodes: str = ""
    submitted_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True)
class Accounting:
    """What the books say of one job; `ended` is whether it is over, by them."""

    state: str
    ended: bool
    name: str = ""
    ending: Ending = Ending.NORMAL
    exit_code: int | None = None
    signal: int | None = None
    nodes: str = ""
    elapsed_s: float | None = None
    cpu_s: float | None = None
    max_rss_mib: float | None = None
    submitted_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    evidence: tuple[str, ...] = ()  # the lines that were read
    unasked: bool = False  # it was cancelled, and by no person


PollAnswer = Mapping[str, JobState]  # by id; an id that is absent is unknown, not ended
Books = Mapping[str, Accounting]
Found = Mapping[str, Sequence[str]]  # ids by name


@dataclass(frozen=True)
class Dialect(ABC):
    """One scheduler's language. Ids of array tasks are made by `task_id`, and stand for themselves
    in polls, accounting and cancels.
    """

    options: Options = field(default_factory=Options)

    kind = ""
    array_variable = ""  # the shell variable that holds the number of an array's task
    prelude: ClassVar[tuple[str, ...]] = ()  # lines of shell before a program starts
    launcher = ""  # with which MPI programs of several tasks start, where the site names none
    environment: ClassVar[Mapping[str, str]] = {}  # for the scheduler's programs

    def adapted(self, version: str) -> Dialect:
        """Return the language that a scheduler of this version speaks."""
        return self

    def shown_name(self, name: str) -> str:
        """Return the name that answers show for one under which something was submitted."""
        return name

    # Submitting

    def script(self, submission: Submission) -> str:
        """Return the script to submit: it hands over to the job's own, written by the agent."""
        if not submission.is_array:
            return f"#!/bin/sh\nexec /bin/sh {shlex.quote(str(own_script(submission.job)))}\n"
        cases = "".join(
            f"{index}) job={shlex.quote(str(own_script(job)))} ;;\n"
            for index, job in enumerate(submission.jobs)
        )
        return (
            f'#!/bin/sh\ncase "${{{self.array_variable}}}" in\n{cases}'
            "*) echo 'no such task' >&2; exit 126 ;;\nesac\n"
            'exec /bin/sh "$job"\n'
        )

    @abstractmethod
    def submit_arguments(self, submission: Submission) -> list[str]: ...

    @abstractmethod
    def parse_submit(self, answer: Answer) -> str:
        """Return the id. Raises SubmissionRefused (for good), TryLater (certainly not submitted, by
        no fault of the job: too many jobs, say), Unclear.
        """

    @abstractmethod
    def task_id(self, array: str, index: int) -> str:
        """Return the id of one task of an array."""

    # Watching

    @abstractmethod
    def poll_arguments(self, ids: Sequence[str]) -> list[str]: ...

    @abstractmethod
    def parse_poll(self, answer: Answer) -> PollAnswer | None: ...

    @abstractmethod
    def accounting_arguments(self, ids: Sequence[str]) -> list[str]: ...

    @abstractmethod
    def parse_accounting(self, answer: Answer) -> Books | None: ...

    def spare_accounting_arguments(self, ids: Sequence[str]) -> list[str] | None:
        """Return what to ask where accounting gives no answer; None: nothing."""
        return None

    def parse_spare_accounting(self, answer: Answer) -> Books | None:
        return None

    def ending_in(self, printed: str) -> Ending:
        """Return the ending of which the scheduler's own lines in a job's output tell; NORMAL where
        they tell of none.
        """
        return Ending.NORMAL

    # Finding again what may have been submitted

    @abstractmethod
    def lookup_arguments(self, names: Sequence[str]) -> list[str]:
        """Ask for jobs of these names that wait, run or have ended a moment ago."""

    @abstractmethod
    def parse_lookup(self, answer: Answer) -> Found | None: ...

    def history_arguments(self, names: Sequence[str]) -> list[str] | None:
        """Ask for jobs of these names that ended longer ago; None: nobody knows of such."""
        return None

    def parse_history(self, answer: Answer) -> Found | None:
        return None

    # Ending

    @abstractmethod
    def cancel_arguments(self, ids: Sequence[str]) -> list[str]: ...

    # The site

    @abstractmethod
    def version_arguments(self) -> list[str]: ...

    @abstractmethod
    def parse_version(self, answer: Answer) -> str: ...

    def limits_arguments(self) -> list[list[str]]:
        """Return the commands whose answers `parse_limits` reads together, in this order."""
        return []

    def parse_limits(self, answers: Sequence[Answer]) -> dict[str, Any] | None:
        """Return {"partitions": [{"name", "max_walltime_s", "max_nodes", "cores_per_node",
        "memory_per_node_mib", "gpus_per_node", "default"}], "accounts": [], "qos": []}.
        """
        return None

    def occupancy_arguments(self) -> list[list[str]]:
        return []

    def parse_occupancy(self, answers: Sequence[Answer]) -> dict[str, Any] | None:
        """Return {"nodes": {"idle", "allocated", "mixed", "down"}, "cores": {"idle", "allocated",
        "total"}, "jobs": {"running", "pending"}}.
        """
        return None

    def refusal(self, job: Job, limits: Mapping[str, Any]) -> str:
        """Say which known limit a job is beyond, "" where none: some schedulers take such jobs and
        let them wait for ever.
        """
        return ""


def own_script(job: Job) -> Path:
    """Where the agent writes what one job does."""
    return job.control / "job.sh"
