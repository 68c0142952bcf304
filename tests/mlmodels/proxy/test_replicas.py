"""Which replica is called, what becomes of one that fails, and of calls that nobody waits for."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web

from mlmodels.proxy import calling
from tests.mlmodels.proxy.conftest import Shelf
from tests.mlmodels.proxy.door import Door, Model, answer_of

NOBODY_LISTENS = "127.0.0.1:9"


def test_the_least_busy_replica_is_called(door: Door, shelf: Shelf) -> None:
    async def slow(request: web.Request) -> web.Response:
        await leave.wait()
        return web.Response()

    leave = asyncio.Event()
    busy, idle = door.model(slow), door.model()
    shelf.add(busy.address, idle.address)
    with door.line("Content-Length: 0") as wire:
        door.until(lambda: door.proxy.loads.of("1-0").in_flight)
        replicas = [door.call().headers["x-labportal-replica"] for _ in range(3)]
        door.loop.call_soon_threadsafe(leave.set)
        answer_of(wire)
    assert replicas == ["1-1"] * 3


def test_replicas_take_turns(door: Door, shelf: Shelf) -> None:
    shelf.add(*(door.model().address for _ in range(3)))
    replicas = [door.call().headers["x-labportal-replica"] for _ in range(6)]
    assert sorted(replicas) == ["1-0", "1-0", "1-1", "1-1", "1-2", "1-2"]


def test_another_replica_is_tried_where_nothing_was_sent(door: Door, shelf: Shelf) -> None:
    shelf.add(NOBODY_LISTENS, door.model().address)
    replies = [door.call(body=b"x" * 400_000) for _ in range(3)]
    assert [reply.status for reply in replies] == [200] * 3
    door.beat()
    assert [(key, failed) for key, failed, _ in shelf.failed] == [("1-0", 1)]


def test_a_call_is_not_sent_twice(door: Door, shelf: Shelf) -> None:
    """A model that breaks off may have worked on it."""
    calls = []

    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(await reader.readline())
        writer.close()

    shelf.add(door.raw_model(breaking), door.raw_model(breaking))
    reply = door.call()
    assert (reply.status, reply.code) == (502, "bad-answer")
    assert len(calls) == 1


def test_a_model_that_cannot_be_reached(door: Door, shelf: Shelf) -> None:
    shelf.add(NOBODY_LISTENS)
    reply = door.call()
    assert (reply.status, reply.code) == (503, "not-reached")
    assert reply.headers["retry-after"]
    assert "r0 on metis" in reply.document["detail"]
    door.beat()
    assert shelf.rows[0]["error"] == "not-reached"
    assert shelf.failed[0][:2] == ("1-0", 2)


def test_a_good_answer_ends_the_failures(door: Door, model: Model, shelf: Shelf) -> None:
    door.call()
    door.proxy.loads.of("1-0").fail("It was away.")
    door.beat()
    door.call()
    door.beat()
    assert [failed for _, failed, _ in shelf.failed] == [1, 0]


def test_a_replica_that_takes_no_connection_is_left_soon(
    door: Door, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert calling.CONNECT_S == 0.25
    listener = door.deaf()
    shelf.add(listener, door.model().address)
    assert door.call().status == 200


def test_a_model_that_does_not_answer_in_time(door: Door, model: Model, shelf: Shelf) -> None:
    async def hanging(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    model.handler = hanging
    shelf.add(model.address, timeout_s=0.05)
    reply = door.call()
    assert (reply.status, reply.code) == (504, "no-answer")
    assert "0.05 s" in reply.document["detail"]


def test_an_answer_that_ends_in_the_middle_is_seen_to_be_cut(door: Door, shelf: Shelf) -> None:
    async def cutting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        writer.close()

    shelf.add(door.raw_model(cutting))
    with door.line("Content-Length: 0") as wire:
        answer = answer_of(wire)
    assert b"hello" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    door.until(lambda: len(door.proxy.meter) or shelf.rows)
    door.beat()
    assert shelf.rows[0]["error"] == "bad-answer"


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"",
    ],
    ids=["nonsense", "negative", "short", "endless header", "nothing"],
)
def test_an_answer_that_is_none(door: Door, shelf: Shelf, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    shelf.add(door.raw_model(talk))
    assert door.call(body=b"").code == "bad-answer"


# Who leaves


def test_the_models_work_ends_when_the_caller_leaves(
    door: Door, model: Model, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlmodels.proxy.leaving.LOOK_AFTER_S", 0.01)
    ended = asyncio.Event()

    async def working(request: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    model.handler = working
    wire = door.line("Content-Length: 0")
    door.until(lambda: door.proxy.loads.of("1-0").in_flight)
    wire.close()
    door.run(asyncio.wait_for(ended.wait(), 10))
    door.until(lambda: not door.proxy.loads.of("1-0").in_flight)
    door.beat()
    assert (shelf.rows[0]["status"], shelf.rows[0]["error"]) == (499, "caller-gone")


def test_slow_calls_take_no_threads(door: Door, model: Model, shelf: Shelf) -> None:
    leave = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        model.seen.append(({}, b""))
        await leave.wait()
        return web.Response(text="done")

    model.handler = slow
    shelf.add(model.address, max_in_flight=200, timeout_s=60.0)  # while all of them come
    before = threading.active_count()
    wires = []
    for count in range(20, 201, 20):
        wires += [door.line("Content-Length: 0") for _ in range(20)]
        door.until(lambda count=count: len(model.seen) == count)
    assert door.proxy.loads.of("1-0").in_flight == 200
    assert threading.active_count() <= before + 4
    assert door.call().code == "busy"
    door.loop.call_soon_threadsafe(leave.set)
    assert all(b"done" in answer_of(wire) for wire in wires)
