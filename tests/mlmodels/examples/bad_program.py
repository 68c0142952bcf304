"""An echo that keeps the contract but for the one rule that BREAKS names; bundled with the echo."""

import os
import signal
import sys
import time

from program import Echo
from serving import server

RULE = os.environ.get("BREAKS", "")
LOADS_S = 0.4


class Bad(Echo):
    def __init__(self) -> None:
        super().__init__()
        self.loads_s = LOADS_S if RULE == "loading" else 0
        if RULE == "types":
            self.accepts = ("application/json",)

    def answer(self, call: server.Call) -> server.Answer:
        if RULE == "invocations" and call.body.startswith(b'{"message"'):
            raise ValueError("no such weights")
        if RULE == "headers" and "x-labportal-unknown" in call.headers:
            raise server.Rejected(400, "unknown header")
        return super().answer(call)


class Handler(server.Handler):
    def do_GET(self) -> None:
        if RULE == "loading":
            self._send(200, b"")
        elif RULE == "ping" and self.server.ready.is_set():
            time.sleep(0.3)
            super().do_GET()
        elif RULE == "ping_empty" and self.server.ready.is_set():
            self._send(200, b"pong")
        else:
            super().do_GET()

    def _refused_body(self) -> server.Rejected:
        if RULE == "oversized":
            os._exit(137)
        return super()._refused_body()

    def _call(self, body: bytes) -> server.Call:
        if RULE == "unsupported" and "unsupported" in self.headers["Content-Type"]:
            self.headers.replace_header("Content-Type", "text/plain")
        return super()._call(body)


def ignore_signals() -> None:
    original = signal.signal
    signal.signal = lambda number, _: original(number, signal.SIG_IGN)


if __name__ == "__main__":
    if RULE == "serve" and sys.argv[1:] == ["serve"]:
        sys.exit("train or die")
    if RULE == "sigterm":
        ignore_signals()
    server.Handler = Handler
    sys.exit(server.main(Bad))
