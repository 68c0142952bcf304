"""When the agent speaks to the portal, and what it says: news at once, else one request held open.

Two lines at most. On one, news is sent and answered at once; only one such exchange is under way,
and what happens meanwhile goes with the next. On the other an idle request waits; the portal
releases it as soon as a newer one comes.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from clusters.agent import protocol
from clusters.agent.carriage import Carriage, OpenCarriage
from clusters.agent.client import ANSWER_S, CONNECT_S, Refused, Unreachable
from clusters.agent.loop import EventLoop
from clusters.agent.protocol import DEFAULT_SETTINGS, MAX_WAIT_S, BadDocument

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
MANY_FAILURES, PAUSE_AFTER_MANY_S = 30, 120.0  # in a row: the portal is away for longer
PAUSE_AFTER_STATUS = {401: 30.0, 403: 30.0, 409: 30.0, 426: 60.0}
NEWER_BOOT = "newer-boot"
SETTLE_S = 0.03  # what an instruction sets off is often news within this time
QUICK_S = 0.5  # an idle request that is answered faster was not held
LARGEST_PORTION = 2 * 1024 * 1024  # bytes of JSON of events and of reports in one request
SMALLEST_PORTION = 64 * 1024


class Content(Protocol):
    """Where requests come from and replies go to."""

    def request(self, *, wait_s: float, portion: int, news: bool) -> tuple[dict[str, Any], bool]:
        """Return a request, and whether more waits to be said than fits in `portion`."""

    def reply(self, document: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
        """Take a reply in; return whether it brought anything new."""


@dataclass
class Line:
    """One line with its thread; `sent` is the moment of the request under way."""

    name: str
    carriage: Carriage
    requests: queue.SimpleQueue[tuple[dict[str, Any], float]] = field(
        default_factory=queue.SimpleQueue
    )
    request: dict[str, Any] | None = None
    sent: float = 0.0
    limit: float = 0.0
    more: bool = False


class Exchanger:
    def __init__(self, loop: EventLoop, content: Content, open_carriage: OpenCarriage) -> None:
        self.loop = loop
        self.content = content
        self.settings: Mapping[str, int] = DEFAULT_SETTINGS
        self.answered = 0  # exchanges that succeeded
        self.failures = 0  # in a row
        self._cause = ""  # of the last one
        self.superseded = False
        self._started = False
        self._portion = LARGEST_PORTION
        self._news_due: float | None = None
        self._idle_due = 0.0
        self._not_before = 0.0
        self._quick_answers = 0
        self._woken_for = float("inf")
        self._news = Line("news", open_carriage())
        self._idle = Line("idle", open_carriage())
        for line in (self._news, self._idle):
            work = self._serve(line)
            threading.Thread(target=work, name=f"exchange-{line.name}", daemon=True).start()

    def news(self, delay_s: float = 0.0) -> None:
        """Have an exchange begin at once, or after a moment in which more may happen."""
        due = time.monotonic() + delay_s
        if self._news_due is None or due < self._news_due:
            self._news_due = due
            self._wake(due)

    def pause(self, seconds: float) -> None:
        self._not_before = time.monotonic() + seconds

    @property
    def quiet(self) -> bool:
        """Whether nothing is being said and nothing waits to be said."""
        return self._news_due is None and self._news.request is None

    @property
    def silent(self) -> bool:
        """Whether nothing is being said; something may wait to be said."""
        return self._news.request is None

    def start(self, *, idle: bool = True) -> None:
        """Begin to speak; `idle` says whether a request is held open when there is no news."""
        self._started = True
        self._idle_due = 0.0 if idle else float("inf")
        self.loop.every(1.0, self.watch)
        self.step()

    def stop(self) -> None:
        self.superseded = True
        for line in (self._news, self._idle):
            line.carriage.abort()

    def step(self) -> None:
        """Begin the exchange that is due, if one is."""
        now = time.monotonic()
        self._woken_for = float("inf")
        if self.superseded or not self._started:
            return
        if now < self._not_before:
            self._wake(self._not_before)
            return
        if self._news_due is not None and self._news.request is None:
            if self._news_due > now:
                self._wake(self._news_due)
            else:
                self._news_due = None
                self._send(self._news, wait_s=0)
        free = self._news.request is None and self._idle.request is None
        if free and self._news_due is None:
            if self._idle_due > now:
                self._wake(self._idle_due)
            else:
                held = min(MAX_WAIT_S, self.settings["exchange_s"])
                self._send(self._idle, wait_s=held)

    def watch(self) -> None:
        """Break off an exchange that takes longer than any answer may."""
        now = time.monotonic()
        for line in (self._news, self._idle):
            if line.request is not None and now > line.sent + line.limit:
                log.warning("an exchange took longer than %.0f s and is broken off", line.limit)
                line.sent = now
                line.carriage.abort()
        self.step()

    def _wake(self, moment: float) -> None:
        if moment < self._woken_for and moment != float("inf"):
            self._woken_for = moment
            self.loop.later(moment - time.monotonic(), self.step)

    def _send(self, line: Line, *, wait_s: float) -> None:
        line.request, line.more = self.content.request(
            wait_s=wait_s, portion=self._portion, news=line is self._news
        )
        line.sent = time.monotonic()
        line.limit = wait_s + CONNECT_S + 2 * ANSWER_S
        line.requests.put((line.request, wait_s))

    def _serve(self, line: Line) -> Callable[[], None]:
        def work() -> None:
            while True:
                request, wait_s = line.requests.get()
                answer: Any = None
                try:
                    answer = line.carriage.exchange(request, wait_s=wait_s)
                except Exception as error:
                    answer = error
                self.loop.post(lambda answer=answer: self._answered(line, answer))

        return work

    def _answered(self, line: Line, answer: Any) -> None:
        request, line.request = line.request or {}, None
        elapsed = time.monotonic() - line.sent
        if isinstance(answer, Exception):
            self._failed(line, answer)
        elif answer is None:
            self._recovered()
            if line is self._news:  # released before it was answered: say it again
                self.news()
            self._idle_due = min(self._idle_due, time.monotonic() + SETTLE_S)
        else:
            self._recovered()
            self._take(line, answer, request, elapsed)
        self.step()

    def _take(
        self, line: Line, answer: dict[str, Any], request: dict[str, Any], elapsed: float
    ) -> None:
        self.answered += 1
        busy = self.content.reply(answer, request)
        now = time.monotonic()
        if self._idle_due == float("inf"):
            pass
        elif line is self._idle and elapsed < QUICK_S and not busy:
            self._quick_answers += 1  # a portal, or something between, that does not hold requests
            pause = min(2.0 ** min(self._quick_answers, 10), self.settings["exchange_s"])
            self._idle_due = now + pause * random.uniform(0.9, 1.0)  # noqa: S311
        else:
            self._quick_answers = 0 if busy or elapsed >= QUICK_S else self._quick_answers
            self._idle_due = now + SETTLE_S if busy else now
        if line.more:
            self.news()

    def _recovered(self) -> None:
        if self.failures:
            log.info("the portal answers again")
        self.failures = 0
        self._not_before = 0.0
        self._portion = min(self._portion * 2, LARGEST_PORTION)

    def _failed(self, line: Line, error: Exception) -> None:
        """Wait before the next try; what could not be said is said again then."""
        if self.superseded:
            return
        self.failures += 1
        pause = min(FIRST_PAUSE_S * 2 ** min(self.failures - 1, 10), LONGEST_PAUSE_S)
        if self.failures >= MANY_FAILURES:
            pause = PAUSE_AFTER_MANY_S
            if self.failures == MANY_FAILURES:
                log.error("no answer %d times; asking every %d s", self.failures, pause)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311
        if isinstance(error, Refused):
            pause = self._refused(error, pause)
        elif not isinstance(error, (Unreachable, BadDocument)):
            log.error("an exchange failed", exc_info=error)
        cause = str(error).partition(":")[0]
        if self.failures == 1 or cause != self._cause or isinstance(error, BadDocument):
            log.warning("the portal cannot be reached: %s", error)
        self._cause = cause
        self._not_before = time.monotonic() + pause
        if line is self._news:
            self.news()

    def _refused(self, error: Refused, pause: float) -> float:
        if error.status == 409 and error.problem.get("code") == NEWER_BOOT:
            self.superseded = True
            log.error("this agent was started anew elsewhere and asks no more: %s", error)
        elif error.status == 409:
            log.error("the portal listens to another agent: %s", error)
        elif error.status == 413:
            self._portion = max(self._portion // 4, SMALLEST_PORTION)
        elif error.status == 426:
            log.error(
                "the portal speaks another protocol; what runs goes on. Get the new agent from %s",
                str(error.problem.get("download") or protocol.DOWNLOAD_PATH)[:300],
            )
        elif error.status in (401, 403):
            log.error("the portal does not accept the key: %s", error)
        return PAUSE_AFTER_STATUS.get(error.status, max(error.retry_after or 0.0, pause))
