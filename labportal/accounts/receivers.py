"""Keeps the list of signed-in browsers and tells the audit of sign-ins, sign-outs and lock-outs.

Connected by AccountsConfig.ready(). It answers Django's and axes' signals and nobody calls it.
"""

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from labportal.accounts import signals
from labportal.accounts.models import User
from labportal.accounts.services import sessions


@receiver(user_logged_in)
def note_sign_in(request: HttpRequest, user: User, **kwargs: Any) -> None:
    by_token = getattr(request, "signs_in_by_token", False)
    if not by_token:
        sessions.begin(request, user=user)
    signals.acted.send(
        sender=User,
        actor=user,
        verb="user.sign-in",
        target=f"user:{user.pk}",
        detail={"by": "token" if by_token else "page", "ip": sessions.address_of(request)},
    )


@receiver(user_logged_out)
def note_sign_out(request: HttpRequest, user: User | None, **kwargs: Any) -> None:
    if user is None:
        return
    sessions.forget(request)
    signals.acted.send(
        sender=User, actor=user, verb="user.sign-out", target=f"user:{user.pk}", detail={}
    )


@receiver(user_locked_out)
def note_lock_out(request: HttpRequest, username: str, ip_address: str, **kwargs: Any) -> None:
    """Record the beginning of a lock; axes signals each refused try as well, but counts none."""
    if getattr(request, "axes_failures_since_start", None) is None:
        return
    signals.acted.send(
        sender=User,
        actor=None,
        verb="user.lock-out",
        target=f"username:{(username or '')[:150]}",
        detail={"ip": ip_address or ""},
    )
