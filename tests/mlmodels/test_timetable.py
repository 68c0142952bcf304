"""When models sleep, and what the schedule does about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labportal.common.errors import InvalidInput
from mlmodels.models import RegisteredModel
from mlmodels.services import models, operation, schedules
from mlmodels.timetable import Timetable, checked
from tests.mlmodels import factories

NIGHTLY = {
    "stop_at": "20:00",
    "start_at": "07:00",
    "days": [0, 1, 2, 3, 4],
    "time_zone": "Europe/Berlin",
}
FRIDAY_EVENING = datetime(2026, 11, 20, 19, tzinfo=UTC)  # 20:00 in Berlin


def read(**changes: Any) -> Timetable:
    found = Timetable.read({**NIGHTLY, **changes})
    assert found is not None
    return found


def test_an_evening_stops_and_a_morning_starts() -> None:
    edge = read().last(FRIDAY_EVENING)
    assert (edge.at, edge.starts) == (FRIDAY_EVENING, False)
    edge = read().last(FRIDAY_EVENING - timedelta(seconds=1))
    assert (edge.at, edge.starts) == (datetime(2026, 11, 20, 6, tzinfo=UTC), True)


def test_a_weekend_is_slept_through() -> None:
    monday = datetime(2026, 11, 23, 6, tzinfo=UTC)
    assert read().next(FRIDAY_EVENING, starts=True) == monday
    assert not read().last(monday - timedelta(minutes=1)).starts


def test_a_night_shift_starts_in_the_evening() -> None:
    timetable = read(stop_at="07:00", start_at="20:00")
    assert timetable.last(FRIDAY_EVENING).starts
    assert not timetable.last(FRIDAY_EVENING + timedelta(hours=12)).starts


def test_the_time_of_the_clock_counts_in_summer_and_winter() -> None:
    before, after = datetime(2026, 10, 23, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC)
    assert read().last(before).at == datetime(2026, 10, 23, 5, tzinfo=UTC)
    assert read().last(after).at == datetime(2026, 10, 26, 6, tzinfo=UTC)


MINUTES = st.integers(0, 24 * 60 - 1).map(lambda m: f"{m // 60:02}:{m % 60:02}")


@given(
    st.tuples(MINUTES, MINUTES).filter(lambda pair: pair[0] != pair[1]),
    st.sets(st.integers(0, 6), min_size=1),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Asia/Kathmandu"]),
    st.datetimes(datetime(2011, 1, 1), datetime(2040, 1, 1)),
)
def test_every_moment_lies_between_two_edges(
    times: tuple[str, str], days: set[int], zone: str, moment: datetime
) -> None:
    stop_at, start_at = times
    moment = moment.replace(tzinfo=UTC)
    timetable = read(stop_at=stop_at, start_at=start_at, days=sorted(days), time_zone=zone)
    last = timetable.last(moment)
    later = min(timetable.next(moment, starts=starts) for starts in (True, False))
    assert moment - timedelta(hours=49) < last.at <= moment < later
    assert timetable.last(later - timedelta(microseconds=1)) == last
    assert Timetable.read(timetable.to_json()) == timetable


@pytest.mark.parametrize(
    "changes",
    [
        {"stop_at": "24:00"},
        {"start_at": None},
        {"start_at": "20:00"},
        {"days": []},
        {"days": [7]},
        {"days": "Monday"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../etc/passwd"},
        {"time_zone": 1},
    ],
)
def test_what_is_no_schedule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refusal:
        checked({**NIGHTLY, **changes})
    assert refusal.value.errors.keys() == {"schedule"}


def test_no_schedule_is_one(ada: Any) -> None:
    assert checked({}) == {}
    assert models.register(name="echo", actor=ada, schedule=None).schedule == {}
    with pytest.raises(InvalidInput):
        checked(["20:00"])


@pytest.fixture
def model(ada: Any) -> RegisteredModel:
    """Ready on a Friday at noon."""
    model = factories.running(ada).version.model
    models.update(model, actor=ada, schedule=NIGHTLY)
    model.schedule_seen_at = FRIDAY_EVENING - timedelta(hours=8)
    model.save()
    return model


@pytest.fixture
def at(monkeypatch: Any) -> Any:
    """Keep the schedules at a moment."""

    def keep(moment: datetime) -> int:
        monkeypatch.setattr(schedules, "now", lambda: moment)
        return schedules.keep_schedules()

    return keep


MONDAY = datetime(2026, 11, 23, 6, 0, 20, tzinfo=UTC)


def test_a_model_is_put_to_sleep_and_woken(model: RegisteredModel, at: Any) -> None:
    assert at(FRIDAY_EVENING - timedelta(minutes=1)) == 0
    assert at(FRIDAY_EVENING) == 1
    model.refresh_from_db()
    assert (model.desired, model.asleep) == ("stopped", True)
    event = model.events.get(verb="stop")
    assert (event.actor_label, event.note) == ("schedule", "until Monday 07:00 (Europe/Berlin)")
    assert at(FRIDAY_EVENING + timedelta(hours=20)) == 0
    assert at(MONDAY) == 1
    model.refresh_from_db()
    assert (model.desired, model.asleep) == ("running", False)


def test_an_edge_that_was_missed_is_made_up_for(model: RegisteredModel, at: Any) -> None:
    assert at(FRIDAY_EVENING + timedelta(hours=30)) == 1
    model.refresh_from_db()
    assert model.asleep


def test_who_works_at_night_starts_it_till_the_next_evening(
    model: RegisteredModel, at: Any, ada: Any
) -> None:
    at(FRIDAY_EVENING)
    operation.start(model, actor=ada)
    assert at(FRIDAY_EVENING + timedelta(hours=3)) == 0
    assert model.desired == "running"
    assert at(FRIDAY_EVENING + timedelta(hours=24)) == 1


def test_what_a_person_stopped_is_not_woken(model: RegisteredModel, at: Any, ada: Any) -> None:
    at(FRIDAY_EVENING)
    operation.stop(model, actor=ada)
    assert at(MONDAY) == 0
    model.refresh_from_db()
    assert (model.desired, model.asleep) == ("stopped", False)


def test_a_schedule_that_is_taken_away_wakes_nobody(
    model: RegisteredModel, at: Any, ada: Any
) -> None:
    at(FRIDAY_EVENING)
    model.refresh_from_db()
    models.update(model, actor=ada, schedule={})
    assert at(MONDAY) == 0
    assert not model.asleep
