"""Operators' questions: alive, ready, and the figures, which are not for everybody."""

from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from labportal.common import health, metrics, wake


def test_a_living_process_says_ok(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_everything_there_is_ready(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "ready": True,
        "parts": {"database": "ok", "redis": "ok", "migrations": "ok"},
    }


@pytest.mark.django_db
def test_a_part_that_is_missing_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OperationalError("password=hush")

    monkeypatch.setitem(health.CHECKS, "database", fail)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["parts"]["database"] == "does not answer"
    assert b"hush" not in response.content


@pytest.mark.parametrize(
    ("token", "headers", "address", "status"),
    [
        ("", {}, "127.0.0.1", 200),
        ("", {}, "::1", 200),
        ("", {}, "10.0.0.7", 403),
        ("", {"x-forwarded-for": "10.0.0.7"}, "127.0.0.1", 403),
        ("t0ken", {}, "127.0.0.1", 403),
        ("t0ken", {"authorization": "Bearer t0ken"}, "10.0.0.7", 200),
        ("t0ken", {"authorization": "Bearer other"}, "10.0.0.7", 403),
        ("t0ken", {"authorization": "Basic t0ken"}, "10.0.0.7", 403),
    ],
)
def test_figures_are_for_this_machine_or_the_token(
    client: Client,
    settings: Any,
    token: str,
    headers: dict[str, str],
    address: str,
    status: int,
) -> None:
    settings.METRICS_TOKEN = token
    response = client.get("/metrics", headers=headers, REMOTE_ADDR=address)
    assert response.status_code == status
    assert (b"labportal_requests_total" in response.content) == (status == 200)


@pytest.mark.django_db
def test_requests_and_what_waits_are_counted(client: Client, settings: Any) -> None:
    wake.redis_client().rpush(settings.CELERY_TASK_DEFAULT_QUEUE, "a", "b")
    client.get("/healthz")
    text = client.get("/metrics").content.decode()
    assert 'labportal_requests_total{method="GET",route="healthz",status="200"}' in text
    assert "labportal_tasks_waiting 2.0" in text
    assert "labportal_runs_queued 0.0" in text


def test_a_gauge_that_fails_is_left_out(client: Client) -> None:
    def fail() -> float:
        raise RuntimeError

    metrics.register_gauge("labportal_test_gauge", "a test", fail)
    response = client.get("/metrics")
    assert response.status_code == 200
    assert b"labportal_test_gauge" not in response.content


def test_an_invented_method_is_no_label(client: Client) -> None:
    client.generic("BREW", "/healthz")
    assert 'method="BREW"' not in client.get("/metrics").content.decode()


@pytest.mark.parametrize(
    ("sent", "kept"), [("abcdef-123456", True), ("short", False), ("x\ny" * 9, False)]
)
def test_a_request_keeps_an_acceptable_id(client: Client, sent: str, kept: bool) -> None:
    response = client.get("/healthz", headers={"x-request-id": sent})
    assert (response["X-Request-ID"] == sent) == kept
    assert len(response["X-Request-ID"]) >= 8
