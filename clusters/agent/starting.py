"""From a folder that is ready to a program that runs: handed over once, found again, or withdrawn.

A part of the life cycle. What a batch scheduler has in its queue is SUBMITTED; a plain process runs
at once. Jobs that are ready at the same time are handed over together, so that a scheduler can make
one array of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from calculations.software.base import RunSpec
from clusters.agent.records import Phase, Record, Stop, Wanted
from clusters.agent.schedulers.base import Job, Key, Status, TryLater, Unanswered

if TYPE_CHECKING:
    from clusters.agent.lifecycle import Lifecycle

log = logging.getLogger(__name__)

NEWS_SOON_S = 0.05  # "running" may wait so long for an end that makes it old
GATHER_S = 5.0  # the longest that a job waits for others of its array to be ready
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 300.0  # before a scheduler is asked again


class Starting:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self.scheduler = lifecycle.scheduler
        self._ready: list[tuple[Record, Job]] = []
        self._ready_since = 0.0
        self._failures: dict[Key, int] = {}

    def begin(self, record: Record, job: Job) -> None:
        """Hand a job over whose intent is on disk; with others that are nearly ready."""
        if not self._ready:
            self._ready_since = time.monotonic()
            if self.scheduler.blocking:
                self.lifecycle.loop.later(GATHER_S, self.hand_over)
        self._ready.append((record, job))
        self.hand_over()

    def begin_again(self, record: Record) -> None:
        """Start what may or may not have been started: the start marker lets only one run."""
        try:
            job = self.lifecycle.preparation.job(RunSpec.from_json(record.spec))
        except Exception as error:
            self.lifecycle.blame(record, error)
            return
        self.begin(record, job)

    def hand_over(self) -> None:
        """Give the scheduler all that is ready, unless more is on its way."""
        gathering = self.scheduler.blocking and self.lifecycle.preparing()
        if gathering and time.monotonic() - self._ready_since < GATHER_S:
            return
        ready = [
            (record, job)
            for record, job in self._ready
            if record.phase is Phase.STARTING and record.wanted is Wanted.NOTHING
        ]
        self._ready = []
        if not ready or self.lifecycle.superseded():
            return
        lifecycle = self.lifecycle
        jobs = [lifecycle.rations.equip(job, record.gpus) for record, job in ready]
        lifecycle.busy.update(record.key for record, _ in ready)

        def handed(answers: dict[Key, str | Exception] | None, error: Exception | None) -> None:
            for record, job in ready:
                lifecycle.busy.discard(record.key)
                answer = (answers or {}).get(record.key) if error is None else error
                self._handed(record, job, answer)

        lifecycle.calls.make(lambda: self._start(jobs), handed)

    def _start(self, jobs: list[Job]) -> dict[Key, str | Exception]:
        if self.lifecycle.superseded():  # while it waited for its turn
            raise TryLater("a newer agent does the work")
        return self.scheduler.start_many(jobs)

    def _handed(self, record: Record, job: Job, answer: str | Exception | None) -> None:
        if isinstance(answer, str):
            self._failures.pop(record.key, None)
            record.scheduler_id = answer
            self._taken(record, job)
        elif isinstance(answer, TryLater):
            self._say(record, str(answer))
            self._later(record, lambda: self.begin(record, job))
        elif isinstance(answer, Unanswered):
            self.lifecycle.lose(record, str(answer))
        else:
            self.lifecycle.blame(record, answer or RuntimeError("no answer"))

    def _taken(self, record: Record, job: Job) -> None:
        if self.scheduler.blocking:
            self._submitted(record, job)
            self.lifecycle.advance(record)
        else:
            record.started_at = time.time()
            self.running(record, job)
        self.lifecycle.check(record.key)

    def _submitted(self, record: Record, job: Job) -> None:
        self.lifecycle.jobs[record.key] = job
        record.pending = None
        if record.phase is not Phase.SUBMITTED:
            self.lifecycle.move(record, Phase.SUBMITTED)
        self.lifecycle.watching.poll_regularly()

    def running(self, record: Record, job: Job) -> None:
        """Note that the program runs, and watch it."""
        self.lifecycle.jobs[record.key] = job
        if record.phase is not Phase.RUNNING:
            record.started_at = record.started_at or time.time()
            record.pending = None
            self.lifecycle.move(record, Phase.RUNNING, news=NEWS_SOON_S)
        self.lifecycle.watching.begin(record, job)
        if record.stop is not Stop.NONE:
            self.lifecycle.loop.later(0.0, lambda: self.lifecycle.ends.carry_on(record))

    # After a restart

    def resume(self, record: Record) -> None:
        """Find a program again, or start it, where an earlier agent was killed."""
        job = self._known_job(record)
        standing = self.scheduler.find(job)
        if standing.status is Status.ABSENT and record.phase in (Phase.QUEUED, Phase.STARTING):
            unsure = record.phase is Phase.STARTING and record.wanted is Wanted.NOTHING
            (self.begin_again if unsure else self.lifecycle.advance)(record)
            return
        log.info("found again: program %s", record.scheduler_id, extra={"run": record.run})
        if self.scheduler.blocking:
            self._adopt(record, job)
        else:
            record.started_at = record.started_at or standing.started_at
            self.running(record, job)
            self.lifecycle.check(record.key)
        self.lifecycle.advance(record)

    def _adopt(self, record: Record, job: Job) -> None:
        self.scheduler.watch(job)
        record.scheduler_id = self.scheduler.find(job).scheduler_id or record.scheduler_id
        if record.phase is Phase.RUNNING:
            self.running(record, job)
            self.lifecycle.watching.poll_regularly()
        else:
            self._submitted(record, job)
        if record.stop is not Stop.NONE:
            self.lifecycle.loop.later(0.0, lambda: self.lifecycle.ends.carry_on(record))

    def _known_job(self, record: Record) -> Job:
        """Return a job by which a program is found again; it is not enough to start one."""
        try:
            return self.lifecycle.preparation.job(RunSpec.from_json(record.spec))
        except Exception:
            workspace = self.lifecycle.preparation.workspace
            folder = workspace.folder(*record.key)
            return Job(record.key, folder, workspace.control(*record.key), (), {}, "output.out")

    # Cancelled before anybody knew whether it was started

    def withdraw(self, record: Record) -> None:
        """See to it that nothing of it is in the queue, then confirm the cancel."""
        lifecycle, job = self.lifecycle, self._known_job(record)
        lifecycle.busy.add(record.key)

        def withdrawn(found: str | None, error: Exception | None) -> None:
            lifecycle.busy.discard(record.key)
            abandoned = record.wanted is Wanted.ABANDON
            if error is not None:
                self._say(record, f"It is to be cancelled: {error}")
                self._later(record, lambda: lifecycle.advance(record))
            elif found:
                record.scheduler_id = found
                record.stop = Stop.ABANDON if abandoned else Stop.CANCEL
                self._submitted(record, job)
                lifecycle.check(record.key)
            else:
                lifecycle.move(record, Phase.CLOSED if abandoned else Phase.CANCELLED)

        lifecycle.calls.make(lambda: self.scheduler.withdraw(job), withdrawn)

    # Later

    def _say(self, record: Record, why: str) -> None:
        text = f"{why[:1].upper()}{why[1:]}"[:300]
        if not record.pending or record.pending.get("text") != text:
            log.warning("not submitted yet: %s", why, extra={"run": record.run})
            record.pending = {"reason": "NotSubmitted", "text": text}
            self.lifecycle.news(NEWS_SOON_S)

    def _later(self, record: Record, again: Callable[[], None]) -> None:
        """Try again after a while, unless something else has become of the record by then."""
        failures = self._failures[record.key] = self._failures.get(record.key, 0) + 1
        longest = min(LONGEST_PAUSE_S, 30 * (self.scheduler.poll_s or 1.0))
        pause = min(FIRST_PAUSE_S * 2 ** (failures - 1), longest)

        def due() -> None:
            known = self.lifecycle.records.get(record.key) is record
            if known and record.phase is Phase.STARTING and record.key not in self.lifecycle.busy:
                again()

        self.lifecycle.loop.later(pause, due)

    def forget(self, key: Key) -> None:
        self._failures.pop(key, None)
