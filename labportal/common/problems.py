"""Answers to failed API calls as problem details (RFC 9457); settings name it as DRF's handler.

It never shows an unexpected exception's text: that goes to the log, with the request's id.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from labportal.common.database import is_lost
from labportal.common.errors import DomainError, NotAllowed, NotFound, TooLarge, Unavailable

CONTENT_TYPE = "application/problem+json"
GENERAL = "non_field_errors"


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    code: str,
    errors: Mapping[str, list[str]] | None = None,
    **extra: Any,
) -> dict[str, Any]:
    """Build the document; `extra` are members of its own, as RFC 9457 allows."""
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": dict(errors or {}),
        **extra,
    }


def problem_of(error: DomainError) -> dict[str, Any]:
    return problem(
        error.status, error.title, error.message, code=error.code, errors=error.field_errors
    )


def domain_error_of(error: BaseException) -> DomainError | None:
    """Translate what Django and the database raise into our words; None for the unexpected."""
    match error:
        case DomainError():
            return error
        case Http404():
            return NotFound()
        case PermissionDenied():
            return NotAllowed()
        case RequestDataTooBig():
            return TooLarge("The request is larger than the portal takes.")
        case Exception() if is_lost(error):
            return Unavailable(
                "The database does not answer. Try again in a moment.", code="database"
            )
    return None


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, exceptions.APIException):
        body, headers = _of_framework(error)
    elif known := domain_error_of(error):
        body, headers = problem_of(known), _headers(known)
    else:
        return None
    set_rollback()
    return Response(body, status=body["status"], headers=headers, content_type=CONTENT_TYPE)


def problem_response(error: DomainError) -> JsonResponse:
    """The same answer outside DRF."""
    return JsonResponse(
        problem_of(error), status=error.status, headers=_headers(error), content_type=CONTENT_TYPE
    )


def wants_problem(request: HttpRequest) -> bool:
    """Whether the caller is a program rather than a browser that shows a page."""
    return request.path.startswith("/api/")


def _headers(error: DomainError) -> dict[str, str]:
    return {"Retry-After": "5"} if error.status == HTTPStatus.SERVICE_UNAVAILABLE else {}


def _of_framework(error: exceptions.APIException) -> tuple[dict[str, Any], dict[str, str]]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait))
    title = HTTPStatus(error.status_code).phrase
    if isinstance(error, exceptions.ValidationError):
        errors = dict(_flat(error.detail))
        detail = " ".join(text for texts in errors.values() for text in texts)
        return problem(error.status_code, title, detail, code="invalid", errors=errors), headers
    detail = error.detail
    if isinstance(detail, dict):  # simplejwt: {"detail", "code", "messages"}
        detail, code = detail.get("detail", title), detail.get("code", error.default_code)
    else:
        code = getattr(detail, "code", None) or error.default_code
    code = str(code).replace("_", "-")
    return problem(error.status_code, title, str(detail), code=code), headers


def _flat(detail: Any, name: str = "") -> list[tuple[str, list[str]]]:
    """Flatten nested validation errors: {"sweep": {"values": [...]}} becomes "sweep.values"."""
    if isinstance(detail, Mapping):
        return [
            entry
            for key, value in detail.items()
            for entry in _flat(value, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(detail, list) and any(isinstance(entry, Mapping | list) for entry in detail):
        return [
            entry for index, value in enumerate(detail) for entry in _flat(value, f"{name}.{index}")
        ]
    texts = detail if isinstance(detail, list) else [detail]
    return [(name or GENERAL, [str(text) for text in texts])] if texts else []
