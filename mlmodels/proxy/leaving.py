"""Notices that a caller leaves while a model works, and ends the work.

Most calls are answered before anybody looks: watching each from the start would cost as much as
the rest of the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from mlmodels.proxy.body import Body, CallerGone

LOOK_AFTER_S = 1.0


class WhileCallerStays:
    """`async with WhileCallerStays(receive, body):` raises CallerGone inside when they leave."""

    def __init__(self, receive: Callable[[], Awaitable[dict[str, Any]]], body: Body) -> None:
        self._receive = receive
        self._body = body
        self._loop = asyncio.get_running_loop()
        self._limit = asyncio.timeout(None)
        self._watch: asyncio.Task[None] | None = None
        self._gone = False

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        self._timer = self._loop.call_later(LOOK_AFTER_S, self._look)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            if not self._gone:
                raise
            raise CallerGone from None

    def _look(self) -> None:
        if self._body.done:  # until then whoever reads the body notices
            self._watch = self._loop.create_task(self._wait())
        else:
            self._timer = self._loop.call_later(LOOK_AFTER_S, self._look)

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._limit.reschedule(self._loop.time())
