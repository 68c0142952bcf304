"""The end of programs: noticed, brought about, and turned into what is to be judged or tried again.

A part of the life cycle. What a scheduler does not know, or does not say, ends nothing.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from clusters.agent.records import IN_SCHEDULER, Phase, Record, Stop
from clusters.agent.schedulers.base import (
    INFRASTRUCTURE,
    Ending,
    Key,
    Standing,
    Status,
    SubmissionRefused,
)

if TYPE_CHECKING:
    from clusters.agent.lifecycle import Lifecycle

log = logging.getLogger(__name__)

VANISHED_AFTER_S = 2.0  # so long may an exit marker take to be seen on a shared file system
SIGKILL = 9
VANISHED = "the program vanished without an exit marker (killed, or a restart)"


class Ends:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self.scheduler = lifecycle.scheduler
        self._vanished: set[Key] = set()

    def check(self, key: Key) -> None:
        """Look at a program that may have begun or ended; the scheduler calls this."""
        record, job = self.lifecycle.records.get(key), self.lifecycle.jobs.get(key)
        if record is None or job is None or record.phase not in IN_SCHEDULER:
            return
        standing = self.scheduler.find(job)
        if self.scheduler.blocking:
            self._note(record, standing)
        if standing.status is Status.ALIVE:
            self.scheduler.watch(job)
            self.lifecycle.watching.poll_regularly()  # where watching turns out to need it
            self._runs(record, standing)
        elif standing.status is Status.ENDED:
            self._ended(record, standing)
        elif standing.status in (Status.VANISHED, Status.ABSENT):
            self._gone(record, standing)

    def _note(self, record: Record, standing: Standing) -> None:
        """Take in what a queue says of a job; the portal hears it where it is another thing."""
        before = record.pending, record.unknown_since
        waits = standing.status is Status.PENDING
        if standing.status is not Status.UNKNOWN:
            record.pending = dict(standing.pending) if waits and standing.pending else None
        record.unknown_since = standing.unknown_since
        if standing.accounting:
            record.report["accounting"] = dict(standing.accounting)
        if (record.pending, record.unknown_since) != before:
            self.lifecycle.news(0.0)

    def _runs(self, record: Record, standing: Standing) -> None:
        record.scheduler_id = standing.scheduler_id
        if record.phase is Phase.SUBMITTED:
            record.started_at = standing.started_at
            self.lifecycle.starting.running(record, self.lifecycle.jobs[record.key])

    def _gone(self, record: Record, standing: Standing) -> None:
        job = self.lifecycle.jobs[record.key]
        if record.stop is not Stop.NONE:
            self._signal(record, force=True)
            self._exited(record, replace(standing, exit_code=128 + SIGKILL))
        elif self.scheduler.blocking:
            self._lose(record, standing.why or VANISHED)
        elif record.key not in self._vanished:
            self._vanished.add(record.key)
            self.lifecycle.loop.later(VANISHED_AFTER_S, lambda: self.check(job.key))
        else:
            self._signal(record, force=True)  # what a killed wrapper left behind
            self._lose(record, VANISHED)

    def stop(self, record: Record, reason: Stop, evidence: str = "") -> None:
        """End a program; what it did before the first signal still counts."""
        standing = self.scheduler.find(self.lifecycle.jobs[record.key])
        if standing.status is Status.ENDED:
            self._ended(record, standing)
            return
        if record.stop is Stop.NONE or reason is Stop.ABANDON:
            first = record.stop is Stop.NONE
            record.stop = reason
            record.report["stopped"] = evidence
            self.lifecycle.save(record)
            if first:
                self._end(record, force=False)

    def carry_on(self, record: Record) -> None:
        """Go on with an end that an earlier agent began."""
        self._end(record, force=False)

    def _end(self, record: Record, *, force: bool) -> None:
        """Signal the program, and again by force after the grace, until it is gone."""
        if record.key not in self.lifecycle.jobs or record.phase not in IN_SCHEDULER:
            return
        self._signal(record, force=force)
        grace_s = max(self.lifecycle.config.grace_s, self.scheduler.grace_s)
        self.lifecycle.loop.later(grace_s, lambda: self._end(record, force=True))
        self.lifecycle.loop.later(0.0, lambda: self.check(record.key))

    def _signal(self, record: Record, *, force: bool) -> None:
        job = self.lifecycle.jobs[record.key]

        def signalled(_: None, error: Exception | None) -> None:
            if error is not None:
                log.error("it cannot be ended: %s", error, extra={"run": record.run})

        self.lifecycle.calls.make(lambda: self.scheduler.stop(job, force=force), signalled)

    def _ended(self, record: Record, standing: Standing) -> None:
        if standing.accounting:
            record.report["accounting"] = dict(standing.accounting)
        if record.phase is Phase.SUBMITTED and standing.ending is not Ending.REFUSED:
            self._runs(record, standing)  # it began and ended between two looks
        if record.stop is Stop.NONE and standing.ending in INFRASTRUCTURE:
            self._lose(record, standing.why or f"the scheduler says {standing.ending.value}")
        elif record.stop is Stop.NONE and standing.ending is Ending.REFUSED:
            self.lifecycle.forget(record.key)
            self.lifecycle.blame(record, SubmissionRefused(standing.why))
        else:
            self._exited(record, standing)

    def _exited(self, record: Record, standing: Standing) -> None:
        lifecycle = self.lifecycle
        lifecycle.watching.end(record)
        lifecycle.forget(record.key)
        record.started_at = record.started_at or standing.started_at or time.time()
        record.finished_at = max(standing.finished_at or time.time(), record.started_at)
        code = standing.exit_code
        by_scheduler = standing.ending if record.stop is Stop.NONE else Ending.NORMAL
        record.report["exit"] = {
            "code": code,
            "signal": code - 128 if code is not None and 128 < code < 193 else None,
            "timed_out": record.stop is Stop.WALLTIME or by_scheduler is Ending.TIMEOUT,
        }
        if by_scheduler is not Ending.NORMAL:
            record.report["exit"]["ending"] = by_scheduler.value
        record.report["usage"] = {
            "elapsed_s": round(record.finished_at - record.started_at, 3),
            "cpu_s": standing.cpu_s,
            "max_rss_mib": round(max(standing.max_rss_mib or 0.0, record.max_rss_mib), 1) or None,
        }
        if record.stop is Stop.CANCEL:
            lifecycle.move(record, Phase.CANCELLED)
        elif record.stop is Stop.ABANDON:
            lifecycle.move(record, Phase.CLOSED)
        else:
            lifecycle.move(record, Phase.EVALUATING, news=None)
            lifecycle.advance(record)
        lifecycle.fill()

    def _lose(self, record: Record, why: str) -> None:
        self.lifecycle.watching.end(record)
        self.lifecycle.forget(record.key)
        self.lifecycle.lose(record, why)

    def forget(self, key: Key) -> None:
        self._vanished.discard(key)
