"""Wake-ups for held exchanges: one Redis subscription per process, a waiter per held call.

A newer call of the same cluster releases the older, so that an agent never has two calls held here.
A lost Redis only makes things slower: `listening` says so, and the holder then looks for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from redis import asyncio as aioredis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

RECONNECT_S = 1.0


class Waiter:
    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.superseded = False

    def wake(self) -> None:
        self._event.set()

    def supersede(self) -> None:
        self.superseded = True
        self._event.set()

    async def wait(self, seconds: float, other: asyncio.Future[None]) -> None:
        """Return when woken, when `other` is done, or after the time."""
        woken = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({woken, other}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        self._event.clear()


class Wakeups:
    def __init__(self, url: str, pattern: str = "cluster:*") -> None:
        self._url = url
        self._pattern = pattern
        self._waiters: dict[str, list[Waiter]] = {}
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    @contextlib.contextmanager
    def waiter(self, channel: str) -> Iterator[Waiter]:
        """Wake-ups count from here on, so nothing is slept over while the caller looks."""
        self._start()
        mine = Waiter()
        self._waiters.setdefault(channel, []).append(mine)
        try:
            yield mine
        finally:
            self._waiters[channel].remove(mine)
            if not self._waiters[channel]:
                del self._waiters[channel]

    def supersede_others(self, channel: str, mine: Waiter) -> None:
        for waiter in self._waiters.get(channel, ()):
            if waiter is not mine:
                waiter.supersede()

    async def stop(self) -> None:
        """Listen no more, with the connection closed; the next waiter begins anew."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (RedisError, OSError) as error:
                log.warning("Redis does not answer, held exchanges look for themselves: %s", error)
            finally:
                self.listening = False
            self._wake_all()
            await asyncio.sleep(RECONNECT_S)

    async def _listen_once(self) -> None:
        client = aioredis.Redis.from_url(self._url, health_check_interval=10)
        async with client, client.pubsub() as subscription:
            await subscription.psubscribe(self._pattern)
            self.listening = True
            self._wake_all()
            while True:
                message = await subscription.get_message(ignore_subscribe_messages=True, timeout=10)
                if message is None:
                    continue
                for waiter in self._waiters.get(message["channel"].decode(), ()):
                    waiter.wake()

    def _wake_all(self) -> None:
        """What was published while nobody listened is looked for by everybody who waits."""
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.wake()
