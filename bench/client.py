"""A small HTTP client on one kept connection: as a program of the portal's API would."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

IDLE_S = 3.0  # the web process closes a connection on which nothing was asked for five seconds


class Refused(Exception):
    """An answer of 400 or above; the text holds status and body."""


class Client:
    def __init__(self, url: str, *, authorization: str = "") -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self._authorization = authorization
        self._person: tuple[str, str] | None = None
        self._signed_in_at = self._used_at = 0.0

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def sign_in(self, username: str, password: str) -> None:
        self._person, self._authorization = (username, password), ""
        answer = self.post("/api/v1/auth/token", {"username": username, "password": password})
        self._authorization = f"Bearer {answer['access']}"
        self._signed_in_at = time.monotonic()

    @property
    def token(self) -> str:
        return self._authorization.removeprefix("Bearer ")

    def request(self, method: str, path: str, document: Any = None) -> tuple[int, bytes]:
        headers = {"Authorization": self._authorization} if self._authorization else {}
        body = None
        if document is not None:
            body = json.dumps(document).encode()
            headers["Content-Type"] = "application/json"
        if time.monotonic() - self._used_at > IDLE_S:
            self._connection.close()  # the next request opens a new one
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            answer = response.status, response.read()
            self._used_at = time.monotonic()
            return answer
        except (http.client.HTTPException, OSError):
            self._connection.close()
            raise

    def get(self, path: str) -> Any:
        return self._json("GET", path)

    def post(self, path: str, document: Any = None) -> Any:
        return self._json("POST", path, document)

    def _json(self, method: str, path: str, document: Any = None) -> Any:
        if self._person and self._authorization and time.monotonic() - self._signed_in_at > 480:
            self.sign_in(*self._person)
        status, body = self.request(method, path, document)
        if status >= 400:
            raise Refused(f"{method} {path}: {status} {body[:2000].decode(errors='replace')}")
        return json.loads(body) if body else None
