"""Log lines for the portal: what programs write, read from where the last reading ended, and the
agent's own.

Lines beyond the budget are counted, not sent; the gap is a line of its own. The agent's own log is
also a rotating file in the work folder.
"""

from __future__ import annotations

import logging
import logging.handlers
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.agent.protocol import MAX_LOG_LINE, EventKind, LogService, timestamp
from clusters.agent.workspace import open_regular

READ_AT_ONCE = 512 * 1024
PROGRESS_TAIL = 16 * 1024
OWN_LOG_BYTES, OWN_LOG_FILES = 5 * 1024 * 1024, 3
MAX_OWN_LINES = 1000  # that wait for the journal
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_event(
    text: str, *, service: LogService, level: str, at: float, run: str | None = None, **more: Any
) -> dict[str, Any]:
    """`more`: what else tells where the line comes from, such as the replica of a model."""
    text = text.replace("\0", "").rstrip()
    if len(text) > MAX_LOG_LINE:
        text = text[: MAX_LOG_LINE - 2] + " …"
    return {
        "at": timestamp(at),
        "kind": EventKind.LOG.value,
        "run": run,
        "service": service.value,
        "level": level,
        "text": text,
        **more,
    }


@dataclass
class Budget:
    """Bytes per minute that may be sent, as a bucket that fills evenly and holds one minute's
    worth.
    """

    bytes_per_minute: int
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = float(self.bytes_per_minute), self.clock()

    def take(self, size: int) -> bool:
        now = self.clock()
        gained = (now - self._at) * self.bytes_per_minute / 60
        self._left, self._at = min(self._left + gained, float(self.bytes_per_minute)), now
        if size > self._left:
            return False
        self._left -= size
        return True


class Tail:
    """Reads a growing file by whole lines from `offset` on, which the journal keeps. `of`: what
    each line's event says of where it comes from, such as the run.
    """

    def __init__(
        self,
        path: Path,
        *,
        offset: int,
        budget: Budget,
        service: LogService = LogService.PROGRAM,
        **of: Any,
    ) -> None:
        self.path = path
        self.service = service
        self.of = of
        self.offset = offset
        self.budget = budget
        self.recent = ""
        self._skipped = 0

    def read(self, *, final: bool = False) -> list[dict[str, Any]]:
        """Return the new lines as log events; with `final` also the last one without a newline."""
        events: list[dict[str, Any]] = []
        while True:
            chunk, more = self._chunk(final=final)
            if not chunk:
                break
            self.offset += len(chunk)
            text = chunk.decode("utf-8", errors="replace").replace("\r\n", "\n")
            self.recent = (self.recent + text)[-PROGRESS_TAIL:]
            events += self._events(text.split("\n")[: None if not text.endswith("\n") else -1])
            if not more or not final:
                break
        if final and self._skipped:
            events.append(self._gap())
        return events

    def _chunk(self, *, final: bool) -> tuple[bytes, bool]:
        """Return the next bytes up to a line's end, and whether the file holds more."""
        try:
            size = self.path.lstat().st_size
            if size < self.offset:  # the program began the file anew
                self.offset = 0
            if size == self.offset:
                return b"", False
            with open_regular(self.path) as stream:
                stream.seek(self.offset)
                chunk = stream.read(READ_AT_ONCE)
        except OSError:
            return b"", False
        more = len(chunk) == READ_AT_ONCE
        end = chunk.rfind(b"\n") + 1
        if end == 0 and (more or final):
            end = len(chunk)
        if final and not more:
            end = len(chunk)
        return chunk[:end], more

    def _events(self, lines: list[str]) -> list[dict[str, Any]]:
        events = []
        now = time.time()
        for line in lines:
            if not self.budget.take(len(line) + 1):
                self._skipped += 1
                continue
            if self._skipped:
                events.append(self._gap())
            event = log_event(line, service=self.service, level="INFO", at=now, **self.of)
            events.append(event)
        return events

    def _gap(self) -> dict[str, Any]:
        count, self._skipped = self._skipped, 0
        text = f"{count} lines not sent, file kept"
        now = time.time()
        return log_event(text, service=LogService.AGENT, level="WARNING", at=now, **self.of)


class OwnLog(logging.Handler):
    """Keeps the agent's own log lines until the loop takes them; any thread may log."""

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._lines: deque[dict[str, Any]] = deque(maxlen=MAX_OWN_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:
            text = str(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text = f"{text}: {type(error).__name__}: {error}"
        replica = getattr(record, "replica", None)
        self._lines.append(
            log_event(
                text,
                run=getattr(record, "run", None),
                service=LogService.AGENT,
                level=_level(record.levelno),
                at=record.created,
                **({"replica": replica} if replica else {}),
            )
        )

    def take(self) -> list[dict[str, Any]]:
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines


def _level(number: int) -> str:
    for level, name in ((40, "ERROR"), (30, "WARNING"), (20, "INFO")):
        if number >= level:
            return name
    return "DEBUG"


def set_up(work: Path, level: str, *, console: bool) -> OwnLog:
    """Send the agent's log to a rotating file, to the portal, and to stderr where `console`."""
    root = logging.getLogger()
    root.setLevel(level)
    own = OwnLog()
    file = logging.handlers.RotatingFileHandler(
        work / "agent.log",
        maxBytes=OWN_LOG_BYTES,
        backupCount=OWN_LOG_FILES,
        encoding="utf-8",
        errors="replace",
    )
    handlers: list[logging.Handler] = [own, file]
    if console:
        handlers.append(logging.StreamHandler())
    for handler in handlers[1:]:
        handler.setFormatter(logging.Formatter(FORMAT))
    for handler in handlers:
        root.addHandler(handler)
    logging.raiseExceptions = False  # a full disk must not fill stderr with tracebacks
    return own
