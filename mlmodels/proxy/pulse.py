"""What a process that calls models does beside its calls: twice a second it tells the others how
busy it is and learns of them, and writes down what was called.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid

from mlmodels import traffic
from mlmodels.proxy import limits
from mlmodels.proxy.books import Books
from mlmodels.proxy.keeping import Keeper
from mlmodels.proxy.limits import Rates
from mlmodels.proxy.load import Loads
from mlmodels.proxy.metering import Meter
from mlmodels.proxy.pool import in_pool

log = logging.getLogger(__name__)

PERIOD_S = 0.5
QUIET_S = 30.0  # between two lines of the log about the same trouble
LAST_TRIES = 3


class Pulse:
    def __init__(
        self, rates: Rates, loads: Loads, meter: Meter, keeper: Keeper, books: Books
    ) -> None:
        self._rates, self._loads, self._books = rates, loads, books
        self._meter, self._keeper = meter, keeper
        self._process = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._complained: dict[str, float] = {}
        self._ending = asyncio.Event()

    async def beat(self) -> None:
        """Go on until `end` is called; cancelled in between, it would not know what was stored."""
        while not self._ending.is_set():
            await self.once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), PERIOD_S)

    async def once(self) -> None:
        """Redis and the database each on their own: neither waits for the other one's trouble."""
        work = {"busy": self._share(), "metered": self._write(), "kept": self._keeper.flush()}
        done = await asyncio.gather(*work.values(), return_exceptions=True)
        for what, error in zip(work, done, strict=True):
            if isinstance(error, Exception):
                self._complain(what, error)

    def end(self) -> None:
        self._ending.set()

    async def last(self) -> None:
        """Store what is left, once the beat has ended."""
        for left in reversed(range(LAST_TRIES)):
            try:
                await self._meter.flush()
                await self._keeper.flush()
                return
            except Exception as error:
                if not left:
                    lost = len(self._meter) + len(self._keeper)
                    log.error("%s calls could not be written down: %s", lost, error)
                await asyncio.sleep(PERIOD_S)

    async def _share(self) -> None:
        states, news = self._loads.states(), self._rates.news(time.time())
        if states:
            self._loads.learn(await in_pool(traffic.tell, self._process, states))
        if news:
            self._rates.learn(news, await in_pool(limits.tell, news))

    async def _write(self) -> None:
        if len(self._meter):
            await self._meter.flush()
        for replica_id, failed, why in self._loads.failures():
            await in_pool(self._books.failed, replica_id, failed, why)
        if answers := self._loads.answers():
            await in_pool(self._books.answered, answers)

    def _complain(self, what: str, error: Exception) -> None:
        now = time.monotonic()
        if now - self._complained.get(what, float("-inf")) > QUIET_S:
            self._complained[what] = now
            log.warning("what is %s of calls could not be told: %s", what, error)
