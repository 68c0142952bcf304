"""What a caller gets: the model's answer as it comes, or why there is none."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import aiohttp

from labportal.common.database import is_lost
from labportal.common.errors import DomainError, Unavailable
from labportal.common.problems import CONTENT_TYPE, problem_of
from mlmodels.predictions.keeping import Kept
from mlmodels.proxy import headers as header_rules
from mlmodels.proxy.body import WHOLE, Body, TooSlow
from mlmodels.proxy.people import Person
from mlmodels.proxy.table import Route, Target, Version

log = logging.getLogger(__name__)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Fields = list[tuple[bytes, bytes]]

_PROCESS = uuid.uuid4().hex[:20]  # a random id for each call would be a tenth of its time
_numbers = itertools.count(1)
RETRY_AFTER = {HTTPStatus.SERVICE_UNAVAILABLE: 2}


@dataclass(slots=True)
class Call:
    """One call under way, and what is metered of it. `begun`: its answer is being sent."""

    scope: Mapping[str, Any]
    receive: Receive
    send: Send
    id: str = field(default_factory=lambda: f"{_PROCESS}{next(_numbers):012x}")
    began: float = field(default_factory=time.perf_counter)
    at: float = field(default_factory=time.time)
    person: Person | None = None
    route: Route | None = None
    version: Version | None = None
    target: Target | None = None
    body: Body | None = None
    kept: Kept | None = None
    bytes_out: int = 0
    status: int = 0
    error: str = ""
    begun: bool = False

    def row(self) -> dict[str, Any] | None:
        """What is metered; None where it is nobody's call of nothing."""
        if self.route is None or self.person is None:
            return None
        return {
            "model": self.route.id,
            "version": self.version.id if self.version else None,
            "replica": self.target.id if self.target else None,
            "person": self.person.id,
            "at": self.at,
            "ms": round((time.perf_counter() - self.began) * 1000, 3),
            "status": self.status,
            "error": self.error,
            "bytes_in": self.body.size if self.body else 0,
            "bytes_out": self.bytes_out,
            "asynchronous": False,
        }


async def pass_on(
    call: Call, response: aiohttp.ClientResponse, seconds: float, limit: asyncio.Timeout
) -> None:
    """Hand the model's answer over: a small one whole, a large one as it comes, with `seconds` for
    each piece.
    """
    call.status = response.status
    fields = header_rules.to_caller(response.raw_headers) + _own_fields(call)
    length = response.content_length
    if length is not None:
        fields.append((b"content-length", str(length).encode()))
    if call.kept is not None:
        call.kept.output_type = response.headers.get("Content-Type", "")
    if length is not None and length <= WHOLE:
        whole = await response.read()
        if call.kept is not None:
            call.kept.answer(whole)
        await _start(call, response.status, fields)
        await call.send({"type": "http.response.body", "body": whole})
        call.bytes_out = len(whole)
        return
    await _start(call, response.status, fields)
    loop = asyncio.get_running_loop()
    async for piece in response.content.iter_any():
        limit.reschedule(loop.time() + seconds)
        if call.kept is not None:
            call.kept.answer(piece)
        await call.send({"type": "http.response.body", "body": piece, "more_body": True})
        call.bytes_out += len(piece)
    await call.send({"type": "http.response.body", "body": b""})


async def nothing(call: Call) -> None:
    """200 without a body, as a container answers to /ping."""
    call.status = int(HTTPStatus.OK)
    await _start(call, call.status, [*_own_fields(call), (b"content-length", b"0")])
    await call.send({"type": "http.response.body", "body": b""})


async def refuse(call: Call, error: Exception) -> None:
    """Say why there is no answer; where one has begun, end it in a way that shows it is cut."""
    known = _known(error)
    call.error = known.code[:40]
    if call.begun:
        return
    call.status = known.status
    body = json.dumps({**problem_of(known), "request_id": call.id}).encode()
    fields = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", call.id.encode()),
        *_fields_of(known),
    ]
    if isinstance(known, TooSlow) or any(name == b"expect" for name, _ in call.scope["headers"]):
        # The next request would be taken for the rest of a body that is never sent.
        fields.append((b"connection", b"close"))
    await _start(call, known.status, fields)
    await call.send({"type": "http.response.body", "body": body})


def _known(error: Exception) -> DomainError:
    if isinstance(error, DomainError):
        return error
    if is_lost(error):
        log.warning("a call could not be looked up: %s", error)
        return Unavailable("The portal's database does not answer. Try again in a moment.")
    log.error("a call of a model failed", exc_info=error)
    return DomainError("The portal failed; try again.", status=500, code="failed")


def _fields_of(error: DomainError) -> Fields:
    pause = getattr(error, "retry_after_s", None) or RETRY_AFTER.get(error.status)
    if pause:
        return [(b"retry-after", str(pause).encode())]
    if error.status == HTTPStatus.UNAUTHORIZED:
        return [(b"www-authenticate", b'Bearer realm="api"')]
    allowed = getattr(error, "allowed", "")
    return [(b"allow", allowed.encode())] if allowed else []


def _own_fields(call: Call) -> Fields:
    """Who answered, for the log of a program."""
    fields = [*header_rules.GUARDS, (b"x-request-id", call.id.encode())]
    if call.version is not None:
        number = str(call.version.number).encode()
        fields.append((b"x-labportal-version", number))
        fields.append((b"x-amzn-invoked-production-variant", b"v" + number))
    if call.target is not None:
        fields.append((b"x-labportal-replica", call.target.id.encode()))
    return fields


async def _start(call: Call, status: int, fields: Fields) -> None:
    call.begun = True
    await call.send({"type": "http.response.start", "status": status, "headers": fields})
