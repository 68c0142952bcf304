"""JSON web tokens: a short access token, and a refresh token that each use replaces by the next.

The API's sign-in views call this. Only ids of refresh tokens are stored. Who presents one that was
used already holds a copy: the whole account is signed out, the thief with it.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.http import HttpRequest
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import datetime_from_epoch

from labportal.accounts import signals
from labportal.accounts.models import RefreshGrant, User
from labportal.accounts.services import sessions
from labportal.common import clock
from labportal.common.errors import DomainError

EPOCH_CLAIM = "epoch"
FAMILY_CLAIM = "family"


class PortalRefreshToken(Token):
    token_type = "refresh"  # noqa: S105 - the name of a kind of token
    lifetime = api_settings.REFRESH_TOKEN_LIFETIME


class SignInAgain(DomainError):
    """The refresh token is missing, expired, revoked, or was used before."""

    def __init__(self) -> None:
        super().__init__("Your sign-in has ended. Sign in again.", code="sign-in-again", status=401)


@dataclass(frozen=True, slots=True)
class TokenPair:
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime


def issue(user: User, *, request: HttpRequest) -> TokenPair:
    """Give a freshly signed-in program its first pair of tokens."""
    return _pair(user, family=uuid.uuid4(), request=request)


def rotate(raw: str, *, request: HttpRequest) -> TokenPair:
    """Exchange a refresh token for the next pair.

    The row's lock tells two requests with the same token apart: the second one is a reuse.
    """
    user_pair, thief_of = _rotate_or_detect(raw, request=request)
    if thief_of is not None:
        sessions.end_all(thief_of)
        signals.acted.send(
            sender=User,
            actor=thief_of,
            verb="token.reused",
            target=f"user:{thief_of.pk}",
            detail={"ip": sessions.address_of(request)},
        )
    if user_pair is None:
        raise SignInAgain
    return user_pair


def end(raw: str) -> None:
    """Revoke the family of a refresh token at sign-out; an invalid one has nothing to end."""
    try:
        token = PortalRefreshToken(raw)
    except TokenError:
        return
    grant = RefreshGrant.objects.filter(jti=token["jti"]).select_related("user").first()
    if grant is None:
        return
    with transaction.atomic():
        RefreshGrant.objects.filter(family=grant.family, revoked_at=None).update(
            revoked_at=clock.now()
        )
        signals.acted.send(
            sender=User,
            actor=grant.user,
            verb="user.sign-out",
            target=f"user:{grant.user_id}",
            detail={"by": "token"},
        )


def person_of(raw: str) -> tuple[User, datetime] | None:
    """Return whose access token this is, and when it ends; None if it does not count (any more)."""
    try:
        token = AccessToken(raw)
        user = User.objects.filter(pk=int(token[api_settings.USER_ID_CLAIM])).first()
    except (TokenError, KeyError, ValueError):
        return None
    if user is None or not user.is_active or token.get(EPOCH_CLAIM) != user.sign_out_epoch:
        return None
    return user, datetime_from_epoch(token["exp"])


def purge_expired() -> int:
    """Forget grants that have expired; the sweep of sessions calls this daily."""
    deleted, _ = RefreshGrant.objects.filter(expires_at__lt=clock.now()).delete()
    return deleted


def _rotate_or_detect(raw: str, *, request: HttpRequest) -> tuple[TokenPair | None, User | None]:
    """Return the next pair, or the person whose token somebody presents a second time."""
    try:
        token = PortalRefreshToken(raw)
    except TokenError:
        return None, None
    with transaction.atomic():
        grant = (
            RefreshGrant.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(jti=token["jti"])
            .first()
        )
        if grant is None or grant.expires_at <= clock.now():
            return None, None
        user = grant.user
        if grant.revoked_at is not None or token.get(EPOCH_CLAIM) != user.sign_out_epoch:
            return None, None
        if grant.used_at is not None:
            return None, user
        if not user.is_active:
            return None, None
        grant.used_at = clock.now()
        grant.save(update_fields=["used_at"])
        return _pair(user, family=grant.family, request=request), None


def _pair(user: User, *, family: uuid.UUID, request: HttpRequest) -> TokenPair:
    refresh = PortalRefreshToken()
    access = AccessToken()
    for token in (refresh, access):
        token[api_settings.USER_ID_CLAIM] = str(user.pk)
        token[EPOCH_CLAIM] = user.sign_out_epoch
    refresh[FAMILY_CLAIM] = family.hex
    User.objects.filter(pk=user.pk).update(last_seen_at=clock.now())
    RefreshGrant.objects.create(
        user=user,
        jti=refresh["jti"],
        family=family,
        expires_at=datetime_from_epoch(refresh["exp"]),
        ip_address=sessions.address_of(request) or None,
        user_agent=sessions.browser_of(request),
    )
    return TokenPair(
        access=str(access),
        refresh=str(refresh),
        expires_at=datetime_from_epoch(access["exp"]),
    )
