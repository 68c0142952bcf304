"""What happens around every page: a request id, the person's time zone, refusals shown as pages.

Named in settings.MIDDLEWARE. An error page must come out even when the database is gone.
"""

import logging
import re
import sys
import time
import uuid
import zoneinfo
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.utils import timezone
from django.utils.html import format_html

from labportal.common import metrics
from labportal.common.errors import DomainError, NotAllowed, NotFound
from labportal.common.logs import request_id
from labportal.common.problems import domain_error_of, problem_response, wants_problem

log = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]
ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
LAST_RESORT = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
    "<h1>{title}</h1><p>{message}</p><p><a href='/'>To the dashboard</a></p></html>"
)


class RequestIdMiddleware:
    """Takes over the proxy's X-Request-ID or makes one, answers with it, and counts the request."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        chosen = given if ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        request.id = chosen
        # Left in place afterwards: Django logs a refusal when the middleware is done.
        request_id.set(chosen)
        began = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = chosen
        route = request.resolver_match.route if request.resolver_match else "other"
        metrics.observe_request(
            request.method or "", route, response.status_code, time.perf_counter() - began
        )
        return response


class TimeZoneMiddleware:
    """Shows times in the person's zone; an unknown zone is shown as UTC."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or wants_problem(request):
            return self.get_response(request)
        with timezone.override(self._zone(getattr(request.user, "time_zone", ""))):
            return self.get_response(request)

    @staticmethod
    def _zone(name: str) -> zoneinfo.ZoneInfo:
        try:
            return zoneinfo.ZoneInfo(name or "UTC")
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            return zoneinfo.ZoneInfo("UTC")


class DomainErrorMiddleware:
    """Shows a refusal that a page view raised, with its status and its reason."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        known = domain_error_of(exception)
        if known is None:
            return None
        if known.status >= 500:
            log.warning("%s: %s", known.code, exception)
        return error_response(request, known)


def error_response(request: HttpRequest, error: DomainError) -> HttpResponse:
    """Render error.html, or _error.html for htmx, or problem details for a program."""
    if wants_problem(request):
        return problem_response(error)
    template = "_error.html" if getattr(request, "htmx", False) else "error.html"
    context = {
        "status": error.status,
        "title": error.title,
        "message": error.message,
        "code": error.code,
        "errors": error.field_errors,
        "request_id": getattr(request, "id", ""),
    }
    try:
        body = loader.render_to_string(template, context, request)
    except Exception:
        log.warning("%s could not be rendered", template, exc_info=True)
        body = format_html(LAST_RESORT, title=error.title, message=error.message)
    return HttpResponse(body, status=error.status)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, NotFound())


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, NotAllowed())


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_response(request, DomainError("The request could not be understood."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return error_response(
        request,
        NotAllowed("This form is too old. Reload the page and send it again.", code="csrf"),
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer the unexpected; a database that is gone is named as such, wherever it was noticed."""
    error = sys.exc_info()[1]
    known = domain_error_of(error) if error else None
    return error_response(request, known or UnexpectedError())


class UnexpectedError(DomainError):
    status = 500
    title = "Something went wrong on our side"
    default_code = "internal"

    def __init__(self) -> None:
        super().__init__("The error was recorded. Please try again; nothing half-done was kept.")
