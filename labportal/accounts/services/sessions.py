"""Signed-in browsers and refresh grants: listed on the profile, revoked one by one or all."""

from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils.module_loading import import_string

from labportal.accounts import signals
from labportal.accounts.models import BrowserSession, RefreshGrant, User
from labportal.accounts.roles import Can, outranks, require
from labportal.common import clock
from labportal.common.errors import NotAllowed, NotFound


def session_store(key: str | None = None) -> SessionBase:
    """Open the session of that key in whichever engine the settings name."""
    return import_string(f"{settings.SESSION_ENGINE}.SessionStore")(key)


def address_of(request: HttpRequest) -> str:
    """The address that the request came from, as axes saw it (it knows the trusted proxies)."""
    return str(getattr(request, "axes_ip_address", None) or request.META.get("REMOTE_ADDR") or "")


def browser_of(request: HttpRequest) -> str:
    return str(request.META.get("HTTP_USER_AGENT", ""))[:255]


def begin(request: HttpRequest, *, user: User) -> None:
    """Note that this browser is signed in; safe to repeat."""
    if not request.session.session_key:
        return
    BrowserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "last_seen_at": clock.now(),
            "ip_address": address_of(request) or None,
            "user_agent": browser_of(request),
        },
    )


def forget(request: HttpRequest) -> None:
    key = request.session.session_key
    if key:
        BrowserSession.objects.filter(session_key=key).delete()


def revoke_browser(session_id: int, *, actor: User) -> None:
    """Sign one's own browser out, here or elsewhere."""
    row = BrowserSession.objects.filter(pk=session_id, user=actor).first()
    if row is None:
        raise NotFound("This browser is no longer signed in.", code="session-gone")
    with transaction.atomic():
        session_store().delete(row.session_key)
        row.delete()
        signals.acted.send(
            sender=User, actor=actor, verb="session.revoke", target=f"user:{actor.pk}", detail={}
        )


def revoke_grant(grant_id: int, *, actor: User) -> None:
    """Revoke one of one's own programs: the whole family of that refresh token."""
    grant = RefreshGrant.objects.filter(pk=grant_id, user=actor).first()
    if grant is None:
        raise NotFound("This token is no longer known.", code="token-gone")
    with transaction.atomic():
        RefreshGrant.objects.filter(family=grant.family, revoked_at=None).update(
            revoked_at=clock.now()
        )
        signals.acted.send(
            sender=User, actor=actor, verb="token.revoke", target=f"user:{actor.pk}", detail={}
        )


def sign_out_everywhere(user: User, *, actor: User) -> User:
    """End every session and token of `user`. Anyone may for themselves, admins for everyone."""
    if user.pk != actor.pk:
        require(actor, Can.REVOKE_TOKENS)
        if not outranks(actor, user):
            raise NotAllowed("You may not sign this person out.", code="rank")
    end_all(user)
    signals.acted.send(
        sender=User,
        actor=actor,
        verb="user.sign-out-everywhere",
        target=f"user:{user.pk}",
        detail={"username": user.username},
    )
    return user


def end_all(user: User) -> None:
    """Raise the epoch, which sessions and tokens carry, and drop what was listed."""
    with transaction.atomic():
        User.objects.filter(pk=user.pk).update(sign_out_epoch=F("sign_out_epoch") + 1)
        user.refresh_from_db(fields=["sign_out_epoch"])
        keys = list(user.browser_sessions.values_list("session_key", flat=True))
        for key in keys:
            session_store().delete(key)
        user.browser_sessions.all().delete()
        user.refresh_grants.filter(revoked_at=None).update(revoked_at=clock.now())


def purge_gone() -> int:
    """Forget browsers whose session has expired; one that was seen lately is not asked about."""
    before = clock.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    deleted, _ = BrowserSession.objects.filter(last_seen_at__lt=before).delete()
    return deleted
