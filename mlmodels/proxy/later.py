"""Makes the calls that may take long: a worker's one event loop, so that no thread waits for any.

The Celery task only wakes it. Calls are claimed from the database, and what a person cancels or a
worker loses is noticed within RENEW_S.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import BinaryIO
from uuid import UUID

import aiohttp
from celery.signals import worker_shutting_down

from labportal.common.clock import now
from labportal.common.errors import DomainError, Unavailable
from labportal.common.storage import CHUNK, storage
from mlmodels.models import AsyncInvocation
from mlmodels.predictions.keeping import Kept, new_body
from mlmodels.proxy import headers as header_rules
from mlmodels.proxy.books import Books
from mlmodels.proxy.calling import GONE, BadAnswer, NotReached
from mlmodels.proxy.limits import TooMany
from mlmodels.proxy.pool import in_pool
from mlmodels.proxy.table import Route, Target, Version
from mlmodels.proxy.work import Work
from mlmodels.services import async_running as running

log = logging.getLogger(__name__)

AT_ONCE = 64
RENEW_S = 2.0
BUSY_S = 5.0
SELDOM_S = 120.0
MOST_RESULT = 1 << 30


class StoredBody:
    """A body from the file store, with what a call asks of one."""

    error: BaseException | None = None

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.length = file.seek(0, 2)

    @property
    def whole(self) -> bytes | None:
        return b"" if not self.length else None

    async def pieces(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        self._file.seek(0)
        while piece := await loop.run_in_executor(None, self._file.read, CHUNK):
            yield piece


class Later:
    """One per worker; it belongs to the event loop in which it was made."""

    def __init__(self, books: Books) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._work = Work(books)
        self._calls: dict[UUID, asyncio.Task[None]] = {}
        self._answered: set[UUID] = set()  # what is being written down, which nothing breaks off
        self._woken = asyncio.Event()
        self._runs: asyncio.Task[None] | None = None
        self._ending = False

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Claim and make calls until `end`; without any, wait to be woken."""
        self._runs = asyncio.current_task()
        while not self._ending:
            self._woken.clear()
            try:
                await self._claim()
                await self._renew()
            except Exception:
                log.exception("calls that wait could not be claimed")
            pause = RENEW_S if self._calls else None
            try:
                await asyncio.wait_for(self._woken.wait(), pause)
            except TimeoutError:
                continue

    async def end(self) -> None:
        """Break off what is under way and give it back, for another worker to begin anew."""
        self._ending = True
        self.wake()
        if self._runs is not None:
            await asyncio.wait([self._runs])  # what it is claiming has to be given back, too
        self._break_off(list(self._calls))
        await asyncio.gather(*self._calls.values(), return_exceptions=True)
        await in_pool(running.give_back, self.name)
        await self._work.close()

    async def _claim(self) -> None:
        while not self._ending and (free := AT_ONCE - len(self._calls)) > 0:
            claimed = await in_pool(running.claim, self.name, free)
            for call in claimed:
                task = asyncio.create_task(self._make(call))
                self._calls[call.pk] = task
                task.add_done_callback(lambda _, key=call.pk: self._ended(key))
            if len(claimed) < free:
                return

    def _ended(self, key: UUID) -> None:
        self._calls.pop(key, None)
        self._answered.discard(key)
        self.wake()

    async def _renew(self) -> None:
        if not self._calls:
            return
        self._break_off(await in_pool(running.renew, self.name, list(self._calls)))

    def _break_off(self, keys: Iterable[UUID]) -> None:
        for key in keys:
            if key in self._calls and key not in self._answered:
                self._calls[key].cancel()

    async def _make(self, call: AsyncInvocation) -> None:
        """Make one call and write down what became of it, whatever that is."""
        try:
            await self._attempt(call)
        except TooMany as error:
            await in_pool(_put_off, call, error.message, BUSY_S, False)
        except NotReached as error:
            # The longer it waits already, the less often it looks again.
            pause = min(max((now() - call.created_at).total_seconds() / 4, BUSY_S), SELDOM_S)
            await in_pool(_put_off, call, error.message, pause, False)
        except (BadAnswer, Unavailable) as error:
            await in_pool(_put_off, call, error.message, BUSY_S, True)
        except DomainError as error:
            await in_pool(running.fail, call, error.message)
        except Exception:
            log.exception("a call that takes long failed")
            await in_pool(_put_off, call, "The portal failed to make the call.", BUSY_S, True)

    async def _attempt(self, call: AsyncInvocation) -> None:
        number = call.version.number if call.version else None
        route, version = await self._work.table.find(call.model.name, number)
        if route is None:
            raise DomainError("The model was deleted.")
        if not route.wanted or version is None or not version.targets:
            state = route.state.lower() if route.wanted else "stopped"
            raise NotReached(f"{route.name} is {state}: the call waits for it.")
        body = await asyncio.to_thread(_fetched, call)
        with body, new_body() as result:
            await self._send(call, route, version, body, result)

    async def _send(
        self,
        call: AsyncInvocation,
        route: Route,
        version: Version,
        body: BinaryIO,
        result: BinaryIO,
    ) -> None:
        began, at = time.perf_counter(), time.time()
        metered: dict[str, object] = {"replica": None, "status": 0, "error": ""}
        kind = ""

        async def deliver(
            response: aiohttp.ClientResponse, target: Target, limit: asyncio.Timeout
        ) -> None:
            nonlocal kind
            metered.update(replica=target.id, status=response.status)
            kind = response.headers.get("Content-Type", "")
            async for piece in response.content.iter_any():
                result.write(piece)
                if result.tell() > MOST_RESULT:
                    raise DomainError("The answer is larger than the portal keeps.", status=502)

        stored = StoredBody(body)
        try:
            patient = replace(route, timeout_s=float(call.timeout_s))
            await self._work.caller.call(patient, version, stored, _headers(call), deliver)
        except DomainError as error:
            metered.update(status=error.status, error=error.code)
            raise
        except asyncio.CancelledError:
            metered.update(status=GONE, error="cancelled")
            raise
        finally:
            metered |= {"bytes_in": stored.length, "bytes_out": result.tell(), "asynchronous": True}
            metered |= {"model": route.id, "version": version.id, "person": call.user_id}
            ms = round((time.perf_counter() - began) * 1000, 3)
            self._work.meter.note({**metered, "at": at, "ms": ms})
        self._answered.add(call.pk)
        status = int(str(metered["status"]))
        await in_pool(_answered, call, result, status, kind, version.id)
        if route.stores_bodies and status < 400:
            kept = _kept(call, version.id, at, ms, kind)
            await asyncio.to_thread(_copy, body, kept.input)
            await asyncio.to_thread(_copy, result, kept.output)
            self._work.keeper.take(kept)


