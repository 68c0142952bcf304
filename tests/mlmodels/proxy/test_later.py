"""The event loop of a worker that makes the calls which take long."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from django.db import OperationalError, connections

from mlmodels.models import AsyncInvocation, Invocation, ModelVersion, Prediction
from mlmodels.proxy import later
from mlmodels.proxy.later import Worker
from mlmodels.services import async_calls, async_running
from mlmodels.states import AsyncState
from tests.mlmodels.proxy.door import Door, Model

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(later, "RENEW_S", 0.05)
    monkeypatch.setattr(later, "BUSY_S", 0.05)
    made = Worker()
    yield made
    made.stop()


def ask(of: ModelVersion, user: Any, body: bytes = b'{"x": 1}', **values: Any) -> AsyncInvocation:
    given = {"content_type": "application/json", **values}
    return async_calls.ask(of.model, io.BytesIO(body), user=user, **given)


def ended(door: Door, *calls: AsyncInvocation) -> list[AsyncInvocation]:
    def looked() -> list[AsyncInvocation]:
        connections["default"].close()
        return list(AsyncInvocation.objects.filter(pk__in=[call.pk for call in calls]))

    door.until(lambda: all(call.ended_at for call in looked()))
    return looked()


def test_calls_are_made_many_at_once_and_each_is_metered(
    real_door: Door, real_model: Model, echo: ModelVersion, worker: Worker, ada: Any
) -> None:
    all_there = asyncio.Event()

    async def together(request: web.Request) -> web.StreamResponse:
        reply = await real_model.echo(request)
        if len(real_model.seen) == 20:
            all_there.set()
        await asyncio.wait_for(all_there.wait(), 10)
        return reply

    real_model.handler = together
    echo.model.stores_bodies = True
    echo.model.save()
    large = b"x" * 500_000
    calls = [ask(echo, ada, large if n == 7 else b"%d" % n, inference_id=f"{n}") for n in range(20)]
    worker.wake()
    for call in ended(real_door, *calls):
        assert (call.state, call.status, call.tries) == (AsyncState.DONE, 200, 1)
        expected = large if call.inference_id == "7" else call.inference_id.encode()
        assert async_calls.result_of(call).read() == expected
    assert real_model.headers["x-amzn-sagemaker-inference-id"]
    worker.stop()
    assert Invocation.objects.filter(asynchronous=True, status=200, user=ada).count() == 20
    assert Prediction.objects.count() == 20


def test_a_call_is_broken_off_when_it_is_cancelled_or_the_worker_ends(
    real_door: Door, real_model: Model, echo: ModelVersion, worker: Worker, ada: Any
) -> None:
    broken = []

    async def hanging(request: web.Request) -> web.Response:
        body = await request.read()
        real_model.seen.append(({}, body))
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        finally:
            broken.append(body)
        raise AssertionError

    real_model.handler = hanging
    one, two = ask(echo, ada, b"one"), ask(echo, ada, b"two")
    worker.wake()
    real_door.until(lambda: len(real_model.seen) == 2)
    async_calls.cancel(one, actor=ada)
    real_door.until(lambda: broken == [b"one"])
    worker.stop()
    real_door.until(lambda: sorted(broken) == [b"one", b"two"])
    two.refresh_from_db()
    assert (two.state, two.runner, two.tries) == (AsyncState.QUEUED, "", 0)
    real_model.handler = real_model.echo
    worker.wake()
    assert ended(real_door, two)[0].state == AsyncState.DONE


def test_an_answer_is_stored_whole_though_the_database_was_lost_on_the_way(
    real_door: Door,
    real_model: Model,
    echo: ModelVersion,
    worker: Worker,
    ada: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announce, lost = async_running.announce, []

    def losing(call: AsyncInvocation) -> None:
        announce(call)
        if call.state == AsyncState.DONE and not lost:
            lost.append(call)
            raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(async_running, "announce", losing)
    call = ask(echo, ada, b"asked")
    worker.wake()
    [found] = ended(real_door, call)
    assert lost
    assert (found.state, found.result_size) == (AsyncState.DONE, 5)
    assert async_calls.result_of(found).read() == b"asked"


def test_what_is_being_claimed_when_the_worker_ends_is_given_back(
    real_door: Door, echo: ModelVersion, worker: Worker, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims, given_back = threading.Event(), threading.Event()
    claim, give_back = async_running.claim, async_running.give_back

    def slow(runner: str, most: int) -> list[AsyncInvocation]:
        claims.set()
        given_back.wait(0.5)  # it does not come before this claim has ended
        return claim(runner, most)

    def noted(runner: str) -> None:
        give_back(runner)
        given_back.set()

    monkeypatch.setattr(async_running, "claim", slow)
    monkeypatch.setattr(async_running, "give_back", noted)
    call = ask(echo, ada)
    worker.wake()
    assert claims.wait(30)
    worker.stop()
    call.refresh_from_db()
    assert (call.state, call.runner, call.tries) == (AsyncState.QUEUED, "", 0)


def test_a_call_waits_for_a_model_that_is_not_ready_and_fails_with_one_that_hangs(
    real_door: Door, echo: ModelVersion, worker: Worker, ada: Any, behind: Any
) -> None:
    call = ask(echo, ada)
    worker.wake()
    real_door.until(lambda: AsyncInvocation.objects.get().why)
    call.refresh_from_db()
    assert (call.state, call.tries) == (AsyncState.QUEUED, 0)
    assert "the call waits for it" in call.why

    async def hanging(request: web.Request) -> web.Response:
        await asyncio.wait_for(asyncio.Event().wait(), 30)
        raise AssertionError

    behind(real_door.model(hanging).address)
    AsyncInvocation.objects.update(timeout_s=1)
    real_door.until(lambda: worker.wake() or AsyncInvocation.objects.get().ended_at)
    call.refresh_from_db()
    assert (call.state, call.result_key) == (AsyncState.FAILED, "")
    assert "did not answer within 1 s" in call.why
