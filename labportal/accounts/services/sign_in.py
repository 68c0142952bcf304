"""Checks a name and a password, for the page and for the API. The same sentence whatever was wrong.

django-axes counts the failures by name and address; locked out, the answer says until when.
"""

from datetime import datetime, timedelta

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off, get_failure_limit
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.http import HttpRequest
from django.utils import timezone

from labportal.accounts.models import User
from labportal.common import clock
from labportal.common.errors import DomainError

WRONG = "This name and password do not belong together, or the account is blocked."


class WrongCredentials(DomainError):
    def __init__(self) -> None:
        super().__init__(WRONG, code="wrong-credentials", status=401)


class LockedOut(DomainError):
    """Too many failures; `until` is when the next try counts again."""

    def __init__(self, until: datetime) -> None:
        self.until = until
        local = timezone.localtime(until)
        super().__init__(
            f"Too many tries. Signing in is locked until {local:%H:%M:%S %Z}.",
            code="locked-out",
            status=429,
        )


def check(request: HttpRequest, *, username: str, password: str) -> User:
    """Return the person, or raise WrongCredentials or LockedOut.

    `request` is Django's own, not the REST framework's: axes marks it.
    """
    name = username.strip().lower()
    user = authenticate(request, username=name, password=password)
    locked = getattr(request, "axes_locked_out", False)
    # The middleware of axes would put a page of its own in the place of ours.
    request.axes_locked_out = False
    if isinstance(user, User):
        return user
    if locked:
        raise LockedOut(locked_until(request, name))
    raise WrongCredentials


def locked_until(request: HttpRequest, username: str) -> datetime:
    """Return when so many of the recent failures are over that the limit is not reached."""
    AxesProxyHandler.update_request(request)
    cool_off = get_cool_off(request) or timedelta()
    limit = get_failure_limit(request, {"username": username})
    attempts = list(
        AccessAttempt.objects.filter(
            username=username,
            ip_address=request.axes_ip_address,
            attempt_time__gt=clock.now() - cool_off,
        ).order_by("attempt_time")
    )
    failures = sum(attempt.failures_since_start for attempt in attempts)
    for attempt in attempts:
        failures -= attempt.failures_since_start
        if failures < limit:
            return attempt.attempt_time + cool_off
    return clock.now()
