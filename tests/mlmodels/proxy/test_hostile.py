"""Callers that lie, hang, or try to be somebody else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from mlmodels.proxy import app, headers, people
from tests.mlmodels.proxy.conftest import Shelf
from tests.mlmodels.proxy.door import Door, Model, answer_of

MIB = 1 << 20


# Names and methods


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/models/../echo/invocations",
        "/api/v1/models/echo%2f..%2fother/invocations",
        "/api/v1/models/ECHO/invocations",
        "/api/v1/models/echo%0a/invocations",
        "/api/v1/models/echo%00/invocations",
        "/api/v1/models/ecｈo/invocations",
        "/api/v1/models/echo/versions/-1/invocations",
        "/api/v1/models/echo/versions/1e3/invocations",
        "/api/v1/models/echo/versions/١/invocations",
        "/api/v1/models/echo/invocations/x",
        "/api/v1/models/echo/invocations\n",
        "//api/v1/models/echo/invocations",
    ],
)
def test_a_path_that_is_not_exactly_ours_is_not_ours(path: str) -> None:
    assert app.match(path) is None


def test_the_models_own_paths_cannot_be_reached(door: Door, model: Model) -> None:
    for path in ("/api/v1/models/echo/admin", "/api/v1/models/echo/invocations/../admin"):
        assert door.call(path=path).body == b"django"
    door.call(path="/api/v1/models/echo/invocations?path=/admin")
    assert len(model.seen) == 1


@pytest.mark.parametrize("name", ["nobody", "echo-", "a" * 63, "0"])
def test_an_unknown_model(door: Door, model: Model, name: str) -> None:
    reply = door.call(name)
    assert (reply.status, reply.code) == (404, "not-found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method(door: Door, model: Model, method: str) -> None:
    reply = door.call(method=method)
    assert (reply.status, reply.code, reply.headers["allow"]) == (405, "method", "POST")
    assert model.seen == []


# Who it is


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer " + "x" * 9000],
)
def test_who_is_not_known_is_refused_before_the_body_is_read(
    door: Door, model: Model, shown: str
) -> None:
    reply = door.call(token="", authorization=shown, body=None)
    assert (reply.status, reply.code) == (401, "not-authenticated")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    with door.line("Content-Length: 500000", token="wrong") as wire:
        assert answer_of(wire).startswith(b"HTTP/1.1 401")
    assert model.seen == []


def test_a_token_counts_until_its_end(
    door: Door, model: Model, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.people["old"] = people.Person(3, True, 0.0)
    assert door.call(token="old").status == 401


def test_a_person_without_the_right(door: Door, model: Model, shelf: Shelf) -> None:
    shelf.people["guest's"] = people.Person(3, False, float("inf"))
    reply = door.call(token="guest's")
    assert (reply.status, reply.code) == (403, "not-allowed")
    door.beat()
    assert shelf.rows == []


def test_many_calls_at_once_ask_once_who_it_is(door: Door, model: Model, shelf: Shelf) -> None:
    asked = []
    people_of = shelf.people.get
    door.proxy.people._by_token = lambda token: asked.append(token) or people_of(token)
    wires = [door.line("Content-Length: 0") for _ in range(20)]
    assert all(b" 200 " in answer_of(wire) for wire in wires)
    assert len(asked) == 1


def test_strangers_do_not_fill_the_memory(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "MOST_KEPT", 20)
    for number in range(50):
        door.call(token=f"stranger-{number}")
    assert len(door.proxy.people._known) <= 20


# Headers


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 3", "Content-Length: 3"),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("Content-Length: +3",),
        ("Content-Length: -3",),
        ("Content-Length: 0x3",),
        ("Content-Length: 3, 3",),
        ("Content-Length: 3", "Content-Type: a/b", "Content-Type: text/csv"),
        ("Content-Length: 3", "Authorization: Bearer max's"),
        ("Content-Length: 3", "Content-Type: text/\x01csv"),
        ("Content-Length: 3", "Content-Type: text/csvé"),
        ("Content-Length: 3", "Content-Type: " + "x" * 256),
        ("Content-Length: 3", "X-Amzn-SageMaker-Custom-Attributes: " + "x" * 1025),
        ("Content-Length: 3", "X-Amzn-SageMaker-Inference-Id: " + "x" * 65),
        ("Content-Length: 3", "Content Type: text/csv"),
        ("Content-Length: 3", "X-A: b\r\n Content-Type: text/csv"),
        ("Transfer-Encoding: gzip, chunked, identity", "Content-Length: 3"),
        ("Transfer-Encoding : chunked",),
    ],
)
def test_headers_that_could_mean_two_things_are_refused(
    door: Door, model: Model, lines: tuple[str, ...]
) -> None:
    with door.line(*lines, body=b"abc") as wire:
        assert answer_of(wire)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501")
    assert model.seen == []


def test_what_follows_a_body_is_the_next_request(door: Door, model: Model) -> None:
    """A smuggled request has no one's rights."""
    smuggled = (
        b"POST /api/v1/models/echo/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    )
    with door.line("Content-Length: 2", body=b"{}" + smuggled) as wire:
        first = answer_of(wire)
        rest = first.partition(b"\r\n\r\n{}")[2] or answer_of(wire)
    assert first.startswith(b"HTTP/1.1 200")
    assert rest.startswith(b"HTTP/1.1 401")
    assert len(model.seen) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
def test_a_packed_body_is_refused(door: Door, model: Model, encoding: str) -> None:
    """Its header would be taken off, and the model not know what it holds."""
    reply = door.call(content_encoding=encoding)
    assert (reply.status, reply.code) == (415, "encoding")


def test_headers_of_odd_spelling_do_not_pass(door: Door, model: Model) -> None:
    lines = ("content_type: text/evil", "X_Amzn_SageMaker_Target_Model: evil", "CONTENT-TYPE: a/b")
    with door.line("Content-Length: 0", *lines) as wire:
        answer_of(wire)
    assert "evil" not in str(model.headers)
    assert model.headers["content-type"] == "a/b"


def test_no_control_character_leaves_in_a_header() -> None:
    given = [(b"Content-Type", b"text/plain\r\nSet-Cookie: a=b"), (b"content-type", b"a/b")]
    assert headers.to_caller(given) == [(b"content-type", b"a/b")]


# Bodies


@pytest.mark.parametrize("size", [MIB + 1, 5 * MIB])
@pytest.mark.parametrize("pieces", [False, True])
def test_a_body_that_is_too_large(door: Door, model: Model, size: int, pieces: bool) -> None:
    with door.line(*_length(size, pieces)) as wire:
        _push(wire, size, pieces)
        answer = answer_of(wire)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"at most 1 MiB" in answer
    assert model.seen == []


def test_what_is_longer_than_was_said_never_reaches_the_model(door: Door, model: Model) -> None:
    with door.line("Content-Length: 2", body=b"{}garbage") as wire:
        assert answer_of(wire)[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 400")
    assert all(body == b"{}" for _, body in model.seen)


async def test_a_server_that_hands_on_more_or_less_than_was_said() -> None:
    """Should the server in front not count, we do."""
    from labportal.common.errors import InvalidInput
    from mlmodels.proxy.body import Body

    for pieces in ([b"1234"], [b"12"], [b"12", b"34"]):
        messages = [
            {"type": "http.request", "body": piece, "more_body": index < len(pieces) - 1}
            for index, piece in enumerate(pieces)
        ]

        async def receive(left: list[dict[str, Any]] = messages) -> dict[str, Any]:
            return left.pop(0)

        with pytest.raises(InvalidInput):
            await Body(receive, b"3", MIB).begin()


@pytest.mark.parametrize("sent", [b"", b"half"])
def test_a_caller_who_leaves_before_the_body_is_whole(
    door: Door, model: Model, shelf: Shelf, sent: bytes
) -> None:
    wire = door.line("Content-Length: 10", body=sent)
    door.until(lambda: door.proxy.rates._counts)
    wire.close()
    door.until(lambda: len(door.proxy.meter) or shelf.rows)
    door.beat()
    assert (shelf.rows[0]["status"], shelf.rows[0]["error"]) == (499, "caller-gone")
    assert model.seen == []


def test_a_caller_who_leaves_while_a_large_body_goes_to_the_model(
    door: Door, model: Model, shelf: Shelf
) -> None:
    wire = door.line("Content-Length: 1000000", body=b"x" * 300_000)
    door.until(lambda: door.proxy.loads.of("1-0").in_flight)
    wire.close()
    door.until(lambda: len(door.proxy.meter) or shelf.rows)
    door.beat()
    assert (shelf.rows[0]["status"], shelf.rows[0]["error"]) == (499, "caller-gone")
    assert door.proxy.loads.of("1-0").in_flight == 0
    assert shelf.failed == []


@pytest.mark.parametrize("begun", [b"", b"x" * 300_000])
def test_a_caller_who_sends_nothing_more(
    door: Door, model: Model, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("mlmodels.proxy.body.IDLE_S", 0.05)
    with door.line("Content-Length: 500000", body=begun) as wire:
        answer = answer_of(wire)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in answer
    door.beat()
    assert shelf.rows[0]["error"] == "too-slow"
    assert shelf.failed == []  # it is not the model's fault


def test_a_caller_who_drips(door: Door, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in time, and yet never done."""
    monkeypatch.setattr("mlmodels.proxy.body.START_S", 0.1)
    monkeypatch.setattr("mlmodels.proxy.body.SLOWEST", 1 << 30)
    answer = b""
    with door.line("Content-Length: 1000") as wire:
        wire.settimeout(0.01)
        while not answer:
            wire.sendall(b"x")
            try:
                answer = wire.recv(1000)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408")


def test_who_asks_first_is_told_before_the_body_is_sent(door: Door, model: Model) -> None:
    with door.line("Content-Length: 2", "Expect: 100-continue") as wire:
        assert wire.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.sendall(b"{}")
        assert answer_of(wire).startswith(b"HTTP/1.1 200")
    with door.line("Content-Length: 9999999999", "Expect: 100-continue") as wire:
        answer = answer_of(wire)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer


def test_a_model_that_answers_before_it_has_read(door: Door, shelf: Shelf) -> None:
    async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await writer.drain()

    shelf.add(door.raw_model(hasty))
    with door.line("Content-Length: 900000", body=b"x" * 300_000) as wire:
        assert answer_of(wire).startswith(b"HTTP/1.1 413")
    door.until(lambda: not door.proxy.loads.of("1-0").in_flight)


# Types


@pytest.mark.parametrize(
    ("accepts", "given", "status"),
    [
        ((), "anything/at-all", 200),
        (("*/*",), "text/csv", 200),
        (("application/json", "text/csv"), "text/csv; charset=utf-8", 200),
        (("application/json",), "APPLICATION/JSON", 200),
        (("image/*",), "image/png", 200),
        (("application/json",), "text/csv", 415),
        (("application/json",), "application/json-evil", 415),
        (("image/*",), "imagery/png", 415),
        (("application/json",), "", 415),
    ],
)
def test_only_what_a_version_takes_reaches_it(
    door: Door, model: Model, shelf: Shelf, accepts: tuple[str, ...], given: str, status: int
) -> None:
    shelf.add(model.address, accepts=accepts)
    reply = door.call(content_type=given)
    assert reply.status == status
    assert len(model.seen) == (status == 200)
    if status == 415:
        assert accepts[0] in reply.document["detail"]


# A reader who does not read


def test_an_answer_nobody_takes_does_not_fill_the_memory(
    door: Door, model: Model, shelf: Shelf
) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        reply = web.StreamResponse()
        await reply.prepare(request)
        while True:
            await reply.write(b"x" * 65536)
            sent += 65536

    model.handler = endless
    shelf.add(model.address, timeout_s=0.3)
    with door.line("Content-Length: 0") as wire:
        door.until(lambda: not door.proxy.loads.of("1-0").in_flight and sent)
        assert sent < 64 * MIB
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    door.beat()
    assert shelf.rows[0]["error"] == "no-answer"


def _length(size: int, pieces: bool) -> tuple[str, ...]:
    return ("Transfer-Encoding: chunked",) if pieces else (f"Content-Length: {size}",)


def _push(wire: socket.socket, size: int, pieces: bool) -> None:
    """Send as much as the other side takes."""
    try:
        for at in range(0, size, 65536):
            piece = b"x" * min(65536, size - at)
            wire.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if pieces else piece)
    except OSError:
        return
