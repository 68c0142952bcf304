"""One port for everything: who answers what, in which threads, and what a lost Redis may cost."""

import threading
import time
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.test import Client
from kombu.exceptions import OperationalError

from labportal import asgi
from labportal.celery import app
from labportal.common import wake

PATIENCE_S = 15.0  # it takes a second; without a limit it would be for ever


async def ask(path: str, method: str = "GET") -> dict[str, Any]:
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "scheme": "http",
    }
    communicator = ApplicationCommunicator(asgi.application, scope)
    await communicator.send_input({"type": "http.request", "body": b""})
    start = await communicator.receive_output(10)
    body = await communicator.receive_output(10)
    # To its end: a thread that still sends when the loop closes would wait for ever.
    await communicator.wait(10)
    return {"status": start["status"], "headers": dict(start["headers"]), **body}


async def test_django_answers_in_the_threads_of_the_pool(settings: Any) -> None:
    answer = await ask("/healthz")
    assert (answer["status"], answer["body"]) == (200, b"ok\n")
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("WSGI")]
    assert 1 <= len(names) <= settings.THREADS


async def test_the_exchange_is_answered_without_django() -> None:
    answer = await ask("/api/v1/agent/exchange", "GET")
    assert answer["status"] == 405
    assert b"x-request-id" not in answer["headers"]


async def first_word(path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Open a socket and return what the server says first."""
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
    }
    communicator = ApplicationCommunicator(asgi.application, scope)
    await communicator.send_input({"type": "websocket.connect"})
    answer: dict[str, Any] = await communicator.receive_output(5)
    await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
    await communicator.wait(10)
    return answer


async def test_a_socket_of_another_origin_is_refused() -> None:
    answer = await first_word("/ws/live/", (b"origin", b"https://evil.example"))
    assert answer["type"] == "websocket.close"


async def test_a_program_without_origin_is_let_in_to_sign_in() -> None:
    assert (await first_word("/ws/live/"))["type"] == "websocket.accept"


async def test_an_unknown_socket_is_closed() -> None:
    answer = await first_word("/ws/other/")
    assert (answer["type"], answer["code"]) == ("websocket.close", 4404)


def test_nothing_inline_may_run_and_no_frame_may_hold_us(client: Client) -> None:
    headers = client.get("/healthz").headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["script-src"] == "'self'"
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_the_api_explains_itself_without_inline_scripts(client: Client) -> None:
    page = client.get("/api/v1/docs/").content.decode()
    assert "<script>" not in page
    assert client.get("/api/v1/schema/").status_code == 200


@pytest.fixture
def silent_redis(settings: Any) -> Any:
    """Point everything at a port that accepts and never answers."""
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        settings.REDIS_URL = url
        wake.redis_client.cache_clear()
        yield url
    wake.redis_client.cache_clear()


def test_a_silent_redis_does_not_hold_a_wake_up(silent_redis: str) -> None:
    began = time.monotonic()
    wake._publish("cluster:1")
    assert time.monotonic() - began < PATIENCE_S


def test_a_silent_broker_does_not_hold_a_task(silent_redis: str) -> None:
    began = time.monotonic()
    with app.connection_for_write(silent_redis) as connection, pytest.raises(OperationalError):
        app.send_task("clusters.tasks.place", connection=connection)
    assert time.monotonic() - began < PATIENCE_S