def _put_off(call: AsyncInvocation, why: str, seconds: float, counts: bool) -> None:
    running.put_off(call, why, seconds=seconds, counts=counts)


def _answered(
    call: AsyncInvocation, result: BinaryIO, status: int, kind: str, version_id: int
) -> None:
    result.seek(0)  # here, since it is tried again where the database was lost
    running.answered(call, result, status=status, content_type=kind, version_id=version_id)


def _fetched(call: AsyncInvocation) -> BinaryIO:
    """Copy the body from the file store, whose streams cannot be read twice."""
    body = new_body()
    with storage().open(call.body_key) as stored:
        while piece := stored.read(CHUNK):
            body.write(piece)
    return body


def _kept(call: AsyncInvocation, version_id: int, at: float, ms: float, kind: str) -> Kept:
    return Kept(
        model_id=call.model_id,
        version_id=version_id,
        user_id=call.user_id,
        at=at,
        ms=ms,
        inference_id=call.inference_id,
        input_type=call.content_type,
        output_type=kind,
    )


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    source.seek(0)
    while piece := source.read(CHUNK):
        target.write(piece)


def _headers(call: AsyncInvocation) -> dict[bytes, bytes]:
    given = {
        b"content-type": call.content_type,
        b"accept": call.accept,
        b"x-amzn-sagemaker-inference-id": call.inference_id,
        b"x-amzn-sagemaker-custom-attributes": call.custom_attributes,
    }
    return header_rules.read((name, text.encode("latin-1")) for name, text in given.items() if text)


class Worker:
    """The thread of a process in which `Later` lives; it starts when it is first woken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._later: Later | None = None

    def wake(self) -> None:
        with self._lock:
            if self._loop is None:
                self._start()
            assert self._loop is not None and self._later is not None  # noqa: S101 - as started
            self._loop.call_soon_threadsafe(self._later.wake)

    def _start(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="later", daemon=True).start()

        async def begin() -> Later:
            later = Later(Books())
            self._task = asyncio.create_task(later.run())
            return later

        self._later = asyncio.run_coroutine_threadsafe(begin(), self._loop).result(30)
        worker_shutting_down.connect(self._end, weak=False)
        atexit.register(self.stop)

    def _end(self, **_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Give back what is under way; the next wake-up begins anew."""
        with self._lock:
            loop, later = self._loop, self._later
            self._loop = self._later = None
        if loop is not None and later is not None:
            asyncio.run_coroutine_threadsafe(later.end(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)


worker = Worker()
