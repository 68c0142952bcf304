"""The carrier `https`: the agent calls, and its call is held while there is nothing to say. Native
ASGI.

Only the hold is asynchronous; the exchange itself runs in a bounded pool of threads that keep their
connections.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from clusters.agent.protocol import (
    DOWNLOAD_PATH,
    MAX_BODY,
    MAX_WAIT_S,
    BadDocument,
    decode,
    encode,
)
from clusters.calling import wake_channel
from clusters.exchange import Answer, OtherProtocol, handle
from clusters.transports.wakeups import Waiter, Wakeups
from labportal.common.database import is_lost
from labportal.common.errors import DomainError, InvalidInput, TooLarge, Unavailable
from labportal.common.metrics import EXCHANGES

log = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

DATABASE_TRIES = 3
CHECK_CONNECTION_S = 20.0
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
    except DomainError as error:
        return _problem(error)
    except Exception as error:
        if is_lost(error):
            log.warning("an exchange could not be stored: %s", error)
            return _problem(Unavailable("The portal's database does not answer; try again."))
        log.exception("an exchange failed")
        return _problem(DomainError("The portal failed; try again.", status=500, code="failed"))
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
    # PostgreSQL's text holds neither NUL nor half a surrogate pair; real programs write both.
    return _storable(document) if b"\\u" in body or encoding else document


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\0", "")
        return text if text.isascii() else text.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return value


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
    return await asyncio.get_running_loop().run_in_executor(_pool, _with_connection, function, args)


class _Thread(threading.local):
    checked_at = 0.0


_thread = _Thread()


def _with_connection(function: Callable[..., Answer], args: tuple[Any, ...]) -> Answer:
    """Run with this thread's kept connection; a deadlock or a connection lost on the way is tried
    again.

    An exchange may happen twice, so it is tried again even where nobody knows whether it was
    committed. The connection is looked at every CHECK_CONNECTION_S only: asking before each
    exchange would cost as much as a query.
    """
    for attempt in range(1, DATABASE_TRIES + 1):
        if time.monotonic() - _thread.checked_at > CHECK_CONNECTION_S:
            close_old_connections()
            _thread.checked_at = time.monotonic()
        try:
            return function(*args)
        except (DatabaseError, InterfaceError) as error:
            if not is_lost(error):
                raise
            connection.close()
            if attempt == DATABASE_TRIES:
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError("unreachable")


def _problem(error: DomainError) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """RFC 9457, as everywhere in the API."""
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.field_errors:
        document["errors"] = error.field_errors
    if isinstance(error, OtherProtocol):
        document["download"] = f"{settings.PUBLIC_URL}{DOWNLOAD_PATH}"
    body, _ = encode(document, compress=False)
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
