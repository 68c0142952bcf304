"""Calls the carrier `https` as a server would, in an event loop of its own beside the test."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from django.db import connection

from clusters.agent.protocol import EXCHANGE_PATH
from clusters.transports import https


class Call:
    """One request under way."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, scope: dict[str, Any], body: bytes, *, whole: bool
    ) -> None:
        self._loop = loop
        self._scope = scope
        self._incoming: list[dict[str, Any]] = [
            {"type": "http.request", "body": body[:1000], "more_body": True},
            {"type": "http.request", "body": body[1000:], "more_body": False},
        ]
        if not whole:
            self._incoming = [self._incoming[0], {"type": "http.disconnect"}]
        self._gone = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        self._done: Future[None] = asyncio.run_coroutine_threadsafe(self._run(), loop)

    async def _run(self) -> None:
        await https.exchange_app(self._scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if self._incoming:
            return self._incoming.pop(0)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def disconnect(self) -> None:
        self._loop.call_soon_threadsafe(self._gone.set)

    @property
    def done(self) -> bool:
        return self._done.done()

    def wait(self, seconds: float = 15) -> Call:
        self._done.result(seconds)
        return self

    @property
    def status(self) -> int:
        return self.wait().sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.wait().sent[0]["headers"]}

    @property
    def document(self) -> dict[str, Any]:
        body = self.wait().sent[1]["body"]
        packed = self.headers.get("content-encoding") == "gzip"
        return json.loads(gzip.decompress(body) if packed else body)

    @property
    def verbs(self) -> list[str]:
        return [item["verb"] for item in self.document["runs"]]


class Carrier:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(
        self,
        document: Mapping[str, Any] | bytes = b"",
        *,
        key: str = "",
        method: str = "POST",
        whole: bool = True,
        **headers: str,
    ) -> Call:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        named = {"authorization": f"Api-Key {key}", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": EXCHANGE_PATH,
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in named.items()
            ],
        }
        return Call(self._loop, scope, body, whole=whole)


@contextmanager
def open_carrier() -> Iterator[Carrier]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Carrier(loop)
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        in_all_threads(lambda: connection.close())


async def _cancel_all() -> None:
    """More than once: a client of Redis takes a cancellation while it connects for a time-out."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.2)


def in_all_threads(function: Callable[[], Any]) -> None:
    """Have each thread of the exchange's pool call it once."""
    pool = https._pool
    meeting = threading.Barrier(pool._max_workers)

    def work() -> None:
        meeting.wait(10)
        function()

    for done in [pool.submit(work) for _ in range(pool._max_workers)]:
        done.result(10)
