"""HTTP to the portal: kept-alive connections, verified TLS, the key in one header, and nothing
else.

Each connection serves one thread. `abort` may be called from any thread: it makes a blocked call
fail. Redirects are not followed, so the key goes to no other host.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from clusters.agent import __version__, protocol

CONNECT_S = 10.0
ANSWER_S = 30.0  # beyond the time for which the portal was allowed to hold a request
DOWNLOAD_S = 3600.0
CHUNK = 256 * 1024
JSON_BODY = {"Content-Type": "application/json"}


class Unreachable(Exception):
    """No answer: network, TLS, a time-out, or an aborted call."""


@dataclass(eq=False)
class Refused(Exception):
    """The portal answered with an error; `problem` is its problem document, empty where it sent
    none.
    """

    status: int
    problem: dict[str, Any]
    retry_after: float | None = None

    def __str__(self) -> str:
        words = self.problem.get("detail") or self.problem.get("title") or "no reason given"
        code = f" ({self.problem['code']})" if self.problem.get("code") else ""
        return f"HTTP {self.status}{code}: {str(words)[:300]}"


@dataclass(frozen=True)
class Address:
    """Where the portal is and how to be let in."""

    url: str
    key: str
    ca_file: str | None = None

    def __repr__(self) -> str:
        return f"Address({self.url})"


class Connection:
    """One kept-alive connection, opened when needed."""

    def __init__(self, address: Address) -> None:
        self.address = address
        parts = urlsplit(address.url)
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._prefix = parts.path.rstrip("/")
        self._http: http.client.HTTPConnection | None = None
        self._aborted = False

    def exchange(self, document: Mapping[str, Any], *, wait_s: float) -> dict[str, Any] | None:
        """Return the portal's reply, None where a newer exchange released this one.

        Raises Unreachable, Refused and BadDocument.
        """
        body, encoding = protocol.encode(document)
        headers = {**JSON_BODY, "Accept-Encoding": "gzip"}
        if encoding:
            headers["Content-Encoding"] = encoding
        status, answer, content = self._call(
            "POST", protocol.EXCHANGE_PATH, headers, body, timeout=wait_s + ANSWER_S
        )
        if status == http.HTTPStatus.NO_CONTENT:
            return None
        return protocol.decode(content, answer.get("Content-Encoding"))

    def probe(self) -> None:
        """See whether the key is accepted, without saying anything. Raises Unreachable and Refused.

        A document without an agent is refused as such, but only after the key was looked at.
        """
        body, _ = protocol.encode({"protocol": protocol.PROTOCOL})
        try:
            self._call("POST", protocol.EXCHANGE_PATH, JSON_BODY, body, timeout=ANSWER_S)
        except Refused as error:
            if error.status not in (400, 422):
                raise

    def download(self, run: str, name: str, target: BinaryIO, *, limit: int) -> int:
        """Write a staged file to `target`, return its size. Raises Unreachable, Refused."""
        path = protocol.STAGED_FILE_PATH.format(run=quote(run, safe=""), name=quote(name, safe="/"))
        return self._fetch(path, target, limit)

    def download_agent(self, target: BinaryIO, *, limit: int) -> int:
        """Write the portal's agent file to `target`. Raises Unreachable and Refused."""
        return self._fetch(protocol.DOWNLOAD_PATH, target, limit)

    def download_model(
        self, replica: str, name: str, target: BinaryIO, *, limit: int, have: int = 0
    ) -> int:
        """Let a model's file grow from `have` bytes on; return the bytes that came. Where all of it
        comes again, `target` is emptied first. Raises Unreachable, Refused.
        """
        path = protocol.MODEL_FILE_PATH.format(
            replica=quote(replica, safe=""), name=quote(name, safe="/")
        )
        return self._fetch(path, target, limit, have)

    def model_environment(self, replica: str) -> dict[str, str]:
        """Return a model's secret variables. Raises Unreachable, Refused and BadDocument."""
        path = protocol.MODEL_ENVIRONMENT_PATH.format(replica=quote(replica, safe=""))
        _, answer, content = self._call("GET", path, {}, None, timeout=CONNECT_S + ANSWER_S)
        document = protocol.decode(content, answer.get("Content-Encoding"))
        found = document.get("environment")
        if not isinstance(found, dict):
            raise protocol.BadDocument("the answer holds no environment")
        return {str(name): str(value) for name, value in found.items()}

    def _fetch(self, path: str, target: BinaryIO, limit: int, have: int = 0) -> int:
        headers = {"Range": f"bytes={have}-"} if have else {}
        response = self._send("GET", path, headers, None, CONNECT_S + ANSWER_S)
        self._raise_refused(response)
        if have and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            target.seek(0)
            target.truncate()
        size, deadline = 0, time.monotonic() + DOWNLOAD_S
        while size <= limit and time.monotonic() < deadline:
            chunk = self._receive(response, CHUNK)
            if not chunk:
                return size
            size += len(chunk)
            target.write(chunk)
        self.close()  # more than was announced, or too slow: the size will tell
        return size

    def upload(
        self, run: str, attempt: int, name: str, source: BinaryIO, *, size: int, sha256: str
    ) -> None:
        """Send a retrieved file. Raises Unreachable and Refused."""
        path = protocol.RETRIEVED_FILE_PATH.format(
            run=quote(run, safe=""), attempt=attempt, name=quote(name, safe="/")
        )
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            protocol.SHA256_HEADER: sha256,
        }
        self._call("PUT", path, headers, source, timeout=CONNECT_S + ANSWER_S)

    def abort(self) -> None:
        """Make the call in progress fail, from another thread."""
        self._aborted = True
        connection = self._http
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | BinaryIO | None,
        *,
        timeout: float,
    ) -> tuple[int, Message, bytes]:
        response = self._send(method, path, headers, body, timeout)
        self._raise_refused(response)
        content = self._receive(response, protocol.MAX_DOCUMENT + 1)
        if not response.isclosed():
            self.close()
        return response.status, response.headers, content

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | BinaryIO | None,
        timeout: float,
    ) -> http.client.HTTPResponse:
        """Send a request and return the answer's head; a stale kept-alive connection is renewed
        once.
        """
        self._aborted = False
        every = {
            "Authorization": f"{protocol.AUTHORIZATION_SCHEME} {self.address.key}",
            "User-Agent": f"labportal-agent/{__version__}",
            **headers,
        }
        for fresh in (self._http is None, True):
            try:
                connection = self._open(timeout)
                connection.request(method, self._prefix + path, body=body, headers=every)
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                timed_out = isinstance(error, socket.timeout)
                if fresh or timed_out or self._aborted:
                    raise Unreachable(_words(error)) from None
                if body is not None and not isinstance(body, bytes):
                    body.seek(0)
        raise AssertionError("the loop above returns or raises")

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        if self._http is None:
            if self._secure:
                context = ssl.create_default_context(cafile=self.address.ca_file)
                self._http = http.client.HTTPSConnection(
                    self._host, self._port, timeout=CONNECT_S, context=context
                )
            else:
                self._http = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S)
            self._http.connect()
        if self._http.sock is not None:
            self._http.sock.settimeout(timeout)
        return self._http

    def _receive(self, response: http.client.HTTPResponse, most: int) -> bytes:
        try:
            return response.read(most)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(_words(error)) from None

    def _raise_refused(self, response: http.client.HTTPResponse) -> None:
        if response.status in (200, 201, 204, 206):
            return
        content = self._receive(response, CHUNK)
        if not response.isclosed():
            self.close()
        try:
            problem = json.loads(content)
        except ValueError:
            problem = {}
        problem = problem if isinstance(problem, dict) else {}
        raise Refused(response.status, problem, _seconds(response.getheader("Retry-After")))


def _seconds(value: str | None) -> float | None:
    try:
        return min(max(float(value or ""), 0.0), 300.0)
    except ValueError:
        return None


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
