"""Calls of models: what passes in either direction, to which replica, and what is written down."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from mlmodels.predictions import keeping as copies
from mlmodels.proxy import keeping
from tests.mlmodels.proxy.conftest import Shelf
from tests.mlmodels.proxy.door import Door, Model, answer_of

MIB = 1 << 20


def test_a_call_is_answered_by_the_model(door: Door, model: Model) -> None:
    reply = door.call(body=b'{"x": 2}')
    assert (reply.status, reply.body) == (200, b'{"x": 2}')
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-labportal-version"] == "1"
    assert reply.headers["x-amzn-invoked-production-variant"] == "v1"
    assert reply.headers["x-labportal-replica"] == "1-0"


def test_a_call_is_metered(door: Door, model: Model, shelf: Shelf) -> None:
    door.call(body=b"12345")
    door.beat()
    (row,) = shelf.rows
    assert (row["model"], row["version"], row["person"], row["replica"]) == (1, 1, 1, "1-0")
    assert (row["bytes_in"], row["bytes_out"], row["status"], row["error"]) == (5, 5, 200, "")
    assert row["ms"] > 0
    assert shelf.answered.keys() == {"1-0"}


def test_what_was_called_is_written_down_when_the_process_ends(
    door: Door, model: Model, shelf: Shelf
) -> None:
    door.call()
    door.forget()
    assert len(shelf.rows) == 1


# Headers


def test_headers_of_the_contract_reach_the_model_and_no_others(door: Door, model: Model) -> None:
    door.call(
        body=b"1,2\n",
        content_type="text/csv",
        accept="text/csv",
        cookie="sessionid=x; csrftoken=y",
        x_amzn_sagemaker_custom_attributes="trace=7",
        x_amzn_sagemaker_target_model="a.tar.gz",
        x_amzn_sagemaker_inference_id="call-1",
        x_amzn_sagemaker_enable_explanations="x",
        x_amzn_sagemaker_something_else="x",
        x_forwarded_for="1.2.3.4",
        x_labportal_subject="structure:1",
        x_http_method_override="GET",
        connection="keep-alive, x-secret",
        te="trailers",
        upgrade_insecure_requests="1",
        user_agent="curl",
        accept_encoding="gzip",
    )
    assert model.headers == {
        "host": model.address,
        "content-type": "text/csv",
        "content-length": "4",
        "accept": "text/csv",
        "x-amzn-sagemaker-custom-attributes": "trace=7",
        "x-amzn-sagemaker-target-model": "a.tar.gz",
        "x-amzn-sagemaker-inference-id": "call-1",
        "x-amzn-sagemaker-enable-explanations": "x",
    }


def test_headers_of_an_answer_pass_by_the_same_rule(door: Door, model: Model, shelf: Shelf) -> None:
    async def chatty(request: web.Request) -> web.Response:
        headers = {
            "Content-Type": "text/html",
            "Set-Cookie": "sessionid=stolen",
            "Access-Control-Allow-Origin": "*",
            "Content-Security-Policy": "default-src *",
            "Location": "https://evil.example",
            "X-Amzn-SageMaker-Custom-Attributes": "trace=7",
            "Server": "gunicorn",
            "Strict-Transport-Security": "max-age=0",
        }
        return web.Response(body=b"<script>alert(1)</script>", headers=headers)

    model.handler = chatty
    headers = door.call().headers
    for name in ("set-cookie", "access-control-allow-origin", "location", "server"):
        assert name not in headers
    assert "strict-transport-security" not in headers
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"
    # A browser that is brought to show it runs nothing of it in the portal's name.
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_models_share_no_cookies(door: Door, model: Model) -> None:
    async def setting(request: web.Request) -> web.StreamResponse:
        reply = await model.echo(request)
        reply.headers["Set-Cookie"] = "who=ada"
        return reply

    model.handler = setting
    door.call()
    door.call()
    assert "cookie" not in model.headers


# Bodies


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB])
@pytest.mark.parametrize("pieces", [False, True])
def test_bodies_of_every_size_pass_unchanged(
    door: Door, model: Model, shelf: Shelf, size: int, pieces: bool
) -> None:
    shelf.add(model.address, max_body=4 * MIB)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sent: Any = [body[at : at + 100_000] for at in range(0, size, 100_000)] if pieces else body
    reply = door.call(body=sent)
    assert reply.status == 200
    assert reply.body == body
    assert model.seen[0][1] == body


def test_an_answer_is_handed_on_piece_by_piece(door: Door, model: Model) -> None:
    """The second piece is not made before the first was read by the caller."""
    first_was_read = asyncio.Event()

    async def streaming(request: web.Request) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await reply.prepare(request)
        await reply.write(b"first ")
        await asyncio.wait_for(first_was_read.wait(), 10)
        await reply.write(b"second")
        return reply

    model.handler = streaming
    with door.line("Content-Length: 0") as wire, wire.makefile("rb") as answer:
        assert b"200" in answer.readline()
        while answer.readline().strip():
            pass
        assert answer.readline().strip() == b"6"
        assert answer.readline() == b"first \r\n"
        door.loop.call_soon_threadsafe(first_was_read.set)
        assert answer.readline().strip() == b"6"
        assert answer.readline() == b"second\r\n"


def test_a_large_body_reaches_the_model_while_it_is_sent(
    door: Door, model: Model, shelf: Shelf
) -> None:
    begun = asyncio.Event()

    async def reading(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            begun.set()
            size += len(piece)
        return web.Response(text=str(size))

    model.handler = reading
    half = b"x" * 300_000
    with door.line(f"Content-Length: {2 * len(half)}", body=half) as wire:
        door.run(asyncio.wait_for(begun.wait(), 10))
        wire.sendall(half)
        assert b"\r\n\r\n600000" in answer_of(wire)


@pytest.mark.parametrize("status", [200, 204, 400, 404, 415, 422, 429, 500, 503])
def test_a_status_of_the_model_is_the_callers(door: Door, model: Model, status: int) -> None:
    async def answering(request: web.Request) -> web.Response:
        return web.Response(status=status)

    model.handler = answering
    assert door.call().status == status


@pytest.mark.parametrize("status", [301, 302, 307, 401, 407])
def test_what_is_no_answer_to_a_call_is_the_models_fault(
    door: Door, model: Model, status: int
) -> None:
    other = door.model()

    async def leading(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"http://{other.address}/"})

    model.handler = leading
    reply = door.call()
    assert (reply.status, reply.code) == (502, "bad-answer")
    assert other.seen == []


# Versions


def test_the_serving_version_answers_unless_one_is_named(door: Door, shelf: Shelf) -> None:
    old, new = door.model(), door.model()
    shelf.add(old.address, number=1)
    shelf.add(new.address, number=2)
    assert door.call().headers["x-labportal-version"] == "2"
    named = door.call(path="/api/v1/models/echo/versions/1/invocations")
    assert named.headers["x-labportal-version"] == "1"
    reply = door.call(path="/api/v1/models/echo/versions/3/invocations")
    assert (reply.status, reply.code) == (404, "not-found")


def test_the_version_before_answers_while_the_new_one_comes_up(door: Door, shelf: Shelf) -> None:
    shelf.add(door.model().address, number=1)
    shelf.add(number=2)
    assert door.call().headers["x-labportal-version"] == "1"


# Ping


def test_ping_says_whether_a_call_would_be_answered(door: Door, model: Model, shelf: Shelf) -> None:
    ping = {"method": "GET", "path": "/api/v1/models/echo/ping", "body": None}
    reply = door.call(**ping)
    assert (reply.status, reply.body) == (200, b"")
    assert model.seen == []
    shelf.add(number=1, state="Starting", why="Its files are fetched.")
    reply = door.call(**ping)
    assert (reply.status, reply.code) == (503, "not-ready")
    assert reply.document["detail"] == "echo is starting: Its files are fetched."
    door.beat()
    assert shelf.rows == []


def test_a_stopped_model_answers_nobody(door: Door, model: Model, shelf: Shelf) -> None:
    shelf.add(model.address, wanted=False)
    reply = door.call()
    assert (reply.status, reply.code) == (503, "stopped")
    assert json.loads(reply.body)["request_id"] == reply.headers["x-request-id"]


# What is kept


def test_a_copy_is_kept_where_the_model_says_so(door: Door, model: Model, shelf: Shelf) -> None:
    door.call(body=b"not kept")
    shelf.add(model.address, stores_bodies=True)
    large = b"x" * 600_000
    door.call(body=b"small", x_amzn_sagemaker_inference_id="call-1")
    door.call(body=large, content_type="text/plain")
    door.beat()
    small, big = shelf.kept
    assert (small.input, small.output, small.about.inference_id) == (b"small", b"small", "call-1")
    assert (big.input, big.output, big.about.input_type) == (large, large, "text/plain")
    assert (big.about.model_id, big.about.user_id, big.about.status) == (1, 1, 200)
    assert big.about.output_type == "application/json"
    assert big.about.ms > 0


def test_of_an_answer_that_is_too_long_nothing_is_kept(
    door: Door, model: Model, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "MOST_KEPT", 100_000)
    shelf.add(model.address, stores_bodies=True)
    for size in (100_000, 100_001, 600_000):
        assert len(door.call(body=b"x" * size).body) == size
    door.beat()
    assert [len(each.output) for each in shelf.kept] == [100_000]


def test_an_answer_is_kept_beside_what_it_is_about(door: Door, model: Model, shelf: Shelf) -> None:
    assert door.call(x_labportal_subject="structure:1").status == 200
    assert door.call(x_labportal_subject="structure:2").code == "no-subject"
    door.beat()
    assert [each.about.subject for each in shelf.kept] == ["structure:1"]
    assert len(model.seen) == 1


def test_what_was_not_answered_is_not_kept(door: Door, model: Model, shelf: Shelf) -> None:
    async def refusing(request: web.Request) -> web.Response:
        return web.Response(status=422)

    model.handler = refusing
    shelf.add(model.address, stores_bodies=True)
    door.call()
    door.beat()
    assert shelf.kept == []


def test_copies_that_cannot_be_stored_hold_no_call_up(
    door: Door, model: Model, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.add(model.address, stores_bodies=True)
    shelf.trouble = OSError("the file store is away")
    door.call()
    door.beat()
    assert len(door.proxy.keeper) == 1
    monkeypatch.setattr(keeping, "TRY_S", 0.0)
    door.beat()
    assert len(door.proxy.keeper) == 0
    shelf.trouble = None
    assert door.call().status == 200
    door.beat()
    assert len(shelf.kept) == 1
