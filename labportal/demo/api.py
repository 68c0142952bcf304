"""The portal's REST interface as the demo uses it: the standard library, JSON, and a token."""

import json
import urllib.error
import urllib.request
from typing import Any

SECONDS = 15


class Refused(Exception):
    """The portal said no; the message is its reason."""


class Portal:
    def __init__(self, url: str, *, token: str = "") -> None:
        self.url = url
        self.token = token

    def sign_in(self, username: str, password: str) -> None:
        answer = self.call("POST", "auth/token/", {"username": username, "password": password})
        self.token = answer["access"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the decoded answer. Raises Refused, or OSError where nobody answers."""
        request = urllib.request.Request(  # noqa: S310 - the demo's own address
            f"{self.url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
                text = response.read()
        except urllib.error.HTTPError as error:
            raise Refused(_reason(error)) from None
        return json.loads(text) if text else None

    def answers(self) -> bool:
        """Whether the first page comes."""
        try:
            with urllib.request.urlopen(f"{self.url}/sign-in/", timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read())
        errors = "; ".join(f"{name}: {' '.join(text)}" for name, text in problem["errors"].items())
        return f"{error.code} {errors or problem['detail']}"
    except (ValueError, KeyError, AttributeError):
        return str(error)
