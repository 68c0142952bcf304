"""Calls of the contract test: one connection each, and what went wrong told in words.

Standard library only, Python 3.9.
"""

from __future__ import annotations

import http.client
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024 * 1024
LARGEST_ANSWER = 64 * MIB


class NoAnswer(Exception):
    """A call that brought no answer; the message says what happened instead."""


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    seconds: float

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Caller:
    host: str
    port: int

    def ping(self, timeout_s: float) -> Reply:
        """Raises NoAnswer, as the others do."""
        return self._send("GET", "/ping", timeout_s)

    def invoke(self, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Reply:
        return self._send("POST", "/invocations", timeout_s, body, headers)

    def invoke_long(self, length: int, content_type: str, timeout_s: float) -> Reply | None:
        """Send that many zeros, or as many as the other side cares to hear; None where it closed
        the connection without a word.
        """
        began = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.putrequest("POST", "/invocations")
            connection.putheader("Content-Type", content_type)
            connection.putheader("Content-Length", str(length))
            connection.endheaders()
            _send_zeros(connection.sock, length, timeout_s)
            response = connection.getresponse()
            body = response.read(LARGEST_ANSWER)
        except (TimeoutError, socket.timeout):
            raise NoAnswer(
                f"{length} bytes were neither taken nor refused within {timeout_s:g} s"
            ) from None
        except (ConnectionError, http.client.HTTPException):
            return None
        except OSError as error:
            raise NoAnswer(str(error)) from error
        finally:
            connection.close()
        return Reply(response.status, body, time.monotonic() - began)

    def _send(
        self,
        method: str,
        path: str,
        timeout_s: float,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        began = time.monotonic()
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            read = response.read(LARGEST_ANSWER)
        except (TimeoutError, socket.timeout):
            raise NoAnswer(f"{path}: no answer within {timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{path}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        return Reply(response.status, read, time.monotonic() - began)


def _send_zeros(connection: socket.socket, length: int, timeout_s: float) -> None:
    """Send until all is sent, or an answer is there already."""
    piece = bytes(MIB // 4)
    left = length
    while left > 0:
        answered, free, _ = select.select([connection], [connection], [], timeout_s)
        if answered:
            return
        if not free:
            raise TimeoutError
        try:
            left -= connection.send(piece[:left])
        except (BrokenPipeError, ConnectionResetError):
            return
