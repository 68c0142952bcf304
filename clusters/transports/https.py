"""The carrier `https`: the agent calls, and its call is held while there is nothing to say. Native
ASGI.

Only the hold is asynchronous; the exchange itself runs in a bounded pool of threads that keep their
connections.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from django.conf import settings

from clusters.agent.protocol import MAX_BODY, MAX_WAIT_S, BadDocument, decode, encode
from clusters.calling import wake_channel
from clusters.exchange import Answer, handle
from clusters.transports.answering import problem, refusal, storable, with_connection
from clusters.transports.wakeups import Waiter, Wakeups
from labportal.common.errors import DomainError, InvalidInput, TooLarge
from labportal.common.metrics import EXCHANGES

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

WITHOUT_REDIS_S = 5.0  # how often a held exchange looks for itself while no wake-up can arrive

_pool = ThreadPoolExecutor(settings.THREADS, thread_name_prefix="exchange")
_wakeups = Wakeups(settings.REDIS_URL)
_channels: dict[str, str] = {}  # of the keys that were accepted once


async def exchange_app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
    status, body, headers = await _answer(scope, receive)
    EXCHANGES.labels("https", str(int(status))).inc()
    await _respond(send, status, body, headers)


async def _answer(
    scope: Mapping[str, Any], receive: Receive
) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        if scope["method"] != "POST":
            raise DomainError("Send the exchange by POST.", status=405, code="method")
        document = _decode(await _body(receive), headers.get(b"content-encoding"))
        answer = await _exchange(headers.get(b"authorization", ""), document, receive)
    except Exception as error:
        return _problem(refusal(error))
    if answer is None:
        return HTTPStatus.NO_CONTENT, b"", []
    body, encoding = encode(answer.document, compress="gzip" in headers.get(b"accept-encoding", ""))
    extra = [(b"content-encoding", encoding.encode())] if encoding else []
    return HTTPStatus.OK, body, [(b"content-type", b"application/json"), *extra]


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("The request ended before its body did.")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY:
            raise TooLarge(f"A request is at most {MAX_BODY} bytes; send the rest in the next one.")
        if not message.get("more_body"):
            return b"".join(chunks)


def _decode(body: bytes, encoding: str | None) -> dict[str, Any]:
    try:
        document = decode(body, encoding)
    except BadDocument as error:
        raise InvalidInput(str(error), code="bad-document") from None
    return storable(document) if b"\\u" in body or encoding else document


async def _exchange(
    authorization: str, document: dict[str, Any], receive: Receive
) -> Answer | None:
    """Answer now, or hold the call until something is wanted; None where a newer call released this
    one.
    """
    channel = _channels.get(authorization, "")
    with _wakeups.waiter(channel) as waiter:
        answer = await _in_pool(handle, authorization, document)
        wait = document.get("wait_s")
        wait_s = min(float(wait), MAX_WAIT_S) if isinstance(wait, (int, float)) else 0.0
        known, _channels[authorization] = channel, wake_channel(answer.cluster_id)
        _wakeups.supersede_others(_channels[authorization], waiter)
        if answer.urgent or wait_s <= 0:
            return answer
        if known:
            return await _hold(authorization, document, wait_s, waiter, receive)
    # The first call with this key: now its channel is known, and the waiter counts from the start.
    return await _exchange(authorization, _without_news(document), receive)


async def _hold(
    authorization: str,
    document: dict[str, Any],
    wait_s: float,
    waiter: Waiter,
    receive: Receive,
) -> Answer | None:
    gone = asyncio.ensure_future(_disconnected(receive))
    deadline = time.monotonic() + wait_s
    try:
        while True:
            left = max(0.0, deadline - time.monotonic())
            pause = left if _wakeups.listening else min(left, WITHOUT_REDIS_S)
            await waiter.wait(pause, gone)
            if waiter.superseded or gone.done():
                return None
            answer = await _in_pool(handle, authorization, _without_news(document))
            if answer.urgent or time.monotonic() >= deadline:
                return answer
    finally:
        gone.cancel()


def _without_news(document: dict[str, Any]) -> dict[str, Any]:
    """The same question again: its events and reports were taken in the first time."""
    return {**document, "events": (), "purged": ()}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _in_pool(function: Callable[..., Answer], *args: Any) -> Answer:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_pool, with_connection, function, *args)


def _problem(error: DomainError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    body, _ = encode(problem(error), compress=False)
    headers = [(b"content-type", b"application/problem+json"), *_HEADERS.get(error.status, ())]
    return error.status, body, headers


_HEADERS = {
    HTTPStatus.UNAUTHORIZED: ((b"www-authenticate", b"Api-Key"),),
    HTTPStatus.METHOD_NOT_ALLOWED: ((b"allow", b"POST"),),
    HTTPStatus.SERVICE_UNAVAILABLE: ((b"retry-after", b"1"),),
}


async def _respond(
    send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    length = [(b"content-length", str(len(body)).encode())] if status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
