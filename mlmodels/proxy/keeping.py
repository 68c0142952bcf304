"""Copies of what is asked and answered, where it is to be kept: gathered while a call goes on,
stored afterwards by the pulse.

Where the file store is away for long, copies are let go rather than calls held.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from mlmodels.predictions.keeping import Kept
from mlmodels.proxy.pool import in_pool

log = logging.getLogger(__name__)

MOST_WAITING = 1000
AT_ONCE = 100
TRY_S = 120.0


class Keeper:
    def __init__(self, store: Callable[[Sequence[Kept]], None]) -> None:
        self._store = store
        self._waiting: list[Kept] = []
        self._failing_since = 0.0
        self._lock = asyncio.Lock()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, kept: Kept) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.lost += 1
            kept.close()
            return
        self._waiting.append(kept)

    async def flush(self) -> None:
        """Store what waits. Raises what the stores raise; after TRY_S of that it is let go."""
        async with self._lock:
            await self._flush()

    async def _flush(self) -> None:
        while self._waiting:
            batch = self._waiting[:AT_ONCE]
            try:
                await in_pool(self._store, batch)
            except Exception:
                self._failing_since = self._failing_since or time.monotonic()
                if time.monotonic() - self._failing_since < TRY_S:
                    raise
                log.exception("predictions could not be stored")
                self.lost += len(batch)
            self._failing_since = 0.0
            del self._waiting[: len(batch)]
            for kept in batch:
                kept.close()
        if self.lost:
            log.error("%s predictions were not kept", self.lost)
            self.lost = 0
