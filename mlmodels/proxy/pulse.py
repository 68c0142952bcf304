"""What a process that calls models does beside its calls: twice a second it tells the others how
busy it is and learns of them, and writes down what was called.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid

from mlmodels import traffic
from mlmodels.proxy import limits
from mlmodels.proxy.books import Books
from mlmodels.proxy.limits import Rates
from mlmodels.proxy.load import Loads
from mlmodels.proxy.metering import Meter
from mlmodels.proxy.pool import in_pool

log = logging.getLogger(__name__)

PERIOD_S = 0.5
QUIET_S = 30.0  # between two lines of the log about the same trouble
LAST_TRIES = 3


class Pulse:
    def __init__(self, rates: Rates, loads: Loads, meter: Meter, books: Books) -> None:
        self._rates, self._loads, self._meter, self._books = rates, loads, meter, books
        self._process = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._complained: dict[str, float] = {}

    async def beat(self) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            await self.once()

    async def once(self) -> None:
        """Redis and the database each on their own: neither waits for the other one's trouble."""
        done = await asyncio.gather(self._share(), self._write(), return_exceptions=True)
        for what, error in zip(("busy", "metered"), done, strict=True):
            if isinstance(error, Exception):
                self._complain(what, error)

    async def last(self) -> None:
        """Store what is left before the process ends."""
        for left in reversed(range(LAST_TRIES)):
            try:
                await self._meter.flush()
                return
            except Exception as error:
                if not left:
                    log.error("%s calls could not be metered: %s", len(self._meter), error)
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
            log.warning("what is %s by calls could not be told: %s", what, error)
