"""The two ends of the proxy's benchmark, each a process of its own: a model that answers as quickly
as Python can, and callers that ask again as soon as they are answered.

`python -m bench.proxy_load model PORT` and `python -m bench.proxy_load calls JSON`.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import sys
import time
from typing import Any

import uvloop

BODY = b'{"x": [0.1, 0.2, 0.3, 0.4], "name": "NGC 4993"}'
ANSWER = b'{"redshift": 0.00968, "error": 0.00079}'
_GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SLEEP = re.compile(rb"\r\nx-amzn-sagemaker-custom-attributes: *sleep=([\d.]+)", re.IGNORECASE)


class Model(asyncio.Protocol):
    """Reads each body to its end, keeps none of it, and answers the same."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.head = b""
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if self.left:
            self.left -= len(data)
        else:
            self.head += data
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            length = _LENGTH.search(head)
            self.left = (int(length[1]) if length else 0) - len(body)
        if self.left <= 0:
            sleep = _SLEEP.search(self.head)
            self.head, self.left = b"", 0
            loop = asyncio.get_running_loop()
            if sleep:
                loop.call_later(float(sleep[1]), self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        self.transport.write(_GOOD % (len(ANSWER), ANSWER))


class Calls(asyncio.Protocol):
    """One connection: the same request again and again until the deadline."""

    def __init__(self, request: bytes, deadline: float, times: list[float]) -> None:
        self.request, self.deadline, self.times = request, deadline, times
        self.ended = asyncio.get_running_loop().create_future()
        self.answer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        now = time.perf_counter()
        if not self.answer.startswith(b"HTTP/1.1 200"):
            self._end(RuntimeError(self.answer[:600].decode("latin-1")))
            return
        self.times.append(now - self.began)
        self.answer = b""
        if now < self.deadline:
            self._ask()
        else:
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the connection was closed"))

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is not None:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)
        self.transport.close()


def request_of(path: str, token: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [
        f"Content-Length: {len(BODY)}",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + BODY


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Model, "127.0.0.1", port, backlog=512)
    await server.serve_forever()


async def calls(asked: dict[str, Any]) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    request = request_of(asked["path"], asked["token"])
    times: list[float] = []
    began = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Calls(request, began + asked["seconds"], times), "127.0.0.1", asked["port"]
        )
        for _ in range(asked["connections"])
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    took = time.perf_counter() - began
    times.sort()
    return {
        "per_s": len(times) / took,
        "p50_ms": 1000 * statistics.median(times),
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "n": len(times),
    }


if __name__ == "__main__":
    if sys.argv[1] == "model":
        uvloop.run(serve(int(sys.argv[2])))
    else:
        json.dump(uvloop.run(calls(json.loads(sys.argv[2]))), sys.stdout)
