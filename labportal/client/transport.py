"""One connection to one portal: sends, signs in again when the access token ends, tries again what
may be tried again, and turns refusals into errors.
"""

from __future__ import annotations

import contextlib
import platform
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from labportal.client import errors
from labportal.client.profiles import Profile, Profiles
from labportal.client.words import version

API = "/api/v1/"
TRIES = 5
LONGEST_WAIT_S = 30.0
EARLY_S = 30  # an access token that ends so soon is replaced before it is used
BUSY = frozenset({429, 502, 503, 504})
# What certainly did nothing may be sent again, whatever it was.
NOT_DONE = frozenset({429, 503})
SAFE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
SIGN_IN = errors.REMEDIES[errors.NotSignedIn]
HERE = frozenset({"localhost", "127.0.0.1", "::1"})


def user_agent() -> str:
    """What the portal's list of sign-ins shows."""
    return f"labportal-client/{version()} ({platform.node()[:60]}; {platform.system()})"


def checked_url(url: str, *, allow_http: bool = False) -> str:
    """Return the address without what follows the host. A password is not sent in the clear."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise errors.Invalid(f"{url!r} is no address of a portal, such as https://lab.example.org")
    if parts.scheme == "http" and parts.hostname not in HERE and not allow_http:
        raise errors.Invalid(
            f"{url} is not encrypted, so your password could be read on its way.",
            remedy="Use https://, or --allow-http in a network that you trust.",
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


class Transport:
    """`profile` names the portal and whose token is used; `profiles` is where the next one goes."""

    def __init__(
        self,
        profile: Profile,
        profiles: Profiles | None = None,
        *,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.profile = profile
        self._profiles = profiles
        self._sleep = sleep
        self._access, self._ends = "", 0.0
        self.http = http or httpx.Client(
            base_url=profile.url,
            headers={"User-Agent": user_agent()},
            timeout=httpx.Timeout(60, connect=10),
            follow_redirects=True,  # to the file store; httpx leaves the token behind
        )

    def close(self) -> None:
        self.http.close()

    def sign_in(self, username: str, password: str) -> Profile:
        """Exchange name and password for tokens, and keep the refresh token in the profile."""
        body = {"username": username, "password": password, "program": True}
        answer = self._send("POST", f"{API}auth/token/", json=body, signed=False).json()
        return self._keep(answer, username=username)

    def adopt(self, refresh: str) -> Profile:
        """Begin with a refresh token that somebody else got; it is used up at once."""
        self.profile = replace(self.profile, refresh=refresh)
        self._refresh()
        return self.profile

    def sign_out(self) -> None:
        if self.profile.refresh:
            body = {"refresh": self.profile.refresh}
            self._send("POST", f"{API}auth/sign-out/", json=body, signed=False)
        self._access, self.profile = "", replace(self.profile, refresh="")

    def token(self) -> str:
        """Return an access token that will be good for a while."""
        if not self._access or time.time() > self._ends - EARLY_S:
            self._refresh()
        return self._access

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send and return the whole answer. Raises ClientError for every refusal."""
        return self._send(method, path, **options)

    @contextlib.contextmanager
    def stream(self, path: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        """Open a download; its body is read by the caller."""
        response = self._send("GET", path, headers=headers, streamed=True)
        try:
            yield response
        finally:
            response.close()

    def _refresh(self) -> None:
        with self._profiles.lock() if self._profiles else contextlib.nullcontext():
            if self._profiles is not None:
                # Another process may have used the token meanwhile, and have stored the next.
                stored = self._profiles.all().get(self.profile.name)
                if stored is not None and stored.url == self.profile.url and stored.refresh:
                    self.profile = stored
            if not self.profile.refresh:
                raise errors.NotSignedIn(
                    "You are not signed in.", remedy="Sign in: labportal login"
                )
            body = {"refresh": self.profile.refresh}
            try:
                answer = self._send("POST", f"{API}auth/refresh/", json=body, signed=False).json()
            except errors.NotSignedIn:
                self._access = ""
                raise
            self._keep(answer)

    def _keep(self, answer: dict[str, Any], **changes: str) -> Profile:
        self._access = str(answer["access"])
        ends = datetime.fromisoformat(str(answer["expires_at"]))
        self._ends = ends.replace(tzinfo=ends.tzinfo or UTC).timestamp()
        self.profile = replace(self.profile, refresh=str(answer["refresh"]), **changes)
        if self._profiles is not None:
            self._profiles.put(self.profile)
        return self.profile

    def _send(
        self,
        method: str,
        path: str,
        *,
        signed: bool = True,
        streamed: bool = False,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> httpx.Response:
        renewed = False
        for attempt in range(1, TRIES + 1):
            given = dict(headers or {})
            if signed:
                given["Authorization"] = f"Bearer {self.token()}"
            try:
                request = self.http.build_request(method, path, headers=given, **options)
                response = self.http.send(request, stream=streamed)
            except httpx.TransportError as error:
                repeatable = method in SAFE or isinstance(error, httpx.ConnectError)
                if not repeatable or attempt == TRIES or not _again(options):
                    raise errors.Unreachable(
                        f"{self.profile.url} does not answer: {_words(error)}.",
                        remedy=errors.REMEDIES[errors.Unreachable],
                    ) from None
                self._sleep(_pause(attempt))
                continue
            if response.status_code == 401 and signed and not renewed:
                response.close()
                self._ends, renewed = 0.0, True
                continue
            busy = response.status_code in (BUSY if method in SAFE else NOT_DONE)
            if busy and attempt < TRIES and _again(options):
                wait = _asked_for(response) or _pause(attempt)
                response.close()
                self._sleep(wait)
                continue
            return _taken(response)
        raise errors.Unreachable(f"{self.profile.url} is too busy.")


def _again(options: dict[str, Any]) -> bool:
    """Whether the body can be sent a second time: a stream cannot."""
    content = options.get("content")
    return content is None or isinstance(content, str | bytes)


def _taken(response: httpx.Response) -> httpx.Response:
    if response.status_code < 400:
        return response
    response.read()
    response.close()
    try:
        document = response.json()
    except ValueError:
        document = None
    raise errors.of_response(response.status_code, document)


def _asked_for(response: httpx.Response) -> float | None:
    """How long the portal asks to wait, which is not believed beyond reason."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), LONGEST_WAIT_S) if text.isascii() and text.isdecimal() else None


def _pause(attempt: int) -> float:
    return min(LONGEST_WAIT_S, 0.5 * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311


def _words(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__
