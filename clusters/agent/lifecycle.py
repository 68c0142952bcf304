"""The life of each attempt: queued, started once, watched, ended, evaluated, reported, closed.

Called by the loop's thread only. Each step is on disk before the next begins, so that a killed
agent goes on where it was. `advance` looks at one record and does what is due; calling it again
does no harm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from calculations.software.base import RunSpec
from clusters.agent.breaker import Breaker
from clusters.agent.calls import Calls
from clusters.agent.ending import Ends
from clusters.agent.journal import Journal, JournalFull, TakeIn
from clusters.agent.loop import EventLoop
from clusters.agent.preparation import Preparation
from clusters.agent.rationing import Rations
from clusters.agent.records import IN_SCHEDULER, STARTED, Phase, Record, Stop, Wanted
from clusters.agent.reporting import Reporting
from clusters.agent.schedulers.base import Job, Key, Scheduler
from clusters.agent.starting import Starting
from clusters.agent.watching import Watching
from clusters.agent.workers import Workers

log = logging.getLogger(__name__)

NEWS_SOON_S = 0.05


class Lifecycle:
    """All attempts of one agent. `news(delay_s)` says that the portal should hear something;
    `superseded()`, whether a newer agent does the work: what runs goes on, nothing more begins.
    """

    def __init__(
        self,
        *,
        loop: EventLoop,
        journal: Journal,
        preparation: Preparation,
        rations: Rations,
        scheduler: Callable[[Callable[[Key], None]], Scheduler],
        workers: Workers,
        news: Callable[[float], None],
        superseded: Callable[[], bool],
    ) -> None:
        self.loop = loop
        self.journal = journal
        self.preparation = preparation
        self.config = preparation.config
        self.rations = rations
        self.scheduler = scheduler(self.check)
        self.workers = workers
        self.news = news
        self.superseded = superseded
        self.records: dict[Key, Record] = {}
        self.jobs: dict[Key, Job] = {}
        self.busy: set[Key] = set()
        self.breaker = Breaker()
        self.calls = Calls(self.scheduler, loop)
        self.starting = Starting(self)
        self.ends = Ends(self)
        self.watching = Watching(self)
        self.reporting = Reporting(self)

    # What is there

    def restore(self) -> None:
        """Go on with everything that the journal knows."""
        for record in self.journal.records():
            self.records[record.key] = record
        for record in list(self.records.values()):
            self._resume(record)
        self.fill()

    def _resume(self, record: Record) -> None:
        if record.phase in STARTED or record.phase is Phase.QUEUED:
            self.starting.resume(record)
        else:
            self.advance(record)

    def used_slots(self) -> int:
        return sum(
            record.phase in STARTED or (record.phase is Phase.QUEUED and record.key in self.busy)
            for record in self.records.values()
        )

    def waiting(self) -> int:
        return sum(
            record.phase is Phase.QUEUED and record.key not in self.busy
            for record in self.records.values()
        )

    def preparing(self) -> bool:
        """Whether folders are made ready now."""
        return any(self.records[key].phase is Phase.QUEUED for key in self.busy)

    # What the portal wants

    def take_in(self, reply: TakeIn) -> bool:
        """Put a reply on disk, then act on it; return whether it brought anything new.

        Raises JournalFull where the disk does not take it.
        """
        changed = self._changes(reply)
        try:
            created = self.journal.take_in(reply, changed)
        except JournalFull:
            self._refuse(reply)
            raise
        for copy in changed:
            record = self.records[copy.key]
            record.phase, record.wanted = copy.phase, copy.wanted
            record.why, record.since = copy.why, copy.since
        for record in created:
            self.records[record.key] = record
        for item in [*changed, *created]:
            self.advance(self.records[item.key])
        self.fill()
        return bool(changed or created)

    def _changes(self, reply: TakeIn) -> list[Record]:
        """Return changed copies of the records that a reply concerns."""
        changed = []
        for key, record in self.records.items():
            if key in reply.abandon and record.phase is Phase.FINISHED and key not in reply.told:
                continue  # the portal has not heard of its result yet, and may keep it
            if key in reply.abandon and record.terminal:
                changed.append(replace(record, phase=Phase.CLOSED, since=time.time()))
            elif key in reply.abandon and record.wanted is not Wanted.ABANDON:
                changed.append(replace(record, wanted=Wanted.ABANDON, why=reply.abandon[key]))
            elif key in reply.close and record.terminal:
                changed.append(replace(record, phase=Phase.CLOSED, since=time.time()))
            elif key in reply.cancel and record.wanted is Wanted.NOTHING and not record.terminal:
                changed.append(replace(record, wanted=Wanted.CANCEL, why=reply.cancel[key]))
        return changed

    def _refuse(self, reply: TakeIn) -> None:
        """Report new attempts as lost, from memory alone, since the disk takes nothing."""
        for key in reply.close:
            if key in self.records and not self.records[key].on_disk:
                del self.records[key]
        for spec in reply.execute:
            record = Record(str(spec["run"]), int(spec["attempt"]), spec, on_disk=False)
            if record.key not in self.records and record.key not in reply.close:
                self.records[record.key] = record
                self.lose(record, self.preparation.disk_full())

    # Steps

    def advance(self, record: Record) -> None:
        """Do what is due for one record; a worker that is busy with it will call again."""
        if record.key in self.busy:
            return
        if record.phase is Phase.CLOSED:
            self._drop(record)
        elif record.wanted is not Wanted.NOTHING and record.phase not in IN_SCHEDULER:
            self._give_up(record)
        elif record.phase in IN_SCHEDULER and record.wanted is Wanted.CANCEL:
            self.ends.stop(record, Stop.CANCEL)
        elif record.phase in IN_SCHEDULER and record.wanted is Wanted.ABANDON:
            self.ends.stop(record, Stop.ABANDON)
        elif record.phase is Phase.EVALUATING:
            self.reporting.evaluate(record)
        elif record.phase is Phase.UPLOADING:
            self.reporting.upload(record)
        elif record.terminal:
            self.news(0.0)

    def _give_up(self, record: Record) -> None:
        """Carry out cancel or abandon where no program runs. A result that an abandoned attempt
        has by then is told all the same, for an admin to adopt; its files stay here.
        """
        abandoned = record.wanted is Wanted.ABANDON
        if record.phase is Phase.STARTING and self.scheduler.blocking:
            self.starting.withdraw(record)
        elif abandoned and record.phase is Phase.UPLOADING:
            self.finish(record)
        elif abandoned and record.terminal:
            self.news(0.0)
        elif abandoned and record.phase is not Phase.EVALUATING:
            self.move(record, Phase.CLOSED)
        elif record.phase in (Phase.QUEUED, Phase.STARTING):
            self.move(record, Phase.CANCELLED)
        elif record.phase is Phase.EVALUATING:
            self.reporting.evaluate(record)
        elif record.phase is Phase.UPLOADING:
            self.reporting.upload(record)

    def fill(self) -> None:
        """Make waiting attempts ready as far as there is room, in the order in which they came."""
        if self.breaker.held or self.superseded():
            return
        for record in self.rations.choose(self.records.values(), self.busy):
            self._prepare(record)

    def _prepare(self, record: Record) -> None:
        try:
            spec = RunSpec.from_json(record.spec)
        except (KeyError, TypeError, ValueError) as error:
            self.lose(record, f"the run's description cannot be understood: {error!r}")
            return
        prepare = partial(self.preparation.prepare, spec, self._carry_attempt(spec))
        self.work(record, partial(self.rations.ready, record, prepare), self._prepared)

    def _carry_attempt(self, spec: RunSpec) -> int | None:
        if spec.carry is None or spec.carry.attempt is not None:
            return spec.carry and spec.carry.attempt
        known = self.journal.attempts(spec.carry.run)
        valid = [attempt for attempt, verdict in known if verdict == "valid"]
        return (valid or [attempt for attempt, _ in known] or [None])[0]

    def _prepared(self, record: Record, job: Job | None, error: Exception | None) -> None:
        if record.wanted is not Wanted.NOTHING:
            self.advance(record)
        elif self.superseded():
            log.info("left to a newer agent", extra={"run": record.run})
        elif self.rations.postpones(record, error):
            self.watching.look_again()
        elif error is not None or job is None:
            self.blame(record, error or RuntimeError("no job"))
        elif self.move(record, Phase.STARTING):
            self.starting.begin(record, job)
        else:
            self.lose(record, self.preparation.disk_full())

    def blame(self, record: Record, error: Exception) -> None:
        why, report = self.preparation.blame(error, str(record.spec.get("software")))
        if report is None:
            self.lose(record, why)
            return
        log.error("could not be made ready: %s", error, exc_info=error, extra={"run": record.run})
        record.report.update(report, exit={"code": None, "signal": None, "timed_out": False})
        record.verdict = report["outcome"]["verdict"]
        self.finish(record)

    def check(self, key: Key) -> None:
        """Look at a program that may have begun or ended; the scheduler calls this."""
        self.ends.check(key)

    # Keeping book

    def finish(self, record: Record) -> None:
        record.report.pop("stopped", None)
        record.report.setdefault("files", [])
        record.finished_at = record.finished_at or time.time()
        record.report.setdefault("usage", {"elapsed_s": None, "cpu_s": None, "max_rss_mib": None})
        self.move(record, Phase.FINISHED)
        self.fill()

    def lose(self, record: Record, why: str) -> None:
        record.why = why
        record.finished_at = time.time()
        log.error("lost: %s", why, extra={"run": record.run})
        self.move(record, Phase.LOST)
        self.loop.post(self.fill)

    def move(self, record: Record, phase: Phase, *, news: float | None = 0.0) -> bool:
        """Bring a record to a phase; return whether that is on disk."""
        record.phase, record.since = phase, time.time()
        self.breaker.note(phase, record.why)
        saved = self.save(record)
        if phase is Phase.CLOSED:
            self._drop(record)
            self.news(NEWS_SOON_S)  # a slot may be free
        elif news is not None and phase is not Phase.STARTING:
            self.news(news)
        return saved

    def save(self, record: Record) -> bool:
        if not record.on_disk:
            return False
        try:
            self.journal.save(record)
        except JournalFull:
            log.error("the journal is full: %s", self.preparation.disk_full())
            return False
        return True

    def _drop(self, record: Record) -> None:
        self.records.pop(record.key, None)
        self.forget(record.key)
        self.loop.post(self.fill)

    def forget(self, key: Key) -> None:
        job = self.jobs.pop(key, None)
        if job is not None:
            self.scheduler.forget(job)
        self.starting.forget(key)
        self.ends.forget(key)
        self.watching.forget(key)

    def work(
        self,
        record: Record,
        task: Callable[[], Any],
        answer: Callable[[Record, Any, Exception | None], None],
    ) -> None:
        """Have a worker do a task for a record; nothing else happens to the record meanwhile."""

        def answered(result: Any, error: Exception | None) -> None:
            self.busy.discard(record.key)
            if record.wanted is Wanted.ABANDON and record.phase is not Phase.EVALUATING:
                self.advance(record)
            else:
                answer(record, result, error)
            self.starting.hand_over()

        self.busy.add(record.key)
        self.workers.submit(task, answered)
