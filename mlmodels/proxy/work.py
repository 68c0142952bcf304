"""The parts that whoever calls models works with, in a web process and in a worker alike."""

from __future__ import annotations

import asyncio

from mlmodels.proxy.books import Books
from mlmodels.proxy.calling import Caller, new_session
from mlmodels.proxy.keeping import Keeper
from mlmodels.proxy.limits import Rates
from mlmodels.proxy.load import Loads
from mlmodels.proxy.metering import Meter
from mlmodels.proxy.pulse import Pulse
from mlmodels.proxy.table import Table


class Work:
    """It belongs to the event loop in which it was made."""

    def __init__(self, books: Books) -> None:
        loop = asyncio.get_running_loop()
        self.table, self.rates, self.loads = Table(books.routes), Rates(), Loads()
        self.meter, self.keeper = Meter(books.store), Keeper(books.keep)
        self.pulse = Pulse(self.rates, self.loads, self.meter, self.keeper, books)
        self._session = new_session()
        self.caller = Caller(self._session, self.loads)
        self._follows = loop.create_task(self.table.follow())
        self._beats = loop.create_task(self.pulse.beat())

    async def close(self) -> None:
        """End it, with everything written down that was called."""
        self._follows.cancel()
        self.pulse.end()
        await asyncio.gather(self._follows, self._beats, return_exceptions=True)
        await self.table.close()
        await self._session.close()
        await self.pulse.last()
