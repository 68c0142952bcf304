"""Asks a model's server how it is: GET /ping within a deadline, and the example of its version.

Runs in threads of its own pool. What a server sends is not trusted: each answer has a deadline as
a whole and a bound, and nothing of it but the status and a few words goes further.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
import time
from dataclasses import dataclass

from clusters.agent.serving_records import address

CHUNK = 64 * 1024
WORDS = 200
MOST_READ = 512 * 1024 * 1024  # of the answer to an example
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")
CHECK_S = 60.0
# socket.timeout is a TimeoutError of its own kind before Python 3.10.
LATE = (TimeoutError, socket.timeout)


@dataclass(frozen=True)
class Answer:
    """`status` None: there was none; `why` says what was wrong, for people."""

    status: int | None
    ms: float
    why: str = ""

    @property
    def good(self) -> bool:
        return not self.why


def ping(host: str, port: int, timeout_s: float) -> Answer:
    """GET /ping: 200 says that the model is loaded. Only the first line of the answer is read."""
    began, received, why = time.monotonic(), b"", ""
    request = f"GET /ping HTTP/1.1\r\nHost: {address(host, port)}\r\nConnection: close\r\n\r\n"

    def left() -> float:
        return max(timeout_s - (time.monotonic() - began), 0.001)

    try:
        with socket.create_connection((host, port), timeout=timeout_s) as sock:
            sock.settimeout(left())
            sock.sendall(request.encode())
            while b"\n" not in received and len(received) < CHUNK:
                sock.settimeout(left())
                chunk = sock.recv(CHUNK)
                if not chunk:
                    break
                received += chunk
                if time.monotonic() - began > timeout_s:
                    raise TimeoutError
    except (OSError, ValueError) as error:
        why = _words(error, timeout_s)
    ms = _since(began)
    if why:
        return Answer(None, ms, f"/ping: {why}")
    match = STATUS.match(received)
    if match is None:
        return Answer(None, ms, "/ping: the answer is no HTTP")
    status = int(match[1])
    return Answer(status, ms, "" if status == 200 else f"/ping answered {status}")


def example(
    host: str, port: int, content_type: str, body: bytes, *, timeout_s: float = CHECK_S
) -> Answer:
    """POST the example to /invocations: 2xx says that the model answers calls."""
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    late = threading.Timer(timeout_s, lambda: _break_off(connection))
    late.daemon = True
    late.start()
    status, said, why = None, b"", ""
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": content_type})
        response = connection.getresponse()
        status, size = response.status, 0
        while size < MOST_READ and (chunk := response.read(CHUNK)):
            size += len(chunk)
            said = (said + chunk)[:WORDS]
    except (OSError, http.client.HTTPException, ValueError) as error:
        over = time.monotonic() - began >= timeout_s
        why = _words(TimeoutError() if over else error, timeout_s)
        status = None
    finally:
        late.cancel()
        connection.close()
    ms = _since(began)
    if status is None:
        return Answer(None, ms, f"the example got no answer: {why}")
    if not 200 <= status < 300:
        words = said.decode("utf-8", "replace").replace("\0", "").strip()
        return Answer(
            status, ms, f"the example was answered {status}{': ' if words else ''}{words}"
        )
    return Answer(status, ms)


def _break_off(connection: http.client.HTTPConnection) -> None:
    sock = connection.sock
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _words(error: Exception, timeout_s: float) -> str:
    if isinstance(error, LATE):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens on its port"
    return str(error) or type(error).__name__


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
