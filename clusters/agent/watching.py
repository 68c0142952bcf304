"""What is looked at while programs run: their logs and progress, their walltime, their memory.

A part of the life cycle, split off for its size. Timers run only while something runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from clusters.agent.devices import ask_gpus
from clusters.agent.journal import JournalFull
from clusters.agent.logs import Budget, Tail
from clusters.agent.protocol import DEFAULT_SETTINGS
from clusters.agent.records import Phase, Record, Stop
from clusters.agent.schedulers.base import Job, Key

if TYPE_CHECKING:
    from clusters.agent.lifecycle import Lifecycle

log = logging.getLogger(__name__)

LOGS_S = 0.25
MEMORY_S = 3.0
DISK_S = 60.0
LOOK_AGAIN_S = 2.0  # what ended a moment ago may still hold its GPU
DEFAULT_WALLTIME_S, DEFAULT_MEMORY_MIB = 600, 1024
# People are told before the end: at a tenth of the walltime, half an hour before at the earliest,
# and not at all where there would be no time to do anything.
WARN_SHARE, WARN_AT_MOST_S, SHORT_WALLTIME_S = 0.1, 1800.0, 1800


def warning_s(walltime_s: int) -> float:
    """Return how long before the end of the walltime people are told; 0.0: never."""
    return 0.0 if walltime_s < SHORT_WALLTIME_S else min(WARN_SHARE * walltime_s, WARN_AT_MOST_S)


class Watching:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self.config = lifecycle.config
        self._tails: dict[Key, Tail] = {}
        self._ticking: set[str] = set()
        self._measuring = self._polling = False

    def begin(self, record: Record, job: Job) -> None:
        budget = self.lifecycle.journal.settings.get(
            "log_bytes_per_minute", DEFAULT_SETTINGS["log_bytes_per_minute"]
        )
        self._tails[record.key] = Tail(
            job.folder / job.log_file,
            run=record.run,
            offset=record.log_offset,
            budget=Budget(budget),
        )
        walltime = record.resource("walltime_s", DEFAULT_WALLTIME_S)
        ends_at = (record.started_at or time.time()) + walltime
        left = ends_at - time.time()
        overtime = self.lifecycle.scheduler.overtime_s
        self.lifecycle.loop.later(left + overtime, lambda: self._out_of_time(record, job))
        if warning := warning_s(walltime):
            self.lifecycle.loop.later(left - warning, lambda: self._warn(record, job, ends_at))
        self._tick("logs", LOGS_S)
        self._tick("memory", MEMORY_S)
        self._tick("disk", DISK_S)
        self.poll_regularly()

    def poll_regularly(self) -> None:
        """Have the scheduler polled while it has jobs, where it wants that."""
        if self.lifecycle.scheduler.poll_s:
            self._tick("poll", self.lifecycle.scheduler.poll_s)

    def end(self, record: Record) -> None:
        """Read the rest of the log, before the end of the program is reported."""
        if record.key in self._tails:
            self._read(record, self._tails[record.key], final=True)

    def forget(self, key: Key) -> None:
        self._tails.pop(key, None)

    def look_again(self) -> None:
        """Look at the GPUs soon: one was found in use, or nobody answered."""
        workers = self.lifecycle.workers
        self.lifecycle.loop.later(LOOK_AGAIN_S, lambda: workers.submit(ask_gpus, self.looked))

    def looked(self, found: Any, error: Exception | None) -> None:
        """Take in what `ask_gpus` found; what waits for a GPU may have its turn now."""
        self.lifecycle.rations.looked(found, error, self.lifecycle.records.values())
        self.lifecycle.fill()

    def _tick(self, what: str, interval_s: float) -> None:
        """Have `_<what>` called every so often for as long as programs run."""
        if what in self._ticking:
            return
        self._ticking.add(what)
        looks = {"logs": self._logs, "memory": self._memory, "disk": self._disk, "poll": self._poll}
        look = looks[what]

        def again() -> None:
            if not (self.lifecycle.jobs if what == "poll" else self._tails):
                self._ticking.discard(what)
                return
            self.lifecycle.loop.later(interval_s, again)
            look()

        self.lifecycle.loop.later(interval_s, again)

    def _poll(self) -> None:
        if not self._polling:
            self._polling = True
            self.lifecycle.calls.make(self.lifecycle.scheduler.poll, self._polled, routine=True)

    def _polled(self, keys: Iterable[Key] | None, error: Exception | None) -> None:
        self._polling = False
        if error is not None:
            log.error("the scheduler cannot be polled", exc_info=error)
        for key in keys or ():
            self.lifecycle.check(key)

    def _logs(self) -> None:
        for key, tail in list(self._tails.items()):
            record = self.lifecycle.records.get(key)
            if record is not None:
                self._read(record, tail)

    def _read(self, record: Record, tail: Tail, *, final: bool = False) -> None:
        """Put new lines into the journal together with how far the file was read."""
        before = tail.offset
        events = tail.read(final=final)
        if tail.offset == before and not events:
            return
        record.log_offset = tail.offset
        try:
            self.lifecycle.journal.read_further(record, events)
        except JournalFull:
            tail.offset = record.log_offset = before
            return
        self._progress(record, tail)
        self.lifecycle.news(LOGS_S if final else 0.0)

    def _progress(self, record: Record, tail: Tail) -> None:
        try:
            plugin = self.lifecycle.preparation.software(str(record.spec.get("software")))
            progress = plugin.progress(tail.recent)
        except Exception:
            log.exception("the plug-in cannot read progress", extra={"run": record.run})
            return
        if progress is not None:
            record.progress = progress.to_json()

    def _warn(self, record: Record, job: Job, ends_at: float) -> None:
        """Have the portal told that the walltime is nearly over."""
        if self.lifecycle.jobs.get(record.key) is job and record.phase is Phase.RUNNING:
            log.info("the walltime is over soon", extra={"run": record.run})
            record.ends_at = ends_at
            self.lifecycle.news(0.0)

    def _out_of_time(self, record: Record, job: Job) -> None:
        current = self.lifecycle.jobs.get(record.key) is job and record.phase is Phase.RUNNING
        if current and record.stop is Stop.NONE:
            log.warning("the walltime is over", extra={"run": record.run})
            self.lifecycle.ends.stop(record, Stop.WALLTIME)

    def _disk(self) -> None:
        """Have a worker measure the folders of what runs, all in one go; not twice at once."""
        if self._measuring:
            return
        self._measuring = True
        workspace = self.lifecycle.preparation.workspace
        runs = [run for run, _ in self._tails]

        def measured(found: dict[str, int | None] | None, error: Exception | None) -> None:
            self._measuring = False
            if error is not None:
                log.warning("the folders of runs cannot be measured: %s", error)
            for key in self._tails:
                record = self.lifecycle.records.get(key)
                if record is not None and found and found.get(record.run) is not None:
                    record.disk_bytes = found[record.run]

        self.lifecycle.workers.submit(
            lambda: {run: workspace.disk_bytes(run) for run in runs}, measured
        )

    def _memory(self) -> None:
        """Note what programs hold, and end one that holds far more than it asked for."""
        scheduler = self.lifecycle.scheduler
        for key, found in scheduler.memory_mib().items():
            record, job = self.lifecycle.records.get(key), self.lifecycle.jobs.get(key)
            if record is None or job is None:
                continue
            record.max_rss_mib = max(record.max_rss_mib, found)
            asked = record.resource("memory_mib", DEFAULT_MEMORY_MIB)
            limit = asked * self.config.memory_factor
            if not self.config.enforce_memory or found <= limit or record.stop is not Stop.NONE:
                continue
            exact = scheduler.exact_memory_mib(job) or found
            if exact > limit:
                evidence = f"{exact:.0f} MiB held, {asked} MiB asked for"
                log.warning("too much memory: %s", evidence, extra={"run": record.run})
                self.lifecycle.ends.stop(record, Stop.MEMORY, evidence)
