"""The wake-ups of a process: heard from Redis, and nothing left open where nobody listens."""

from __future__ import annotations

import asyncio

from django.conf import settings

from clusters.transports.wakeups import Wakeups
from labportal.common.wake import redis_client


def test_who_listens_no_more_leaves_nothing_open() -> None:
    async def listen_and_stop() -> set[asyncio.Task[object]]:
        wakeups = Wakeups(settings.REDIS_URL, "models")
        forever = asyncio.get_running_loop().create_future()
        with wakeups.waiter("models") as waiter:
            await waiter.wait(60, forever)
            assert wakeups.listening
            redis_client().publish("models", b"1")
            await waiter.wait(60, forever)
        await wakeups.stop()
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(listen_and_stop()) == set()
