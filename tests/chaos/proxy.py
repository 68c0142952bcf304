"""A small HTTP proxy between agent and portal that loses, delays and repeats what passes.

One thread per connection. `losing`, `delay_s` and `repeating` may be changed at any moment.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import BinaryIO

Message = tuple[bytes, bytes]  # head with its empty line, body


class Proxy:
    """`with Proxy(port) as proxy:`; agents are told `proxy.url`."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.open = True  # else: connections are refused, requests never arrive
        self.losing = False  # replies get lost after the portal has acted
        self.delay_s = 0.0  # how late replies come
        self.repeating = False  # each request arrives once more, on its own connection
        self.passed = 0
        self.lost = 0
        self._sockets: set[socket.socket] = set()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        for item in list(self._sockets):
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let nothing pass from here on, as a network that is down."""
        self.open = False
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Carry the requests of one connection; anything odd ends it, on both sides."""
        with contextlib.suppress(OSError, ValueError), client, self._connect() as portal:
            self._sockets |= {client, portal}
            threading.Thread(target=_hang_up, args=(client, portal), daemon=True).start()
            try:
                with client.makefile("rb") as requests, portal.makefile("rb") as replies:
                    while self.open:
                        self._carry(client, portal, requests, replies)
            finally:
                self._sockets -= {client, portal}
                for item in (client, portal):
                    with contextlib.suppress(OSError):
                        item.shutdown(socket.SHUT_RDWR)

    def _carry(
        self, client: socket.socket, portal: socket.socket, requests: BinaryIO, replies: BinaryIO
    ) -> None:
        request = _read(requests)
        if not self.open:
            raise ConnectionError
        if self.repeating:
            self._repeat(request)
        portal.sendall(b"".join(request))
        reply = _read(replies)
        if self.losing:
            self.lost += 1
            raise ConnectionError
        if self.delay_s:
            time.sleep(self.delay_s)
        client.sendall(b"".join(reply))
        self.passed += 1

    def _repeat(self, request: Message) -> None:
        def again() -> None:
            with contextlib.suppress(OSError, ValueError), self._connect() as portal:
                portal.sendall(b"".join(request))
                with portal.makefile("rb") as replies:
                    _read(replies)

        threading.Thread(target=again, daemon=True).start()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._upstream), timeout=60)


def _hang_up(client: socket.socket, portal: socket.socket) -> None:
    """Tell the portal at once when the agent is gone, as a connection without a proxy would."""
    with contextlib.suppress(OSError, ValueError):
        while True:
            if client.recv(1, socket.MSG_PEEK) == b"":
                portal.shutdown(socket.SHUT_RDWR)
                return
            time.sleep(0.05)


def _read(stream: BinaryIO) -> Message:
    """Read one message with a Content-Length, or without a body."""
    head, length = b"", 0
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            raise ConnectionError
        head += line
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return head, stream.read(length)
