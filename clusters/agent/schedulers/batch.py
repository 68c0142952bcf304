"""Runs programs as jobs of a batch scheduler whose commands are on this machine.

`dialect.py` is what a scheduler's language is made of, `submitting.py` brings jobs into the queue
once, `conclusions.py` draws the conclusions. Here they are put together: what is tracked, and when
who is asked. `find`, `watch` and `about` answer from memory, for the loop's thread; everything else
is called by one other thread.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusters.agent import commands
from clusters.agent.commands import Answer
from clusters.agent.protocol import timestamp
from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import (
    INFRASTRUCTURE,
    Ending,
    Job,
    Key,
    Scheduler,
    Standing,
    Status,
)
from clusters.agent.schedulers.conclusions import Tracked, conclude, hear, hear_books
from clusters.agent.schedulers.dialect import Dialect
from clusters.agent.schedulers.scripts import (
    SUBMITTED,
    read_misses,
    read_note,
    write_misses,
    write_text,
)
from clusters.agent.schedulers.submitting import Started, Submitter

log = logging.getLogger(__name__)

TICK_S = 1.0  # between two looks at the marks on disk
BOOKS_SHARE = 5  # the books may be asked so many times between two polls: only of what has ended
MOST_IDS = 500  # in one question
LIMITS_S = 600.0
OCCUPANCY_S = 60.0
NEVER_AGAIN = INFRASTRUCTURE | {Ending.REFUSED}


class BatchScheduler(Scheduler):
    """Batch jobs. `spool` is a folder of the agent's own; `call`, `clock` (which does not jump) and
    `wall` are the seams by which tests put in theirs.
    """

    blocking = True
    grace_s = 30.0
    overtime_s = 900.0

    def __init__(
        self,
        dialect: Dialect,
        spool: Path,
        *,
        call: Callable[..., Answer] = commands.call,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.dialect = dialect
        self.kind = dialect.kind
        self.options = dialect.options
        self.poll_s = min(TICK_S, self.options.poll_s)
        self.clock, self.wall = clock, wall
        self._call = call
        self._lock = threading.Lock()
        self._tracked: dict[Key, Tracked] = {}
        self._next_poll = self._next_books = 0.0
        self._looked = False  # whether the queue was ever asked
        self._next_limits = self._next_occupancy = 0.0
        self._version = ""
        self._limits: Mapping[str, Any] = {}
        self._remembered = spool / "limits.json"
        self._site: Mapping[str, Any] | None = None
        self._problem, self._silent_since = "", None
        self._strange: set[str] = set()
        self.submitter = Submitter(dialect, spool, self.ask, lambda: self._limits, clock)

    # In the loop's thread

    def find(self, job: Job) -> Standing:
        with self._lock:
            tracked = self._tracked.get(job.key)
        if tracked is not None:
            return tracked.standing
        known = read_note(job.control, SUBMITTED)
        if known is not None and known.id:
            return Standing(Status.UNKNOWN, known.id)
        return Standing(Status.ABSENT)

    def watch(self, job: Job) -> None:
        known = read_note(job.control, SUBMITTED)
        with self._lock:
            if job.key not in self._tracked:
                self._track(job, known.id if known else "", Status.UNKNOWN)

    def forget(self, job: Job) -> None:
        """The job is over, and the life cycle has taken that in."""
        with self._lock:
            self._tracked.pop(job.key, None)

    def settling(self) -> bool:
        with self._lock:
            living = [tracked for tracked in self._tracked.values() if not tracked.over]
        return any(tracked.seems_over for tracked in living) or (bool(living) and not self._looked)

    def version(self) -> str:
        return self._version

    def slots(self, configured: int) -> int:
        return self.options.max_jobs

    def about(self) -> dict[str, Any]:
        since = self._silent_since
        return {
            "kind": self.kind,
            "version": self._version,
            "limits": self._limits,
            "answers": not self._problem,
            "problem": self._problem,
            "since": None if since is None else timestamp(since),
        }

    def site(self) -> Mapping[str, Any] | None:
        return self._site

    # In the scheduler's thread

    def start(self, job: Job) -> str:
        answer = self.start_many([job])[job.key]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def start_many(self, jobs: Sequence[Job]) -> Started:
        self._learn()
        answers = self.submitter.start(jobs)
        with self._lock:
            for job in jobs:
                answer = answers.get(job.key)
                if isinstance(answer, str) and job.key not in self._tracked:
                    self._track(job, answer, Status.PENDING)
        return answers

    def withdraw(self, job: Job) -> str:
        with contextlib.suppress(OSError):
            marks.fence(job.control)
        found = self.submitter.find(job)
        if found:
            self.ask(self.dialect.cancel_arguments([found]))
            with self._lock:
                if job.key not in self._tracked:
                    self._track(job, found, Status.PENDING)
        return found

    def stop(self, job: Job, *, force: bool) -> None:
        """Ask the scheduler, which has its own grace before it kills; again if it did not hear."""
        with self._lock:
            tracked = self._tracked.get(job.key)
        if tracked is not None and tracked.id and not tracked.over:
            self.ask(self.dialect.cancel_arguments([tracked.id]))

    def poll(self) -> list[Key]:
        """Look at the marks, ask what is due, and return the jobs of which another thing stands."""
        with self._lock:
            living = [tracked for tracked in self._tracked.values() if not tracked.over]
        now = self.clock()
        for tracked in living:
            self._read_marks(tracked, now)
        if living and now >= self._next_poll:
            self._next_poll = now + self.options.poll_s
            self._ask_queue(living, now)
            self._looked = True
        over = [tracked for tracked in living if tracked.seems_over]
        for tracked in over:
            tracked.printed = self.submitter.printed(tracked.job)
            tracked.said = self.dialect.ending_in(tracked.printed)
        if over and now >= self._next_books:
            self._next_books = now + max(self.options.poll_s / BOOKS_SHARE, 0.2)
            self._ask_books(over, now)
        return [tracked.job.key for tracked in living if self._concluded(tracked, now)]

    def survey(self) -> None:
        now = self.clock()
        self._learn()
        if now >= self._next_limits:
            self._next_limits = now + LIMITS_S
            self._limits = self._recent_limits() or self._ask_limits() or self._limits
        occupancy = self.dialect.occupancy_arguments()
        if occupancy and now >= self._next_occupancy:
            self._next_occupancy = now + OCCUPANCY_S
            answers = self._ask_all(occupancy)
            self._site = self.dialect.parse_occupancy(answers)
            if self._site is None:
                self._silent(answers[0])
            else:
                self._answered()

    def _recent_limits(self) -> Mapping[str, Any] | None:
        """What another process of the agent has found out a moment ago: some come for moments."""
        try:
            known = json.loads(self._remembered.read_text(encoding="utf-8"))
            recent = 0 <= self.wall() - float(known["at"]) < LIMITS_S
            return known["limits"] if recent and isinstance(known["limits"], dict) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _ask_limits(self) -> Mapping[str, Any] | None:
        found = self.dialect.parse_limits(self._ask_all(self.dialect.limits_arguments()))
        if found is not None:
            with contextlib.suppress(OSError):
                self._remembered.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_text(self._remembered, json.dumps({"at": self.wall(), "limits": found}))
        return found

    def _learn(self) -> None:
        """Hear which version it is, and speak as that one understands."""
        if self._version:
            return
        self._version = self.dialect.parse_version(self.ask(self.dialect.version_arguments()))
        self.dialect = self.submitter.dialect = self.dialect.adapted(self._version)
        self.options = self.dialect.options

    def ask(self, arguments: Sequence[str], **details: Any) -> Answer:
        """Run one of the scheduler's programs."""
        environment = dict(self.dialect.environment)
        return self._call(
            arguments,
            timeout_s=self.options.timeout_s,
            environment=environment,
            folders=self.options.path,
            **details,
        )

    def _ask_all(self, calls: Sequence[Sequence[str]]) -> list[Answer]:
        return [self.ask(arguments) for arguments in calls]

    def _track(self, job: Job, id: str, status: Status) -> None:
        known = read_note(job.control, SUBMITTED)
        name = known.name if known is not None else job.name
        tracked = Tracked(job, id, name, self.clock(), self.wall(), Standing(status, id))
        tracked.misses, since = read_misses(job.control)
        if tracked.misses:
            tracked.missing_since = tracked.heard_at - max(self.wall() - since, 0.0)
        self._tracked[job.key] = tracked

    def _read_marks(self, tracked: Tracked, now: float) -> None:
        control = tracked.job.control
        if not tracked.has_begun and marks.has_begun(control):
            tracked.has_begun = True
            _, tracked.started_at = marks.read_started(control)
        if tracked.has_begun and tracked.exit_code is None:
            tracked.exit_code, tracked.exited_at = marks.read_exit(control)
            if tracked.exit_code is not None:
                tracked.cpu_s = marks.read_times(control)
                tracked.ending_since = tracked.ending_since or now

    def _ask_queue(self, living: Sequence[Tracked], now: float) -> None:
        ids = [tracked.id for tracked in living if tracked.id]
        states: dict[str, Any] = {}
        for start in range(0, len(ids), MOST_IDS):
            answer = self.ask(self.dialect.poll_arguments(ids[start : start + MOST_IDS]))
            found = self.dialect.parse_poll(answer)
            if found is None:
                self._silent(answer)
                return
            states.update(found)
        self._answered()
        for tracked in living:
            state = states.get(tracked.id)
            missed = tracked.misses
            hear(tracked, state, now, self.wall())
            if tracked.misses != missed:
                self._note_misses(tracked, now)
            if state is not None and state.status is Status.UNKNOWN:
                self._warn(state.state)
            if state is not None and state.status is Status.ENDED:
                tracked.ending_since = tracked.ending_since or now

    def _note_misses(self, tracked: Tracked, now: float) -> None:
        """On disk, for the agents that only come for a moment each."""
        since = self.wall() - (now - (tracked.missing_since or now))
        with contextlib.suppress(OSError):
            write_misses(tracked.job.control, tracked.misses, since)

    def _ask_books(self, over: Sequence[Tracked], now: float) -> None:
        for start in range(0, len(over), MOST_IDS):
            some = over[start : start + MOST_IDS]
            ids = [tracked.id for tracked in some if tracked.id]
            books = self._books(ids) if ids else {}
            for tracked in some:
                if books is not None:
                    hear_books(tracked, books.get(tracked.id))
                if tracked.books is not None and tracked.books.ended:
                    tracked.ending_since = tracked.ending_since or now

    def _books(self, ids: Sequence[str]) -> Mapping[str, Any] | None:
        arguments = self.dialect.accounting_arguments(ids)
        books = self.dialect.parse_accounting(self.ask(arguments)) if arguments else None
        spare = self.dialect.spare_accounting_arguments(ids) if books is None else None
        if spare is not None:
            books = self.dialect.parse_spare_accounting(self.ask(spare))
        return books

    def _concluded(self, tracked: Tracked, now: float) -> bool:
        """Write down what stands of a job; return whether that is another thing than before."""
        standing = conclude(tracked, self.options, now, kind=self.kind)
        if standing.status in (Status.ENDED, Status.VANISHED):
            self.submitter.clean(tracked.job)
            given_up = standing.status is Status.VANISHED or standing.ending in NEVER_AGAIN
            if given_up or tracked.returned:
                self._bury(tracked)
        before, tracked.standing = tracked.standing, standing
        silent = standing.unknown_since is None, before.unknown_since is None
        return silent[0] != silent[1] or replace(before, unknown_since=None) != replace(
            standing, unknown_since=None
        )

    def _bury(self, tracked: Tracked) -> None:
        """See to it that a job that is given up does not begin or go on after all."""
        with contextlib.suppress(OSError):
            marks.fence(tracked.job.control)
        if tracked.id:
            self.ask(self.dialect.cancel_arguments([tracked.id]))

    def _silent(self, answer: Answer) -> None:
        if not self._problem:
            self._silent_since = self.wall()
            log.warning("the scheduler gives no answer: %s", answer.words)
        self._problem = answer.words

    def _answered(self) -> None:
        if self._problem:
            log.info("the scheduler answers again")
        self._problem, self._silent_since = "", None

    def _warn(self, state: str) -> None:
        if state not in self._strange:
            self._strange.add(state)
            log.warning("the scheduler's state %.40r is unknown; the last one is kept", state)
