"""The tab Use: charts, who calls, what is not answered well."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from labportal.common.clock import now
from mlmodels.models import RegisteredModel
from tests.calculations.test_pages import as_person, page
from tests.mlmodels.factories import called, registered, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(ada: Any) -> RegisteredModel:
    found = registered(ada, "gait")
    version(found)
    return found


def chart(by: Any, name: str, **query: Any) -> Any:
    return as_person(by).get(reverse("model-chart", args=["gait", name]), query)


def test_a_chart_draws_each_bucket_where_it_ends(model: Any, ada: Any) -> None:
    for status in (200, 200, 404, 503):
        called(model, ada, status=status)
    found = chart(ada, "rate", range="hour").json()
    assert len(found["x"]) == 60
    assert 0 <= now().timestamp() - found["x"][-1] < 60
    sums = {line["label"]: round(sum(line["y"]), 6) for line in found["series"]}
    assert sums == {"all": 4, "refused": 1, "failed": 1}
    times = chart(ada, "latency", range="hour").json()
    assert [y for y in times["series"][0]["y"] if y is not None] == [10.0]


def test_a_chart_without_calls_has_no_points(model: Any, ada: Any) -> None:
    called(model, ada, ago_s=7200)
    assert chart(ada, "rate", range="hour").json()["x"] == []


def test_the_page_shows_who_called_and_what_was_refused(model: Any, ada: Any, max: Any) -> None:
    called(model, ada, status=503, error="stopped")
    called(model, max, version=None, status=499, error="caller-gone")
    text = page(as_person(ada), "model-detail", "gait", "use", range="hour")
    assert "the portal: stopped" in text
    assert "499 The caller left" in text
    assert "none was reached" in text
    assert f'<td class="lead">{max.display_name}</td>' in text


def test_who_else_calls_is_not_for_everybody(model: Any, ada: Any, eve: Any) -> None:
    called(model, ada)
    text = page(as_person(eve), "model-detail", "gait", "use", range="hour")
    assert "moderators and its owner see" in text
    assert f'<td class="lead">{ada.display_name}</td>' not in text


def test_without_calls_the_page_says_so(model: Any, ada: Any) -> None:
    assert "Nobody called it in this time." in page(as_person(ada), "model-detail", "gait", "use")


def test_a_time_or_a_chart_that_is_not_known_is_refused(model: Any, ada: Any) -> None:
    url = reverse("model-detail", args=["gait", "use"])
    assert as_person(ada).get(url, {"range": "aeon"}).status_code == 400
    assert chart(ada, "rate", range="aeon").status_code == 400
    assert chart(ada, "colour").status_code == 404


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
