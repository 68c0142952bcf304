"""A small HTTP proxy between agents and portal that loses, delays, cuts and repeats what passes.

One thread per connection. `faults` may be changed at any moment.
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO

Message = tuple[bytes, bytes]  # head with its empty line, body


@dataclass
class Faults:
    """What happens to the messages that pass."""

    losing: bool = False  # replies get lost after the portal has acted
    delay_s: float = 0.0  # how late replies come
    repeating: bool = False  # each request arrives once more, on its own connection
    echo_after: int = 0  # each request arrives once more, after so many later ones
    overtaking: bool = False  # requests wait up to half a second, and pass one another
    cut_requests: bool = False  # only the first half arrives
    cut_replies: bool = False
    stalled: bool = False  # requests wait, and arrive late
    hold: bytes = b""  # requests whose first line has this in it wait


class Proxy:
    """`with Proxy(port) as proxy:`; agents are told `proxy.url`."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.mend()
        self.passed = 0
        self.lost = 0
        self.held = 0
        self._sockets: set[socket.socket] = set()
        self._echoes: deque[Message] = deque()

    def mend(self) -> None:
        self.open = True  # else: connections are refused, requests never arrive
        self.faults = Faults()

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
        self._wait(request)
        if not self.open:
            raise ConnectionError
        if self.faults.repeating:
            self._again(request)
        if self.faults.echo_after:
            self._echo(request)
        if self.faults.cut_requests:
            self._lose(portal, request)
        portal.sendall(b"".join(request))
        reply = _read(replies)
        if self.faults.losing:
            self._lose(client, None)
        if self.faults.cut_replies:
            self._lose(client, reply)
        if self.faults.delay_s:
            time.sleep(self.faults.delay_s)
        client.sendall(b"".join(reply))
        self.passed += 1

    def _wait(self, request: Message) -> None:
        """Let a request wait as long as it has to."""
        if self.faults.overtaking:
            time.sleep(random.uniform(0, 0.5))  # noqa: S311
        line = request[0].partition(b"\r\n")[0]
        counted = False
        while self.open and (
            self.faults.stalled or (self.faults.hold and self.faults.hold in line)
        ):
            self.held += not counted
            counted = True
            time.sleep(0.02)

    def _lose(self, receiver: socket.socket, message: Message | None) -> None:
        """Send nothing of a message, or its head and half of its body; the connection ends."""
        self.lost += 1
        if message is not None:
            head, body = message
            receiver.sendall(head + body[: len(body) // 2])
        raise ConnectionError

    def _echo(self, request: Message) -> None:
        self._echoes.append(request)
        if len(self._echoes) > self.faults.echo_after:
            self._again(self._echoes.popleft())

    def _again(self, request: Message) -> None:
        """Have a request arrive once more; its answer is heard by nobody."""

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
