"""A small server of models by the SageMaker container contract; bundled with every example.

Standard library alone, Python 3.9. `serve` the argument, GET /ping, POST /invocations, SIGTERM.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MIB = 1024 * 1024
DRAIN_S = 25.0  # of the 30 s between SIGTERM and SIGKILL
LINGER_S = 5.0  # how long a refused body is still read, so that the refusal arrives
IDLE_S = 75.0
#: Where boto3's client `sagemaker-runtime` posts to, when it is given this server as endpoint_url.
OF_BOTO3 = re.compile(r"/endpoints/[^/]+/invocations")


class Rejected(Exception):
    """A call that cannot be answered; the message says why and what would do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Call:
    """`content_type` and `accept` are bare and in small letters; header names too."""

    body: bytes
    content_type: str
    accept: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Model(ABC):
    """What an example gives: it is made without arguments, and answers once `load` came back.

    `accepts`: content types, the first for calls that name none. `gives`: what it can answer in,
    the first where the caller does not mind; (): in what was sent. `at_once`: calls computed at the
    same time, further ones wait; None: as many as the host says, or cores.
    """

    accepts: Sequence[str] = ("application/json",)
    gives: Sequence[str] = ("application/json",)
    at_once: int | None = None

    def load(self) -> None:  # noqa: B027  (an optional hook)
        """Read weights and whatever else takes time; called once, before /ping says 200."""

    @abstractmethod
    def answer(self, call: Call) -> Answer:
        """Called from several threads at once. Raises Rejected for input that is of no use."""


