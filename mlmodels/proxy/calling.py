"""Calls one replica: connects within CONNECT_S, sends the body as it comes, waits for the answer.

Another replica is tried once where nothing was sent, and only there: a model may have worked on
whatever arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import aiohttp

from labportal.common.errors import DomainError
from mlmodels.proxy import headers as header_rules
from mlmodels.proxy.load import Load, Loads
from mlmodels.proxy.table import Route, Target, Version

CONNECT_S = 0.25
KEPT_ALIVE_S = 1.5  # less than the servers of models do (gunicorn: 2 s), so that none closes first
TRIES = 2
GONE = 499  # whoever called left before the answer; nginx counts it so
_SKIPPED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
#: What is no answer to a call: redirects, and what would make callers sign in again.
_STRANGE = frozenset({401, 407})


class Sent(Protocol):
    """A body to send: `whole` where it is there and small, else its pieces."""

    error: BaseException | None

    @property
    def whole(self) -> bytes | None: ...

    @property
    def length(self) -> int | None: ...

    def pieces(self) -> AsyncIterator[bytes]: ...


Deliver = Callable[[aiohttp.ClientResponse, Target, asyncio.Timeout], Awaitable[None]]


class NotReached(DomainError):
    """Nothing was sent: no replica takes connections."""

    status = 503
    title = "The model cannot be reached"
    default_code = "not-reached"


class NoAnswer(DomainError):
    status = 504
    title = "The model did not answer in time"
    default_code = "no-answer"


class BadAnswer(DomainError):
    status = 502
    title = "The model did not answer as models do"
    default_code = "bad-answer"


def new_session() -> aiohttp.ClientSession:
    """No cookies, no proxies of the environment, nothing unpacked."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_SKIPPED,
        trust_env=False,
    )


class Caller:
    def __init__(self, session: aiohttp.ClientSession, loads: Loads) -> None:
        self._session = session
        self._loads = loads

    async def call(
        self,
        route: Route,
        version: Version,
        body: Sent,
        given: dict[bytes, bytes],
        deliver: Deliver,
    ) -> None:
        """Have `deliver` read the answer of the least busy replica, which is busy until then."""
        tried: list[str] = []
        while True:
            target, load = self._loads.least_busy(version.targets, route.max_in_flight, tried)
            load.in_flight += 1
            try:
                return await self._once(route, target, load, body, given, deliver)
            except NotReached:
                tried.append(target.id)
                if len(tried) >= TRIES:
                    raise
            finally:
                load.in_flight -= 1

    async def _once(
        self,
        route: Route,
        target: Target,
        load: Load,
        body: Sent,
        given: dict[bytes, bytes],
        deliver: Deliver,
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(loop.time() + route.timeout_s) as limit:
                whole = body.whole
                data = _pushed(body, limit, route.timeout_s) if whole is None else whole
                response = await self._session.post(
                    target.url,
                    data=data,
                    headers=header_rules.to_model(given, body.length),
                    allow_redirects=False,
                )
                async with response:
                    _check(response, target)
                    await deliver(response, target, limit)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            load.fail(f"It takes no connections: {type(error).__name__}.")
            raise NotReached(f"The replica {target.name} takes no connections.") from None
        except aiohttp.ClientError as error:
            if body.error is not None:
                raise body.error from None
            load.fail(f"It broke a call off: {type(error).__name__}.")
            raise BadAnswer(f"The replica {target.name} broke the call off.") from None
        except TimeoutError:
            if body.error is not None:
                raise body.error from None
            load.fail(f"It did not answer a call within {route.timeout_s:g} s.")
            raise NoAnswer(
                f"The replica {target.name} did not answer within {route.timeout_s:g} s."
            ) from None
        if response.status < 400:
            load.answered()


def _check(response: aiohttp.ClientResponse, target: Target) -> None:
    if 300 <= response.status < 400 or response.status in _STRANGE or response.status >= 600:
        raise BadAnswer(
            f"The replica {target.name} answered {response.status}, which is no answer to a call."
        )


async def _pushed(body: Sent, limit: asyncio.Timeout, seconds: float) -> AsyncIterator[bytes]:
    """The model's time begins anew with each piece, so that a slow line is not held against it."""
    loop = asyncio.get_running_loop()
    async for piece in body.pieces():
        yield piece
        limit.reschedule(loop.time() + seconds)
