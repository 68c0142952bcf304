"""A server of a model for tests, started as a process: it says which process it is.

In its folder, `loading` lets /ping answer 503, and `crash` ends it at once.
"""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = os.environ.get("VERSION", "")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(503 if Path("loading").exists() else 200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, f'{{"process": {os.getpid()}, "version": "{VERSION}"}}'.encode())


def main() -> None:
    print("argument", sys.argv[1:], "secret", os.environ.get("TOKEN"), flush=True)
    if Path("crash").exists():
        sys.exit("no weights here")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
