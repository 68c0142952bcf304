"""The event loop: waits for descriptors, timers and answers of other threads, in one thread.

It knows nothing of runs or portals. Whatever a callback raises is logged, and the loop goes on.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import selectors
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

Callback = Callable[[], None]


class EventLoop:
    """Callbacks run in the thread that calls `run`; only `post` may be called from others."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self._timers: list[tuple[float, int, Callback]] = []
        self._numbers = itertools.count()
        self._posted: deque[Callback] = deque()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self.selector.register(self._wake_read, selectors.EVENT_READ, self._drain)

    def post(self, callback: Callback) -> None:
        """Have `callback` run soon in the loop's thread; for other threads and signal handlers."""
        self._posted.append(callback)
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"x")

    def later(self, delay_s: float, callback: Callback) -> None:
        moment = time.monotonic() + max(delay_s, 0.0)
        heapq.heappush(self._timers, (moment, next(self._numbers), callback))

    def every(self, interval_s: float, callback: Callback) -> None:
        def again() -> None:
            self.later(interval_s, again)
            callback()

        self.later(interval_s, again)

    def stop(self) -> None:
        self.stopping = True

    def run(self) -> None:
        """Run callbacks until `stop` is called."""
        while not self.stopping:
            self.step()

    def step(self) -> None:
        """Wait for what comes next and deal with all that is due."""
        timeout = None
        if self._posted:
            timeout = 0.0
        elif self._timers:
            timeout = max(self._timers[0][0] - time.monotonic(), 0.0)
        for key, _ in self.selector.select(timeout):
            self._call(key.data)
        for _ in range(len(self._posted)):
            self._call(self._posted.popleft())
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            self._call(heapq.heappop(self._timers)[2])

    def close(self) -> None:
        self.selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def _call(self, callback: Callback) -> None:
        try:
            callback()
        except Exception:
            log.exception("the agent met an error of its own and goes on")
