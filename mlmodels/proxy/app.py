"""The proxy as an ASGI application: who calls, which model, within which limits; then the call.

Each call of a known person to a known model is metered, whatever became of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from labportal.common.errors import DomainError, NotFound, Unavailable
from labportal.common.metrics import MODEL_CALLS
from mlmodels.content import check_type
from mlmodels.predictions.keeping import Kept
from mlmodels.proxy import headers as header_rules
from mlmodels.proxy import replying
from mlmodels.proxy.body import Body, CallerGone
from mlmodels.proxy.books import Books
from mlmodels.proxy.calling import GONE
from mlmodels.proxy.leaving import WhileCallerStays
from mlmodels.proxy.people import People
from mlmodels.proxy.pool import in_pool
from mlmodels.proxy.replying import Call, Receive, Send
from mlmodels.proxy.table import Route, Target, Version
from mlmodels.proxy.work import Work

_PATH = re.compile(
    r"/api/v1/models/(?P<name>[a-z0-9-]{1,63})"
    r"(?:/versions/(?P<version>[0-9]{1,9}))?/(?P<what>invocations|ping)/?"
    # What boto3's client `sagemaker-runtime` calls; the token comes as its session's.
    r"|/endpoints/(?P<endpoint>[a-z0-9-]{1,63})/invocations",
    re.ASCII,
)
SESSION_TOKEN = b"x-amz-security-token"
METHODS = {"invocations": "POST", "ping": "GET"}


class NotReady(Unavailable):
    title = "The model does not answer at the moment"
    default_code = "not-ready"


class WrongMethod(DomainError):
    status = 405
    title = "This is not how models are called"
    default_code = "method"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Send it by {allowed}.")
        self.allowed = allowed


def match(path: str) -> re.Match[str] | None:
    """Whether a path is the proxy's; any other is Django's."""
    return _PATH.fullmatch(path)


class Proxy(Work):
    """One per web process."""

    def __init__(self, books: Books) -> None:
        super().__init__(books)
        self.loop = asyncio.get_running_loop()
        self.people = People(books.by_token, books.by_session)
        self._may_be_kept_with = books.may_be_kept_with

    async def answer(
        self, scope: Mapping[str, Any], receive: Receive, send: Send, path: re.Match[str]
    ) -> None:
        call = Call(scope, receive, send)
        try:
            await self._answer(call, path)
        except CallerGone:
            call.status, call.error = GONE, "caller-gone"
        except asyncio.CancelledError:
            call.status, call.error = GONE, "shut-down"
            raise
        except Exception as error:
            await replying.refuse(call, error)
        finally:
            self._note(call)

    async def _answer(self, call: Call, path: re.Match[str]) -> None:
        name, number = path["name"] or path["endpoint"], path["version"]
        what = path["what"] or "invocations"
        if call.scope["method"] != METHODS[what]:
            raise WrongMethod(METHODS[what])
        headers = header_rules.read(call.scope["headers"])
        token = headers.get(SESSION_TOKEN, b"").decode("latin-1") if path["endpoint"] else ""
        person = await self.people.who(call.scope, headers, token)
        route, version = await self.table.find(name, int(number) if number else None)
        if route is None:
            raise NotFound(f"There is no model called {name}.")
        if version is None and number:
            raise NotFound(f"{name} has no version {number}.")
        call.version = version
        if what == "ping":
            _ready(route, version, named=bool(number))
            await replying.nothing(call)
            return
        call.person, call.route = person, route
        await self._invoke(call, headers, _ready(route, version, named=bool(number)))

    async def _invoke(self, call: Call, headers: dict[bytes, bytes], version: Version) -> None:
        assert call.route is not None and call.person is not None  # noqa: S101 - for the reader
        route = call.route
        check_type(headers.get(b"content-type", b"").decode("latin-1"), version.accepts)
        self.rates.take(route.id, call.person.id, route.calls_per_minute, call.at)
        call.kept = await self._kept(call, headers)
        copy = call.kept.input.write if call.kept else None
        length = headers.get(b"content-length")
        body = call.body = Body(call.receive, length, route.max_body, copy)
        await body.begin()

        async def deliver(
            response: aiohttp.ClientResponse, target: Target, limit: asyncio.Timeout
        ) -> None:
            call.target = target
            await replying.pass_on(call, response, route.timeout_s, limit)

        async with WhileCallerStays(call.receive, body):
            await self.caller.call(route, version, body, headers, deliver)

    async def _kept(self, call: Call, headers: dict[bytes, bytes]) -> Kept | None:
        """Where the copies go: the model may ask for them, or the caller by naming a subject."""
        subject = headers.get(b"x-labportal-subject", b"").decode("latin-1")
        if not subject and not call.route.stores_bodies:
            return None
        if subject and not await in_pool(self._may_be_kept_with, call.person.id, subject):
            raise NotFound("There is no such thing to keep the answer with.", code="no-subject")
        return Kept(
            model_id=call.route.id,
            version_id=call.version.id if call.version else None,
            user_id=call.person.id,
            at=call.at,
            inference_id=headers.get(b"x-amzn-sagemaker-inference-id", b"").decode("latin-1"),
            subject=subject,
            input_type=headers.get(b"content-type", b"").decode("latin-1"),
        )

    def _note(self, call: Call) -> None:
        MODEL_CALLS.labels(call.error or "answered").inc()
        row = call.row()
        if row is not None:
            self.meter.note(row)
        if call.kept is not None and row is not None:
            call.kept.ms, call.kept.status = row["ms"], call.status
            if call.error or call.status >= 400 or call.kept.cut:
                call.kept.close()
            else:
                self.keeper.take(call.kept)


def _ready(route: Route, version: Version | None, *, named: bool) -> Version:
    """Raise NotReady where nobody would answer, with the reason that people see on the page."""
    if not route.wanted:
        raise NotReady(f"{route.name} is stopped. Start it first.", code="stopped")
    if version is None:
        raise NotReady(f"{route.name} has no version yet that could answer.", code="no-version")
    if not version.targets:
        which = f"Version {version.number} of {route.name}" if named else route.name
        state = route.state.lower() if not named else "not served by a replica that is ready"
        why = f": {route.why}" if route.why and not named else ""
        raise NotReady(f"{which} is {state}{why}.".replace("..", "."))
    return version


_proxy: Proxy | None = None


async def proxy_app(
    scope: Mapping[str, Any], receive: Receive, send: Send, path: re.Match[str]
) -> None:
    """Answer a request whose path `match` has found to be the proxy's."""
    await running().answer(scope, receive, send, path)


def running(books: Books | None = None) -> Proxy:
    """The process's proxy; it starts with the first call."""
    global _proxy
    if _proxy is None or _proxy.loop is not asyncio.get_running_loop():
        _proxy = Proxy(books or Books())
    return _proxy


async def stop() -> None:
    """End it, with everything written down that was called."""
    global _proxy
    if _proxy is not None and _proxy.loop is asyncio.get_running_loop():
        await _proxy.close()
    _proxy = None
