"""The proxy behind a real server on a free port, and models of every kind that it may meet.

Both run in an event loop of their own beside the test, which calls them as any program would.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn
from aiohttp import web
from django.db import connection

from clusters.agent.protocol import EXCHANGE_PATH
from clusters.transports.https import exchange_app
from mlmodels.proxy import app, pool
from mlmodels.proxy.books import Books

PATIENCE_S = 60.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Reply:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a refusal, whose form is checked on the way."""
        assert self.headers["content-type"] == "application/problem+json"
        assert self.document["status"] == self.status
        assert self.document["title"] and self.document["detail"]
        return self.document["code"]


class Model:
    """A server that answers as `handler` does; `seen` holds what reached it."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        self.handler: Handler = self.echo
        self.address = ""

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.seen[-1][0].items()}

    async def take(self, request: web.Request) -> web.StreamResponse:
        return await self.handler(request)

    async def echo(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((dict(request.headers), body))
        return web.Response(body=body, content_type="application/json")


class Door:
    """`call` asks the proxy; `model` and `raw_model` start what may stand behind it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.loop, self.port = loop, port
        self.token = ""
        self._behind: list[Callable[[], Awaitable[None]]] = []

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def forget(self) -> None:
        """End the proxy and the models; the next call begins with a new one."""
        self.run(app.stop())
        while self._behind:
            self.run(self._behind.pop()())

    @property
    def proxy(self) -> app.Proxy:
        return self.start()

    def start(self, books: Books | None = None) -> app.Proxy:
        """Begin with other books than the database."""

        async def find() -> app.Proxy:
            return app.running(books)

        return self.run(find())

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def beat(self) -> None:
        """Do now what is done twice a second."""
        self.run(self.proxy.pulse.once())

    def call(
        self,
        name: str = "echo",
        body: Any = b'{"x": 1}',
        *,
        method: str = "POST",
        path: str = "",
        token: str | None = None,
        **headers: str,
    ) -> Reply:
        """Headers by keyword: content_type="text/csv"; a body that is a list is sent in pieces."""
        named = {"content-type": "application/json"}
        shown = self.token if token is None else token
        if shown:
            named["authorization"] = f"Bearer {shown}"
        named |= {key.replace("_", "-"): value for key, value in headers.items()}
        where = path or f"/api/v1/models/{name}/invocations"
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, PATIENCE_S)) as line:
            pieces = iter(body) if isinstance(body, list) else body
            line.request(method, where, pieces, named, encode_chunked=isinstance(body, list))
            return Reply(line.getresponse())

    def line(
        self, *lines: str, body: bytes = b"", name: str = "echo", token: str = ""
    ) -> socket.socket:
        """Open a connection and send a request byte by byte as a careless program would."""
        head = [f"POST /api/v1/models/{name}/invocations HTTP/1.1", "Host: testserver"]
        head += [f"Authorization: Bearer {token or self.token}", *lines, "", ""]
        wire = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        wire.sendall("\r\n".join(head).encode("latin-1") + body)
        return wire

    def model(self, handler: Handler | None = None) -> Model:
        made = Model()
        if handler is not None:
            made.handler = handler

        async def serve() -> str:
            site = web.Application(client_max_size=1 << 30)
            site.router.add_route("*", "/{path:.*}", made.take)
            runner = web.AppRunner(
                site, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
            )
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._behind.append(runner.cleanup)
            host, port = runner.addresses[0][:2]
            return f"{host}:{port}"

        made.address = self.run(serve())
        return made

    def deaf(self) -> str:
        """An address that takes no connection and refuses none: its queue is full."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                each.connect(address)

        async def close() -> None:
            for each in (listener, *waiting):
                each.close()

        self._behind.append(close)
        return f"{address[0]}:{address[1]}"

    def raw_model(self, talk: Talk) -> str:
        """A server that says what it likes; return its address."""

        async def serve() -> str:
            server = await asyncio.start_server(talk, "127.0.0.1", 0)

            async def close() -> None:
                server.close()

            self._behind.append(close)
            host, port = server.sockets[0].getsockname()[:2]
            return f"{host}:{port}"

        return self.run(serve())


@contextmanager
def open_door() -> Iterator[Door]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        _site,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
        http="httptools",
    )
    server = uvicorn.Server(config)
    serving = asyncio.run_coroutine_threadsafe(server._serve([listener]), loop)
    try:
        yield Door(loop, listener.getsockname()[1])
    finally:
        server.should_exit = True
        serving.result(10)
        asyncio.run_coroutine_threadsafe(app.stop(), loop).result(10)
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        _in_all_threads(lambda: connection.close())


def answer_of(wire: socket.socket) -> bytes:
    """What comes until the answer is complete or the line is closed."""
    answer = b""
    while not _complete(answer) and (piece := wire.recv(65536)):
        answer += piece
    return answer


def _complete(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


async def _site(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """As labportal/asgi.py does, without Django behind it."""
    if scope["path"] == EXCHANGE_PATH:
        await exchange_app(scope, receive, send)
        return
    path = app.match(scope["path"])
    if path is None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"django"})
        return
    await app.proxy_app(scope, receive, send, path)


async def _cancel_all() -> None:
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=0.2)


def _in_all_threads(function: Callable[[], Any]) -> None:
    """Have each thread of the proxy's pool call it once."""
    meeting = threading.Barrier(pool.THREADS)

    def work() -> None:
        meeting.wait(10)
        function()

    for done in [pool._pool.submit(work) for _ in range(pool.THREADS)]:
        done.result(10)
