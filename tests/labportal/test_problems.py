"""A refusal becomes problem details for programs, and a page for people."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest
from django.test import RequestFactory
from rest_framework import exceptions
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from labportal.common import middleware
from labportal.common.errors import (
    DomainError,
    InvalidInput,
    NotAllowed,
    NotFound,
    Stale,
    TooLarge,
    Unavailable,
    WrongMoment,
)
from labportal.common.middleware import DomainErrorMiddleware
from labportal.common.problems import CONTENT_TYPE

OPEN: dict[str, Any] = {"authentication_classes": [], "permission_classes": []}


def answer(error: Exception) -> tuple[int, dict[str, Any], Any]:
    def get(self: APIView, request: Any) -> None:
        raise error

    view = type("View", (APIView,), {"get": get, **OPEN}).as_view()
    response = view(APIRequestFactory().get("/api/v1/x/"))
    response.render()
    assert response["Content-Type"] == CONTENT_TYPE
    return response.status_code, json.loads(response.content), response


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInput("Not so."), 400, "invalid"),
        (NotAllowed(), 403, "not-allowed"),
        (NotFound(), 404, "not-found"),
        (WrongMoment("It runs."), 409, "wrong-moment"),
        (Stale(), 409, "stale"),
        (TooLarge(), 413, "too-large"),
        (Unavailable(), 503, "unavailable"),
        (DomainError("Gone.", code="gone", status=410), 410, "gone"),
        (Http404("no /srv/secret"), 404, "not-found"),
        (PermissionDenied("no /srv/secret"), 403, "not-allowed"),
        (OperationalError("password=hush"), 503, "database"),
        (exceptions.NotAuthenticated(), 403, "not-authenticated"),
        (exceptions.MethodNotAllowed("PUT"), 405, "method-not-allowed"),
    ],
)
def test_each_refusal_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    found, body, response = answer(error)
    assert (found, body["status"], body["code"]) == (status, status, code)
    assert body["title"] and body["detail"]
    assert set(body) == {"type", "title", "status", "detail", "code", "errors"}
    assert "hush" not in str(body) and "/srv" not in str(body)
    assert ("Retry-After" in response) == (status == 503)


def test_field_errors_stand_beside_their_fields() -> None:
    _, body, _ = answer(InvalidInput(errors={"cutoff": "Too low.", "name": "Missing."}))
    assert body["errors"] == {"cutoff": ["Too low."], "name": ["Missing."]}
    assert body["detail"] == "Too low. Missing."


def test_nested_validation_errors_are_flat() -> None:
    error = exceptions.ValidationError(
        {"sweep": {"values": ["Not a number."]}, "runs": [{}, {"name": ["Missing."]}]}
    )
    _, body, _ = answer(error)
    assert body["errors"] == {"sweep.values": ["Not a number."], "runs.1.name": ["Missing."]}


def test_a_plain_validation_error_belongs_to_no_field() -> None:
    assert answer(exceptions.ValidationError("No."))[1]["errors"] == {"non_field_errors": ["No."]}


def test_the_unexpected_is_not_explained_to_callers(rf: RequestFactory) -> None:
    try:
        raise ValueError("password=hush")
    except ValueError:
        response = middleware.server_error(rf.get("/api/v1/x/"))
    assert response.status_code == 500
    assert b"hush" not in response.content


def test_a_lost_database_is_named_wherever_it_was_noticed(rf: RequestFactory) -> None:
    try:
        raise OperationalError("host=secret")
    except OperationalError:
        response = middleware.server_error(rf.get("/calculations/"))
    assert response.status_code == 503
    assert b"database does not answer" in response.content
    assert b"secret" not in response.content


def request(rf: RequestFactory, path: str, *, htmx: bool = False) -> HttpRequest:
    made = rf.get(path)
    made.htmx = htmx
    made.id = "abcdefgh"
    return made


def refuse(made: HttpRequest, error: Exception) -> Any:
    return DomainErrorMiddleware(lambda r: None).process_exception(made, error)


def test_a_page_view_that_refuses_shows_why(rf: RequestFactory) -> None:
    response = refuse(request(rf, "/calculations/7/"), WrongMoment("It is <b>running</b>."))
    assert response.status_code == 409
    assert b"It is &lt;b&gt;running&lt;/b&gt;." in response.content
    assert b"<html" in response.content


def test_htmx_gets_a_part_of_a_page(rf: RequestFactory) -> None:
    response = refuse(request(rf, "/calculations/7/", htmx=True), WrongMoment("It runs."))
    assert response.status_code == 409
    assert b"It runs." in response.content
    assert b"<html" not in response.content


def test_the_unexpected_is_left_to_the_server_error(rf: RequestFactory) -> None:
    assert refuse(request(rf, "/"), ValueError()) is None


def test_an_error_page_comes_out_even_when_its_template_fails(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> str:
        raise OperationalError

    monkeypatch.setattr(middleware.loader, "render_to_string", fail)
    response = refuse(request(rf, "/"), NotFound("<nothing>"))
    assert response.status_code == 404
    assert b"&lt;nothing&gt;" in response.content
