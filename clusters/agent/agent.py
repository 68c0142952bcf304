"""The agent as a whole: puts its parts together, says what is, takes in what should be.

Built by the command line and by tests. Everything here runs in the loop's thread.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from calculations.software.base import Software
from calculations.software.registry import get_software
from clusters.agent import __version__, protocol
from clusters.agent.carriage import OpenCarriage
from clusters.agent.client import Address, Connection
from clusters.agent.config import Config, available_cores
from clusters.agent.devices import Devices, ask_gpus
from clusters.agent.discovery import Found, discover
from clusters.agent.exchanger import Exchanger
from clusters.agent.journal import Journal, JournalFull
from clusters.agent.lifecycle import Lifecycle
from clusters.agent.logs import OwnLog
from clusters.agent.loop import EventLoop
from clusters.agent.metrics import Metrics
from clusters.agent.preparation import Preparation
from clusters.agent.protocol import DEFAULT_SETTINGS
from clusters.agent.purging import Purging
from clusters.agent.rationing import Rations
from clusters.agent.records import Phase, Wanted
from clusters.agent.replies import read_reply
from clusters.agent.runtimes.base import Runtime
from clusters.agent.runtimes.choice import runtimes_for
from clusters.agent.schedulers.choice import scheduler_for, slots_of
from clusters.agent.schedulers.process import ProcessScheduler
from clusters.agent.serving import Serving
from clusters.agent.sitting import Sitting
from clusters.agent.staging import Staging
from clusters.agent.updating import Updater, adopt_lock
from clusters.agent.workers import Workers
from clusters.agent.workspace import Workspace

log = logging.getLogger(__name__)

WORKERS = 4
OWN_LOG_S = 0.25
DISCOVER_AGAIN_S = 600.0
SURVEY_S = 60.0
FIRST_EXCHANGE_AFTER_S = 10.0  # at the latest, should a program take long to tell its version
TIDY_S = 300.0
JOURNAL_FULL_PAUSE_S = 5.0


class Agent:
    def __init__(
        self,
        config: Config,
        *,
        own_log: OwnLog | None = None,
        software: Callable[[str], Software] = get_software,
        open_carriage: OpenCarriage | None = None,
        look: Callable[[], Found] | None = None,
        runtimes: Callable[[], Mapping[str, Runtime]] | None = None,
    ) -> None:
        self.config = config
        self.own_log = own_log or OwnLog()
        self.boot = str(uuid.uuid4())
        self.loop = EventLoop()
        self.workspace = Workspace(config.work)
        self.workspace.open()
        self.journal = Journal(config.work)
        self.metrics = Metrics(config.work)
        self.workers = Workers(WORKERS, self.loop.post)
        self.software: Found = {}
        self._look = look or partial(discover, config)
        open_carriage = open_carriage or partial(
            Connection, Address(config.url, config.key, config.ca_file)
        )
        self.exchanger = Exchanger(self.loop, self, open_carriage)
        self.exchanger.settings = {**DEFAULT_SETTINGS, **self.journal.settings}
        self.lifecycle = Lifecycle(
            loop=self.loop,
            journal=self.journal,
            preparation=Preparation(
                config, self.workspace, Staging(open_carriage, self.workspace), software
            ),
            rations=Rations(
                config,
                Devices(config.gpus, busy_mib=config.gpu_busy_mib),
                own=config.scheduler == ProcessScheduler.kind,
                slots=slots_of(config),
                memory_mib=self.metrics.memory_total_mib(),
            ),
            scheduler=partial(scheduler_for, config, self.loop.selector),
            workers=self.workers,
            news=self.exchanger.news,
            superseded=lambda: self.exchanger.superseded,
        )
        self.serving = Serving(
            config,
            loop=self.loop,
            journal=self.journal,
            lifecycle=self.lifecycle,
            open_carriage=open_carriage,
            runtimes=runtimes or partial(runtimes_for, config),
        )
        self.purging = Purging(self.lifecycle, self.workers, self.journal, self.workspace)
        self.updater = Updater(
            config.work, loop=self.loop, workers=self.workers, open_carriage=open_carriage
        )
        self._began = False

    # Running

    def start(self, *, idle: bool = True) -> None:
        """Begin work; the loop has to be run after this. `idle`: hold a request without news."""
        log.info("agent %s %s begins in %s", self.journal.agent_id, __version__, self.config.work)
        self.lifecycle.restore()
        self.serving.restore()
        self.purging.advance()
        self.loop.every(OWN_LOG_S, self._flush_own_log)
        self.loop.every(TIDY_S, self._tidy)
        self.loop.later(0.0, self._measure)
        self._survey()
        self._discover(lambda: self._begin(idle=idle))
        self.loop.later(FIRST_EXCHANGE_AFTER_S, lambda: self._begin(idle=idle))

    def run(self) -> None:
        """Work until `stop`; what runs is left running and is found again by the next start."""
        self.start()
        self.serving.begin()
        self.updater.begin(active=self._under_way, leave=self.loop.stop)
        self.loop.run()
        self.close()

    def run_once(self) -> bool:
        """Exchange, do all that can be done now, and leave; return whether the portal answered."""
        self.start(idle=False)
        self.loop.every(0.05, self._stop_when_done)
        self.loop.run()
        self.close()
        return self.exchanger.answered > 0

    def run_session(self, sitting: Sitting) -> None:
        """Exchange while there is something in hand, as the sitting says, and leave."""
        self.start(idle=False)
        sitting.begin()
        self.loop.run()
        self.close()

    def stop(self) -> None:
        """End the loop; may be called by a signal handler."""
        self.loop.post(self.loop.stop)

    def close(self) -> None:
        self.exchanger.stop()
        log.info("agent ends; %d programs go on", self.lifecycle.used_slots())
        self._flush_own_log()
        self.journal.close()
        self.loop.close()

    def _begin(self, *, idle: bool) -> None:
        if not self._began:
            self._began = True
            self.exchanger.start(idle=idle)
            self.exchanger.news()

    def _stop_when_done(self) -> None:
        exchanger = self.exchanger
        spoken = self._began and (exchanger.answered or exchanger.failures) and exchanger.quiet
        if (spoken or exchanger.failures) and not self._under_way():
            self.loop.stop()

    def _under_way(self) -> int:
        return self.workers.active + self.lifecycle.calls.active + self.serving.active

    # What is

    def request(self, *, wait_s: float, portion: int, news: bool) -> tuple[dict[str, Any], bool]:
        events: list[dict[str, Any]] = []
        more = False
        if news:
            self._flush_own_log()
            events, more = self.journal.pending_events(portion)
        runs, left = self._runs(portion)
        purged, unsaid = self.purging.report(portion // 2)
        document = protocol.request(
            agent={
                "id": self.journal.agent_id,
                "boot": self.boot,
                "version": __version__,
                "host": socket.gethostname(),
                "python": platform.python_version(),
                "clock": protocol.timestamp(time.time()),
            },
            took_in=self.journal.took_in,
            wait_s=wait_s,
            capacity=self._capacity(),
            runs=runs,
            purged=purged,
            serving=self.serving.report(),
            events=events,
        )
        return document, more or left or unsaid

    def _runs(self, portion: int) -> tuple[list[dict[str, Any]], bool]:
        """Return every run; reports beyond `portion` have to wait for the next exchange."""
        runs, size, left = [], 0, False
        for record in self.lifecycle.records.values():
            abandoned = record.wanted is Wanted.ABANDON and record.phase is not Phase.FINISHED
            if abandoned or record.phase is Phase.CLOSED:
                continue
            if record.phase is Phase.FINISHED:
                length = len(json.dumps(record.report))
                fits = size == 0 or size + length <= portion
                size += length if fits else 0
                left = left or not fits
                runs.append(record.entry(with_report=fits))
            else:
                runs.append(record.entry())
        return runs, left

    def _capacity(self) -> dict[str, Any]:
        used = self.lifecycle.used_slots() + self.lifecycle.waiting()
        scheduler = self.lifecycle.scheduler
        held = self.lifecycle.breaker.held
        slots = 0 if held else scheduler.slots(self.config.slots)
        return {
            "slots": {"total": slots, "free": max(slots - used, 0)},
            **({"held": held} if held else {}),
            **self.updater.capacity(),
            "cores": available_cores(),
            **self.metrics.capacity(),
            **self.lifecycle.rations.capacity(self.lifecycle.records.values(), self.lifecycle.busy),
            "scheduler": scheduler.about(),
            "software": self.software,
            **self.serving.capacity(),
        }

    # What should be

    def reply(self, document: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
        reply = read_reply(document, request)
        try:
            news = self.lifecycle.take_in(reply)
            news = self.serving.take_in(document.get("serving")) or news
        except JournalFull:
            log.error("the reply is not taken in: %s", self.lifecycle.preparation.disk_full())
            self.exchanger.pause(JOURNAL_FULL_PAUSE_S)
            return True
        self.exchanger.settings = {**DEFAULT_SETTINGS, **self.journal.settings}
        told = document.get("agent")
        told = told if isinstance(told, dict) else {}
        self.updater.heard(told.get("update"))
        if told.get("reset") is True and self.lifecycle.breaker.reset():
            self.lifecycle.fill()
            news = True
        return self.purging.advance() or news

    # From time to time

    def _flush_own_log(self) -> None:
        lines = self.own_log.take()
        if not lines:
            return
        try:
            self.journal.add_events(*lines)
        except JournalFull:
            return
        self.exchanger.news(OWN_LOG_S)

    def _measure(self) -> None:
        self.loop.later(self.exchanger.settings["metrics_s"], self._measure)

        def measured(gpus: Any, error: Exception | None) -> None:
            self.metrics.gpus = gpus or []
            self.lifecycle.watching.looked(gpus, error)
            try:
                site = self.lifecycle.scheduler.site()
                self.journal.add_events(self.metrics.event(time.time(), site))
            except JournalFull:
                return
            self.exchanger.news(OWN_LOG_S)

        self.workers.submit(ask_gpus, measured)

    def _survey(self) -> None:
        """Have the scheduler say what the site has and does."""
        calls = self.lifecycle.calls

        def surveyed(_: None, error: Exception | None) -> None:
            if error is not None:
                log.error("the site cannot be surveyed", exc_info=error)
            self.loop.later(SURVEY_S, self._survey)

        calls.make(self.lifecycle.scheduler.survey, surveyed)

    def _discover(self, then: Callable[[], None]) -> None:
        def found(software: Found | None, error: Exception | None) -> None:
            if error is not None:
                log.error("plug-ins cannot be loaded", exc_info=error)
            changed = software is not None and software != self.software
            self.software = software or self.software
            then()
            if changed:
                self.exchanger.news()
            self.loop.later(DISCOVER_AGAIN_S, lambda: self._discover(lambda: None))

        self.workers.submit(self._look, found)

    def _tidy(self) -> None:
        self.journal.keep_reserve()
        dropped = self.journal.drop_oldest_events()
        if dropped:
            log.warning("%d log lines and measurements were given up, unsent", dropped)
        self.journal.forget_closed(time.time())


def lock(config: Config) -> int | None:
    """Return a descriptor that holds the work folder for this process, None where another does."""
    import fcntl

    config.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = config.work / "agent.lock"
    descriptor = adopt_lock(path)
    if descriptor is None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
