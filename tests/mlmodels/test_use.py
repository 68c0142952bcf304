"""How much a model is called and how quickly it answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse

from labportal.common.clock import now
from mlmodels.models import Invocation, RegisteredModel
from mlmodels.selectors import use
from tests.calculations.test_pages import as_person, page
from tests.mlmodels.factories import registered, version

pytestmark = pytest.mark.django_db
HOUR = use.SPANS["hour"]


@pytest.fixture
def model(ada: Any) -> RegisteredModel:
    found = registered(ada, "gait")
    version(found)
    return found


def called(model: RegisteredModel, by: Any, *, ago_s: float = 90, **values: Any) -> Invocation:
    given = {"ms": 10.0, "status": 200, "bytes_in": 100, "bytes_out": 50, **values}
    given.setdefault("version", model.versions.first())
    moment = given.pop("at", None) or now() - timedelta(seconds=ago_s)
    return Invocation.objects.create(model=model, user=by, at=moment, **given)


def test_times_are_those_of_good_answers_alone(model: Any, ada: Any) -> None:
    for ms in (10, 20, 30):
        called(model, ada, ms=ms)
    called(model, ada, ms=9000, status=504, error="no-answer")
    found = use.total(model, HOUR)
    assert (found.calls, found.failed, found.failed_percent) == (4, 1, 25.0)
    assert (found.p50_ms, found.p95_ms) == (20, 29)
    assert (found.bytes_in, found.bytes_out) == (400, 200)


def test_what_is_older_or_of_another_model_does_not_count(model: Any, ada: Any) -> None:
    called(model, ada, ago_s=3700)
    called(registered(ada, "other"), ada, version=None)
    assert use.total(model, HOUR) == use.NO_USE
    assert use.total(model, use.SPANS["day"]).calls == 1


def test_use_is_told_by_person_and_by_version(model: Any, ada: Any, max: Any) -> None:
    called(model, ada)
    called(model, max)
    called(model, max, version=version(model))
    called(model, max, version=None, status=503, error="stopped")
    people = use.by_person(model, HOUR)
    assert [(person.username, one.calls, one.failed) for person, one in people] == [
        ("max", 3, 1),
        ("ada", 1, 0),
    ]
    assert [(one.version, one.calls) for one in use.by_version(model, HOUR)] == [
        (2, 1),
        (1, 2),
        (None, 1),
    ]


def test_failures_say_who_refused(model: Any, ada: Any) -> None:
    called(model, ada, status=503, error="stopped")
    called(model, ada, status=503, error="stopped")
    called(model, ada, status=500)
    called(model, ada, status=499, error="caller-gone")
    found = [(one.status, one.error, one.calls, one.words) for one in use.failures(model, HOUR)]
    assert found == [
        (503, "stopped", 2, "Service Unavailable"),
        (499, "caller-gone", 1, "The caller left"),
        (500, "", 1, "Internal Server Error"),
    ]


def test_a_chart_has_a_point_for_each_bucket(model: Any, ada: Any) -> None:
    moment = datetime.fromisoformat("2026-11-21T12:30:30+00:00")
    for _ in range(3):
        called(model, ada, at=moment - timedelta(seconds=90))
    called(model, ada, at=moment - timedelta(seconds=90), status=500)
    rate = use.chart_document(model, use.CHARTS["rate"], HOUR, moment)
    assert len(rate["x"]) == 60
    assert rate["x"][-1] == moment.timestamp()
    assert rate["series"][0]["y"][-4:] == [0.0, 3.0, 0.0, 0.0]
    assert rate["series"][1]["y"][-3] == 1.0
    latency = use.chart_document(model, use.CHARTS["latency"], HOUR, moment)
    assert latency["series"][1]["y"][-4:] == [None, 10.0, None, None]


def test_the_page_shows_who_called_and_what_failed(model: Any, ada: Any) -> None:
    called(model, ada, status=503, error="stopped")
    text = page(as_person(ada), "model-detail", "gait", "use", range="hour")
    assert "the portal: stopped" in text
    assert "By person" in text
    chart = as_person(ada).get(reverse("model-chart", args=["gait", "rate"]), {"range": "hour"})
    assert chart.json()["series"][1]["label"] == "failed"


def test_without_calls_the_page_says_so(model: Any, ada: Any) -> None:
    assert "Nobody called it in this time." in page(as_person(ada), "model-detail", "gait", "use")


def test_a_time_or_a_chart_that_is_not_known_is_refused(model: Any, ada: Any) -> None:
    client = as_person(ada)
    url = reverse("model-detail", args=["gait", "use"])
    assert client.get(url, {"range": "aeon"}).status_code == 400
    assert client.get(reverse("model-chart", args=["gait", "colour"])).status_code == 404


def test_many_calls_cost_no_more_queries(
    model: Any, ada: Any, max: Any, django_assert_max_num_queries: Any
) -> None:
    for person in (ada, max):
        for status in (200, 404, 500, 503):
            called(model, person, status=status, version=version(model))
    client = as_person(ada)
    page(client, "model-detail", "gait", "use")
    with django_assert_max_num_queries(22):
        page(client, "model-detail", "gait", "use")
