"""Notes when a signed-in browser was last seen, at most once a minute per session.

Named in settings.MIDDLEWARE after authentication.
"""

from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from labportal.accounts.models import BrowserSession, User
from labportal.accounts.services import sessions
from labportal.common import clock

RESOLUTION_S = 60


class PresenceMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME in request.COOKIES and request.user.is_authenticated:
            self._note(request)
        return self.get_response(request)

    @staticmethod
    def _note(request: HttpRequest) -> None:
        if not cache.add(f"seen:{request.session.session_key}", True, RESOLUTION_S):
            return
        now = clock.now()
        User.objects.filter(pk=request.user.pk).update(last_seen_at=now)
        changed = BrowserSession.objects.filter(session_key=request.session.session_key).update(
            last_seen_at=now
        )
        if not changed:
            sessions.begin(request, user=request.user)
