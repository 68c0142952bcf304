"""A connection that both ends prove their right to, by a token that only this execution knows.

Each frame carries an HMAC over its place in the order and its content, so that nothing is forged,
repeated or left out. Content is a small JSON object and bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

MAGIC = b"labportal-ranks/1\n"
NONCE = TAG = 32
HEADER_LENGTH = struct.Struct("<I")
FRAME = struct.Struct("<Q")
MAX_FRAME = 512 * 2**20
HELLO = len(MAGIC) + NONCE
GREETING = NONCE + TAG
HANDSHAKE_S = 10.0  # for a caller to prove itself
ANSWER_S = 3600.0  # for the coordinator, which may be busy with the data, to answer
BLOCK = 256 * 1024

Message = dict[str, Any]


class Refused(Exception):
    """The other end does not know the token, or a frame is not what it sent."""


class Lost(Exception):
    """The connection is over."""


def new_token() -> bytes:
    return secrets.token_bytes(32)


def _digest(key: bytes, *parts: bytes) -> bytes:
    code = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        code.update(part)
    return code.digest()


class Sealer:
    """Makes frames of messages, in one direction."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0

    def seal(self, message: Message, body: bytes | bytearray | memoryview = b"") -> bytes:
        header = json.dumps(message, separators=(",", ":")).encode()
        size = HEADER_LENGTH.size + len(header) + len(body)
        if size > MAX_FRAME:
            raise ValueError(f"a message of {size} bytes is too long")
        head = FRAME.pack(size) + HEADER_LENGTH.pack(len(header)) + header
        tag = _digest(self._key, FRAME.pack(self._count), head, bytes(body))
        self._count += 1
        return b"".join((head, body, tag))


class Opener:
    """Takes what arrives in one direction apart into messages. Raises Refused."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Message, bytes]]:
        self._buffer += data
        while len(self._buffer) >= FRAME.size:
            (size,) = FRAME.unpack_from(self._buffer)
            if not HEADER_LENGTH.size <= size <= MAX_FRAME:
                raise Refused(f"a frame of {size} bytes")
            end = FRAME.size + size
            if len(self._buffer) < end + TAG:
                return
            content = bytes(self._buffer[:end])
            tag = bytes(self._buffer[end : end + TAG])
            if not hmac.compare_digest(tag, _digest(self._key, FRAME.pack(self._count), content)):
                raise Refused("a frame that was not sent by the other end")
            self._count += 1
            del self._buffer[: end + TAG]
            yield _message(content)


def _message(content: bytes) -> tuple[Message, bytes]:
    (length,) = HEADER_LENGTH.unpack_from(content, FRAME.size)
    begin = FRAME.size + HEADER_LENGTH.size
    try:
        header = json.loads(content[begin : begin + length])
    except ValueError:
        raise Refused("a frame without a message") from None
    if not isinstance(header, dict) or begin + length > len(content):
        raise Refused("a frame without a message")
    return header, content[begin + length :]


def _keys(token: bytes, nonces: bytes) -> tuple[bytes, bytes]:
    """Keys of the two directions: from the one who called, and to them."""
    return _digest(token, b"caller", nonces), _digest(token, b"answerer", nonces)


class Greeting:
    """The answerer's half of the handshake, fed as bytes arrive."""

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._own = secrets.token_bytes(NONCE)
        self._buffer = b""
        self._nonces = b""

    def feed(self, data: bytes) -> tuple[bytes, Sealer | None, Opener | None, bytes]:
        """Return what to send, and once the caller has proved itself, its codecs and what it has
        sent behind its proof. Raises Refused.
        """
        self._buffer += data
        answer = b""
        if not self._nonces:
            if not MAGIC.startswith(self._buffer[: len(MAGIC)]):
                raise Refused("a caller that speaks something else")
            if len(self._buffer) < HELLO:
                return b"", None, None, b""
            self._nonces = self._buffer[len(MAGIC) : HELLO] + self._own
            self._buffer = self._buffer[HELLO:]
            answer = self._own + _digest(self._token, b"answer", self._nonces)
        if len(self._buffer) < TAG:
            return answer, None, None, b""
        if not hmac.compare_digest(self._buffer[:TAG], _digest(self._token, b"call", self._nonces)):
            raise Refused("a caller without the token")
        calling, answering = _keys(self._token, self._nonces)
        return answer, Sealer(answering), Opener(calling), self._buffer[TAG:]


class Connection:
    """The caller's end, blocking; any thread may send, one receives."""

    def __init__(self, address: tuple[str, int], token: bytes) -> None:
        """Raises Refused and OSError."""
        self._socket = socket.create_connection(address, HANDSHAKE_S)
        self._lock = threading.Lock()
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(ANSWER_S)
            self._shake_hands(token)
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(None)

    def _shake_hands(self, token: bytes) -> None:
        own = secrets.token_bytes(NONCE)
        self._socket.sendall(MAGIC + own)
        answer = self._exactly(GREETING)
        nonces = own + answer[:NONCE]
        if not hmac.compare_digest(answer[NONCE:], _digest(token, b"answer", nonces)):
            raise Refused("who answers does not know the token")
        self._socket.sendall(_digest(token, b"call", nonces))
        calling, answering = _keys(token, nonces)
        self._sealer, self._opener = Sealer(calling), Opener(answering)

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise Refused("it hung up during the handshake")
            data += part
        return data

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Message, body: bytes | bytearray | memoryview = b"") -> None:
        """Raises Lost."""
        with self._lock:
            try:
                self._socket.sendall(self._sealer.seal(message, body))
            except OSError as error:
                raise Lost(str(error)) from None

    def receive(self) -> list[tuple[Message, bytes]]:
        """Wait for something and return the messages that are complete. Raises Lost and Refused."""
        try:
            data = self._socket.recv(BLOCK)
        except OSError as error:
            raise Lost(str(error)) from None
        if not data:
            raise Lost("the coordinator has hung up")
        return list(self._opener.feed(data))

    def close(self) -> None:
        self._socket.close()
