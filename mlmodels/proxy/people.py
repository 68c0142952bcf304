"""Who calls: by an access token, or by the session of the page with its CSRF token.

The database is asked about each of them at most every KEPT_S seconds: so long at most goes on who
was blocked, signed out or given another role.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, parse_cookie
from rest_framework.authentication import CSRFCheck

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.accounts.services.sessions import session_store
from labportal.accounts.services.tokens import person_of
from labportal.common.errors import DomainError, InvalidInput, NotAllowed
from mlmodels.proxy.pool import in_pool

KEPT_S = 1.5
MOST_KEPT = 10_000
MOST_CREDENTIAL = 8_000  # characters; real tokens have some hundred

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Person:
    """`ends_at`: when the token ends, as time.time() has it."""

    id: int
    may_call: bool
    ends_at: float


Look = Callable[[str], Person | None]


class NotSignedIn(DomainError):
    status = 401
    title = "Sign in first."
    default_code = "not-authenticated"


class People:
    """The persons seen within the last moments, by what they showed."""

    def __init__(self, by_token: Look, by_session: Look) -> None:
        self._by_token, self._by_session = by_token, by_session
        self._known: dict[str, tuple[float, Person | None]] = {}
        self._asked: dict[str, asyncio.Future[Person | None]] = {}

    async def who(self, scope: Mapping[str, Any], headers: Headers, token: str = "") -> Person:
        """Return who calls, with the right to call models. Raises NotSignedIn, NotAllowed.

        `token` stands for an Authorization header where a caller has no other place for it.
        """
        scheme, _, shown = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            token = shown.strip()
        if token:
            person = await self._of("t", token, self._by_token)
            if person is None or person.ends_at <= time.time():
                raise NotSignedIn("The token is wrong, has ended or was revoked. Sign in again.")
        else:
            person = await self._of_session(scope, headers)
        if not person.may_call:
            raise NotAllowed(f"Your role does not allow you to {Can.CALL_MODEL.value}.")
        return person

    async def _of_session(self, scope: Mapping[str, Any], headers: Headers) -> Person:
        cookies = parse_cookie(headers.get(b"cookie", b"").decode("latin-1"))
        key = cookies.get(settings.SESSION_COOKIE_NAME, "")
        person = await self._of("s", key, self._by_session) if key else None
        if person is None:
            raise NotSignedIn
        if scope["method"] not in {"GET", "HEAD"}:
            check_csrf(scope)
        return person

    async def _of(self, kind: str, shown: str, look: Look) -> Person | None:
        if len(shown) > MOST_CREDENTIAL:
            return None
        key = kind + shown
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < KEPT_S:
            return known[1]
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.ensure_future(self._look(key, shown, look))
        return await asyncio.shield(asked)

    async def _look(self, key: str, shown: str, look: Look) -> Person | None:
        """Ask once for however many calls wait; what is known counts from before the question."""
        began = time.monotonic()
        try:
            person = await in_pool(look, shown)
        finally:
            del self._asked[key]
        self._make_room(began)
        self._known[key] = (began, person)
        return person

    def _make_room(self, now: float) -> None:
        if len(self._known) < MOST_KEPT:
            return
        fresh = {key: known for key, known in self._known.items() if now - known[0] < KEPT_S}
        self._known = fresh if len(fresh) < MOST_KEPT else {}


def check_csrf(scope: Mapping[str, Any]) -> None:
    """Hold the request against the same rules as Django's own pages. Raises NotAllowed."""
    request = ASGIRequest(dict(scope), io.BytesIO())
    check = CSRFCheck(lambda _: None)
    try:
        check.process_request(request)
        reason = check.process_view(request, None, (), {})
    except DisallowedHost:
        raise InvalidInput("The portal is not known by this name.", code="host") from None
    if reason:
        raise NotAllowed(f"CSRF Failed: {reason}", code="csrf")


def by_token(raw: str) -> Person | None:
    found = person_of(raw)
    if found is None:
        return None
    user, ends_at = found
    return _person(user, ends_at.timestamp())


def by_session(key: str) -> Person | None:
    request = HttpRequest()
    request.session = session_store(key)
    user = get_user(request)
    return _person(user, float("inf")) if isinstance(user, User) else None


def _person(user: User, ends_at: float) -> Person:
    return Person(user.pk, can(user, Can.CALL_MODEL), ends_at)
