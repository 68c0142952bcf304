"""Where hosts and ranks call in: one listening socket at a private address, one thread, no caller
heard before it has proved that it knows the token.
"""

from __future__ import annotations

import contextlib
import ipaddress
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from calculations.software.torch_inference.program.channel import (
    BLOCK,
    HANDSHAKE_S,
    Greeting,
    Message,
    Opener,
    Refused,
    Sealer,
)
from calculations.software.torch_inference.program.problem import Problem

MOST_STRANGERS = 1024
SHARED = ipaddress.ip_network("100.64.0.0/10")  # carriers' own, routed nowhere else


def is_private(address: str) -> bool:
    """Whether an address is one that nobody outside can reach."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if found.is_unspecified or found.is_multicast:
        return False
    inside = found.version == 4 and found in SHARED
    return found.is_loopback or found.is_private or found.is_link_local or inside


@dataclass(eq=False)
class Caller:
    """One connection; `about` is what it said of itself."""

    socket: socket.socket
    peer: str
    since: float
    greeting: Greeting | None
    sealer: Sealer | None = None
    opener: Opener | None = None
    outgoing: bytearray = field(default_factory=bytearray)
    about: Message = field(default_factory=dict)
    open: bool = True


class Hub:
    """`heard(caller, message, body)` and `gone(caller, why)` are called from `turn`."""

    def __init__(
        self,
        address: str,
        token: bytes,
        heard: Callable[[Caller, Message, bytes], None],
        gone: Callable[[Caller, str], None],
    ) -> None:
        """Raises Problem where the address is public, OSError where it cannot be listened at."""
        if not is_private(address):
            raise Problem(
                "no_private_address",
                f"{address} is no private address; ranks would meet where strangers can call.",
                "Set `address` in the cluster's settings of torch_inference to a private address "
                "or network of its nodes.",
            )
        self._token, self._heard, self._gone = token, heard, gone
        self._selector = selectors.DefaultSelector()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._server = socket.create_server((address, 0), family=family, backlog=1024)
        self._server.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._strangers: set[Caller] = set()
        self.refused: list[str] = []

    @property
    def address(self) -> tuple[str, int]:
        return self._server.getsockname()[:2]

    def watch(self, descriptor: int, call: Callable[[], None]) -> None:
        """Have `call` called when something can be read from a descriptor."""
        self._selector.register(descriptor, selectors.EVENT_READ, call)

    def turn(self, timeout: float) -> None:
        """Wait up to `timeout` seconds and deal with what has come."""
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._server:
                self._accept()
            elif isinstance(key.data, Caller):
                self._deal(key.data, events)
            else:
                key.data()
        now = time.monotonic()
        for caller in [c for c in self._strangers if now - c.since > HANDSHAKE_S]:
            self._refuse(caller, "said nothing")

    def send(self, caller: Caller, message: Message, body: bytes = b"") -> None:
        if caller.open and caller.sealer is not None:
            caller.outgoing += caller.sealer.seal(message, body)
            self._flush(caller)

    def drop(self, caller: Caller) -> None:
        """Close a connection; `gone` is not called."""
        if caller.open:
            caller.open = False
            self._strangers.discard(caller)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(caller.socket)
            caller.socket.close()

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if isinstance(key.data, Caller):
                self.drop(key.data)
        self._selector.close()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, peer = self._server.accept()
            except (BlockingIOError, ConnectionError):
                return
            if len(self._strangers) >= MOST_STRANGERS:
                connection.close()
                continue
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            caller = Caller(connection, str(peer[0]), time.monotonic(), Greeting(self._token))
            self._strangers.add(caller)
            self._selector.register(connection, selectors.EVENT_READ, caller)

    def _deal(self, caller: Caller, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._flush(caller)
        if not (events & selectors.EVENT_READ and caller.open):
            return
        try:
            data = caller.socket.recv(BLOCK)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(caller, str(error))
            return
        if not data:
            self._lose(caller, "it hung up")
            return
        try:
            self._take(caller, data)
        except Refused as error:
            self._refuse(caller, str(error))

    def _take(self, caller: Caller, data: bytes) -> None:
        if caller.greeting is not None:
            answer, caller.sealer, caller.opener, data = caller.greeting.feed(data)
            caller.outgoing += answer
            self._flush(caller)
            if caller.opener is None:
                return
            caller.greeting = None
            self._strangers.discard(caller)
        if caller.opener is not None:
            for message, body in caller.opener.feed(data):
                if caller.open:
                    self._heard(caller, message, body)

    def _flush(self, caller: Caller) -> None:
        while caller.outgoing and caller.open:
            try:
                sent = caller.socket.send(memoryview(caller.outgoing)[:BLOCK])
            except BlockingIOError:
                break
            except OSError as error:
                self._lose(caller, str(error))
                return
            del caller.outgoing[:sent]
        if caller.open:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if caller.outgoing else 0)
            self._selector.modify(caller.socket, wanted, caller)

    def _lose(self, caller: Caller, why: str) -> None:
        if caller.open:
            stranger = caller in self._strangers
            self.drop(caller)
            if not stranger:
                self._gone(caller, why)

    def _refuse(self, caller: Caller, why: str) -> None:
        known = caller.greeting is None
        self.refused.append(f"{caller.peer}: {why}"[:200])
        self.drop(caller)
        if known:
            self._gone(caller, why)
