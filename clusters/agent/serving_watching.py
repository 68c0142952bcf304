"""What is looked at while servers of models run: whether they live, what they use, what they write.

A part of `serving`, called by the loop's thread. Runtimes are asked in a pool, each once at a time
and for all of its launches together.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from clusters.agent.journal import JournalFull
from clusters.agent.logs import Budget, Tail
from clusters.agent.protocol import DEFAULT_SETTINGS, LogService
from clusters.agent.runtimes.base import Status
from clusters.agent.serving_config import PROCESS
from clusters.agent.serving_records import Replica
from clusters.agent.workspace import open_regular

if TYPE_CHECKING:
    from clusters.agent.serving import Serving

log = logging.getLogger(__name__)

LOGS_S = 0.5
# Between two looks: a container's costs a process each time. What ends or may have ended is looked
# at sooner.
LOOK_S = {PROCESS: 1.0}
LOOK_ENGINE_S, SOON_S = 4.0, 0.3
MOST_LOG_BYTES = 64 * 1024 * 1024  # a server may write for years
LAST_LINES, LAST_BYTES = 40, 8000


@dataclass
class Look:
    """One launch that is watched, with its use at the last look (monotonic)."""

    launch: int
    tail: Tail
    cpu_s: float | None = None
    at: float = 0.0


class ServingWatching:
    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._looks: dict[str, Look] = {}
        self._asking: set[str] = set()
        self._asked: dict[str, float] = {}
        self._soon = False
        self._read_at = 0.0

    def begin(self, one: Replica) -> None:
        budget = self.serving.journal.settings.get(
            "log_bytes_per_minute", DEFAULT_SETTINGS["log_bytes_per_minute"]
        )
        tail = Tail(
            self.serving.preparation.log_file(one.replica, one.launch),
            offset=one.log_offset,
            budget=Budget(budget),
            service=LogService.MODEL,
            replica=one.replica,
            launch=one.launch,
        )
        self._looks[one.replica] = Look(one.launch, tail)
        self.look_soon()

    def end(self, one: Replica) -> None:
        """Read the rest of the log, before the end of the launch is reported."""
        look = self._looks.get(one.replica)
        if look is not None:
            self._read(one, look, final=True)

    def forget(self, one: Replica) -> None:
        self._looks.pop(one.replica, None)

    def look_soon(self) -> None:
        """Have the runtimes asked soon: something may have ended."""
        self._soon = True

    def last_lines(self, one: Replica) -> list[str]:
        """Return the end of the newest log, for whoever has to find out what went wrong."""
        path = self.serving.preparation.log_file(one.replica, one.launch)
        try:
            with open_regular(path) as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(size - LAST_BYTES, 0))
                text = stream.read(LAST_BYTES).decode("utf-8", "replace").replace("\0", "")
        except OSError:
            return []
        return [line[:500] for line in text.splitlines()[-LAST_LINES:]]

    def tick(self) -> None:
        now = time.monotonic()
        if now - self._read_at >= LOGS_S:
            self._read_at = now
            for name, look in list(self._looks.items()):
                one = self.serving.replicas.get(name)
                if one is not None:
                    self._read(one, look)
        for kind in {one.runtime for one in self._there()} - self._asking:
            usual = LOOK_S.get(kind, LOOK_ENGINE_S)
            ending = any(one.kill_at is not None for one in self._there(kind))
            pause = min(SOON_S, usual) if self._soon or ending else usual
            if now - self._asked.get(kind, 0.0) >= pause:
                self._ask(kind)
        self._soon = False

    def _there(self, kind: str | None = None) -> list[Replica]:
        return [
            one
            for one in self.serving.replicas.values()
            if one.replica in self._looks and one.handle and kind in (None, one.runtime)
        ]

    # Whether they live

    def _ask(self, kind: str) -> None:
        launches = [(one, one.launch, one.found) for one in self._there(kind)]
        handles = [handle for _, _, handle in launches if handle is not None]
        self._asking.add(kind)
        self._asked[kind] = time.monotonic()
        runtime = self.serving.runtimes[kind]

        def answered(found: Mapping[str, Status] | None, error: Exception | None) -> None:
            self._asking.discard(kind)
            if error is not None:
                log.warning("%s cannot be asked how its models are: %s", kind, error)
            for one, launch, handle in launches:
                status = (found or {}).get(handle.reference) if handle is not None else None
                if status is not None and one.begun and one.launch == launch:
                    self._take(one, status)

        self.serving.acting.submit(partial(runtime.status, handles), answered)

    def _take(self, one: Replica, status: Status) -> None:
        look = self._looks.get(one.replica)
        if status.alive is False:
            self.serving.endings.died(one, status)
        elif status.alive and look is not None:
            self._note_use(one, look, status)

    def _note_use(self, one: Replica, look: Look, status: Status) -> None:
        now, percent = time.monotonic(), one.usage.get("cpu_percent")
        if status.cpu_s is not None and look.cpu_s is not None and now - look.at >= 0.5:
            percent = round(100 * max(status.cpu_s - look.cpu_s, 0.0) / (now - look.at), 1)
            look.cpu_s, look.at = status.cpu_s, now
        elif look.cpu_s is None:
            look.cpu_s, look.at = status.cpu_s, now
        memory = None if status.memory_mib is None else round(status.memory_mib, 1)
        one.usage = {"cpu_percent": percent, "memory_mib": memory}

    # What they write

    def _read(self, one: Replica, look: Look, *, final: bool = False) -> None:
        """Put new lines into the journal together with how far the file was read."""
        tail = look.tail
        before = tail.offset
        events = tail.read(final=final)
        if tail.offset == before and not events:
            return
        one.log_offset = tail.offset
        try:
            self.serving.journal.save(one, events)
        except JournalFull:
            tail.offset = one.log_offset = before
            return
        if tail.offset > MOST_LOG_BYTES and not final:
            self._begin_anew(one, tail)
        self.serving.news(LOGS_S)

    def _begin_anew(self, one: Replica, tail: Tail) -> None:
        """Empty a log that was sent: a server appends to it for as long as it lives."""
        try:
            os.truncate(tail.path, 0)
        except OSError as error:
            log.warning("its log cannot be emptied: %s", error, extra={"replica": one.replica})
            return
        tail.offset = one.log_offset = 0
