"""How much a model is called and how quickly it answers."""

from __future__ import annotations

from typing import Any

import pytest

from labportal.common.clock import now
from mlmodels.models import Invocation, RegisteredModel
from mlmodels.selectors import use
from mlmodels.services import metered
from tests.mlmodels.factories import called, registered, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def model(ada: Any) -> RegisteredModel:
    found = registered(ada, "gait")
    version(found)
    return found


def test_times_are_those_of_good_answers_alone(model: Any, ada: Any) -> None:
    for ms in (10, 20, 30):
        called(model, ada, ms=ms)
    called(model, ada, ms=9000, status=504, error="no-answer")
    called(model, ada, ms=1, status=415, error="unsupported-type")
    found = use.total(model, use.window("hour"))
    assert (found.calls, found.good, found.refused, found.failed) == (5, 3, 1, 1)
    assert (found.p50_ms, found.p95_ms) == (20, 29)
    assert (found.bytes_in, found.bytes_out) == (500, 250)


def test_what_is_older_or_of_another_model_does_not_count(model: Any, ada: Any) -> None:
    called(model, ada, ago_s=3700)
    called(registered(ada, "other"), ada, version=None)
    assert use.total(model, use.window("hour")) == use.Use()
    assert use.total(model, use.window("day")).calls == 1


def test_use_is_told_by_person_and_by_version(model: Any, ada: Any, max: Any) -> None:
    called(model, ada)
    called(model, max)
    called(model, max, version=version(model))
    called(model, max, version=None, status=503, error="stopped")
    within = use.window("hour")
    people = use.by_person(model, within, viewer=max)
    assert [(person.username, one.calls, one.failed) for person, one in people] == [
        ("max", 3, 1),
        ("ada", 1, 0),
    ]
    versions = [(number, one.calls) for number, one in use.by_version(model, within)]
    assert versions == [(2, 1), (1, 2), (None, 1)]


def test_who_may_not_see_what_others_use_sees_themselves(model: Any, ada: Any, eve: Any) -> None:
    called(model, ada)
    called(model, eve)
    within = use.window("hour")
    assert [p.username for p, _ in use.by_person(model, within, viewer=eve)] == ["eve"]
    assert len(use.by_person(model, within, viewer=ada)) == 2


def test_what_was_not_answered_well_is_told_by_its_reason(model: Any, ada: Any) -> None:
    called(model, ada)
    called(model, ada, status=503, error="stopped")
    called(model, ada, status=503, error="stopped")
    called(model, ada, status=500)
    assert use.by_error(model, use.window("hour")) == [(503, "stopped", 2), (500, "", 1)]


def test_calls_of_long_ago_are_forgotten(model: Any, ada: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(metered, "FORGOTTEN_AT_ONCE", 2)
    for days in (401, 402, 403, 399, 1):
        called(model, ada, ago_s=days * 86_400)
    assert metered.forget_old() == 3
    ages = [(now() - one.at).days for one in Invocation.objects.order_by("at")]
    assert ages == [399, 1]


def test_a_series_has_a_value_for_each_minute(model: Any, ada: Any, max: Any) -> None:
    for status in (200, 200, 500):
        called(model, ada, status=status)
    called(model, max)
    within = use.window("hour")
    found = use.series(model, within)
    assert len(found.x) == len(found.per_minute) == 60
    assert found.x[0] == within.since.timestamp()
    assert sum(found.per_minute) == 4
    assert sum(found.failed_per_minute) == 1
    assert [ms for ms in found.p95_ms if ms is not None] == [10.0]
    assert sum(use.series(model, within, user=max).per_minute) == 1
