"""Calls the REST interface as a person, and checks the shape of what it refuses."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from calculations.models import Calculation

LIST = "/api/v1/calculations/"


def api(person: Any = None) -> APIClient:
    client = APIClient()
    if person is not None:
        client.force_authenticate(person)
    return client


def at(calculation: Calculation, verb: str = "") -> str:
    return f"{LIST}{calculation.pk}/{verb}{'/' if verb else ''}"


def problem(answer: Any, status: int, code: str = "", **errors: str) -> dict[str, Any]:
    """Assert that it is a problem document; `errors` are words that a field's text holds."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"] == "about:blank"
    assert document["title"] and document["detail"]
    assert not code or document["code"] == code
    assert set(document["errors"]) == {name.replace("__", ".") for name in errors}
    for name, words in errors.items():
        assert words in " ".join(document["errors"][name.replace("__", ".")])
    return document