def _say(line: str) -> None:
    """Write a line as one: threads speak at the same moment."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(make: Callable[[], Model], arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; returns the exit code, 1 where the model could not be loaded."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words not in ([], ["serve"]):
        print(f"unknown argument {' '.join(words)!r}; it is: serve", file=sys.stderr)
        return 2
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    server = Server(make())
    loading = threading.Thread(target=server.load, args=(ended,), daemon=True)
    accepting = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    host, port = server.server_address[:2]
    _say(f"listening on {host}:{port}")
    accepting.start()
    loading.start()
    ended.wait()
    server.shutdown()
    server.server_close()
    left = server.drain(DRAIN_S)
    _say(f"stopped, {left} calls unanswered" if left else "stopped")
    if loading.is_alive():  # what loads libraries may not survive an orderly end
        os._exit(0)
    return 1 if server.failed else 0


class Server(ThreadingHTTPServer):
    """MODEL_SERVER_HOST: 127.0.0.1 unless the image says otherwise; SAGEMAKER_BIND_TO_PORT or PORT:
    8080; SAGEMAKER_MAX_PAYLOAD_IN_MB: 6; SAGEMAKER_MODEL_SERVER_WORKERS: calls computed at once,
    where the model does not mind.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, model: Model, *, port: int | None = None) -> None:
        environment = os.environ
        told = environment.get("SAGEMAKER_BIND_TO_PORT") or environment.get("PORT") or "8080"
        host = environment.get("MODEL_SERVER_HOST", "127.0.0.1")
        super().__init__((host, int(told) if port is None else port), Handler)
        self.model = model
        self.max_body = int(float(environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")) * MIB)
        workers = environment.get("SAGEMAKER_MODEL_SERVER_WORKERS") or os.cpu_count() or 1
        self.places = threading.BoundedSemaphore(model.at_once or max(1, int(workers)))
        self.ready = threading.Event()
        self.failed = False
        self.draining = False
        self._in_flight = 0
        self._changed = threading.Condition()

    def load(self, ended: threading.Event) -> None:
        began = time.monotonic()
        try:
            self.model.load()
        except BaseException:
            traceback.print_exc()
            self.failed = True
            ended.set()
            return
        self.ready.set()
        _say(f"ready after {time.monotonic() - began:.2f} s")

    def took(self, calls: int) -> None:
        with self._changed:
            self._in_flight += calls
            self._changed.notify_all()

    def drain(self, seconds: float) -> int:
        """Wait for the calls in flight; return how many are left after that time."""
        self.draining = True
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight == 0, seconds)
            return self._in_flight

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that went away is its own affair."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server
    server_version = "model"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    wbufsize = -1  # head and body leave in one piece
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        self._in_flight = 0
        try:
            super().handle_one_request()
        finally:
            self.server.took(-self._in_flight)

    def parse_request(self) -> bool:
        """From its first line on a call is in flight, whatever its caller is told meanwhile."""
        self._in_flight = 1
        self.server.took(1)
        return super().parse_request()

    def do_GET(self) -> None:
        if self._path() != "/ping":
            return self._no_such()
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads
        loaded = self.server.ready.is_set() and not self.server.draining
        self._send(200 if loaded else 503, b"")

    def do_POST(self) -> None:
        if self._path() != "/invocations":
            self.close_connection = True
            return self._no_such()
        began = time.monotonic()
        status, size = self._invoke()
        _say(f"POST /invocations {status} {(time.monotonic() - began) * 1000:.1f} ms {size} B")

    def do_PUT(self) -> None:
        self.close_connection = True
        self._no_such()

    do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_PUT

    def handle_expect_100(self) -> bool:
        """Refuse a body that is too long before it is sent; ask at once for any other."""
        length = self.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self.server.max_body:
            self.close_connection = True
            self._error(413, self._too_long())
            return False
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def _invoke(self) -> tuple[int, int]:
        try:
            call = self._call(self._read())
        except Rejected as refusal:
            return refusal.status, self._error(refusal.status, str(refusal))
        try:
            with self.server.places:
                answer = self.server.model.answer(call)
        except Rejected as refusal:
            return refusal.status, self._error(refusal.status, str(refusal))
        except Exception as error:
            traceback.print_exc()
            return 500, self._error(500, f"the model failed: {type(error).__name__}")
        self._send(200, answer.body, answer.content_type, answer.headers)
        return 200, len(answer.body)

    def _call(self, body: bytes) -> Call:
        model = self.server.model
        if not self.server.ready.is_set():
            raise Rejected(503, "the model is still being loaded; GET /ping tells when it is ready")
        content_type = bare(self.headers.get("Content-Type", "")) or model.accepts[0]
        if content_type not in model.accepts:
            raise Rejected(415, f"{content_type!r:.80} is not taken; send {listed(model.accepts)}")
        gives = model.gives or (content_type,)
        wanted = self.headers.get("Accept", "*/*")
        accept = chosen(wanted, gives)
        if accept is None:
            raise Rejected(406, f"{wanted!r:.80} cannot be given; accept {listed(gives)}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Call(body, content_type, accept, headers)

    def _read(self) -> bytes:
        coding, length = self.headers.get("Transfer-Encoding"), self.headers.get("Content-Length")
        if coding is not None:
            if coding.strip().lower() != "chunked" or length is not None:
                self.close_connection = True
                raise Rejected(400, "send either a Content-Length or Transfer-Encoding: chunked")
            return self._read_chunks()
        if length is None:
            return b""
        if not length.isdigit():
            self.close_connection = True
            raise Rejected(400, f"Content-Length {length!r:.40} is no number")
        if int(length) > self.server.max_body:
            raise self._refused_body()
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the body ended early")
        return body

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = self.rfile.readline(1024)
            try:
                size = int(line.split(b";")[0].strip(), 16)
                if size < 0:
                    raise ValueError
            except ValueError:
                self.close_connection = True
                raise Rejected(400, "the chunks of the body cannot be read") from None
            if len(body) + size > self.server.max_body:
                raise self._refused_body()
            if size == 0:
                while self.rfile.readline(1024).strip():  # trailers
                    pass
                return bytes(body)
            body += self.rfile.read(size)
            self.rfile.readline(1024)

    def _refused_body(self) -> Rejected:
        self.close_connection = True
        return Rejected(413, self._too_long())

    def _too_long(self) -> str:
        return f"the body is longer than {self.server.max_body} bytes; send it in smaller parts"

    def _no_such(self) -> None:
        methods = {"/ping": "GET", "/invocations": "POST"}
        if self._path() in methods:
            allowed = methods[self._path()]
            self._error(405, f"{self._path()} takes {allowed}", {"Allow": allowed})
        else:
            self._error(404, "there are GET /ping and POST /invocations")

    def _path(self) -> str:
        path = self.path.split("?")[0]
        return "/invocations" if OF_BOTO3.fullmatch(path) else path

    def _error(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> int:
        body = json.dumps({"error": message}).encode()
        self._send(status, body, "application/json", headers or {})
        return len(body)

    def _send(
        self,
        status: int,
        body: bytes,
        content_type: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if self.server.draining:
            self.close_connection = True
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if status == 413:
            self._linger()

    def _linger(self) -> None:
        """Read what still comes, for a while: a reset would take the refusal from the caller."""
        until = time.monotonic() + LINGER_S
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(LINGER_S)
            while time.monotonic() < until and self.rfile.read1(65536):
                pass

    def log_message(self, *_: Any) -> None:
        """Calls are told in one line each, probes are not told at all."""


def bare(content_type: str) -> str:
    return content_type.split(";")[0].strip().lower()


def chosen(accept: str, gives: Sequence[str]) -> str | None:
    """Return what to answer in: the caller's first wish that can be given; None: there is none."""
    wishes = [part.strip().split(";") for part in accept.split(",") if part.strip()]
    order = sorted(wishes, key=lambda wish: -_quality(wish[1:]))
    for wish in order or [["*/*"]]:
        kind = bare(wish[0])
        if _quality(wish[1:]) <= 0:
            continue
        for given in gives:
            if kind in ("*/*", given) or kind == f"{given.split('/')[0]}/*":
                return given
    return None


def listed(types: Sequence[str]) -> str:
    return " or ".join(types)


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
