"""Publishing after the commit: once per topic and transaction, nothing of what was rolled back."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction
from redis.exceptions import ConnectionError as RedisConnectionError

from labportal.common import wake
from labportal.realtime import events
from labportal.realtime.events import coalesce, publish

pytestmark = pytest.mark.django_db(transaction=True)

Sent = list[dict[str, list[dict[str, Any]]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """What goes to the channel layer: one entry per round trip, topic by topic."""
    calls: Sent = []

    def note(messages: dict[str, dict[str, Any]]) -> None:
        calls.append({message["topic"]: message["events"] for message in messages.values()})

    monkeypatch.setattr(events, "_send_messages", note)
    return calls


@pytest.fixture(autouse=True)
def _listening() -> Iterator[None]:
    events._silent_until = 0.0
    yield
    events._silent_until = 0.0


def test_a_transaction_sends_once_at_its_commit(sent: Sent) -> None:
    with transaction.atomic():
        publish("calculation:1", "run.changed", {"calculation": 1, "run": "a", "state": "queued"})
        publish("project:1", "calculation.changed", {"id": 1, "state": "queued"})
        publish("calculation:1", "run.changed", {"calculation": 1, "run": "b", "state": "queued"})
        assert sent == []
    assert len(sent) == 1
    assert [event["run"] for event in sent[0]["calculation:1"]] == ["a", "b"]
    assert sent[0]["project:1"] == [{"type": "calculation.changed", "id": 1, "state": "queued"}]


def test_a_thousand_events_are_one_message_per_topic(sent: Sent) -> None:
    with transaction.atomic():
        for number in range(1000):
            publish("logs", "log.lines", {"lines": [str(number)]})
    assert len(sent) == 1 and len(sent[0]["logs"]) == 1000


def test_the_latest_news_of_a_thing_makes_the_earlier_void(sent: Sent) -> None:
    with transaction.atomic():
        for state in ("queued", "running", "valid"):
            publish("project:1", "calculation.changed", {"id": 1, "state": state})
    assert sent[0]["project:1"] == [{"type": "calculation.changed", "id": 1, "state": "valid"}]


def test_what_is_rolled_back_is_not_told(sent: Sent) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish("logs", "log.lines", {"lines": ["a"]})
        _ = 1 / 0
    with transaction.atomic():
        publish("logs", "log.lines", {"lines": ["b"]})
    assert sent == [{"logs": [{"type": "log.lines", "lines": ["b"]}]}]


def test_a_savepoint_that_is_rolled_back_takes_its_events_along(sent: Sent) -> None:
    with transaction.atomic():
        publish("logs", "log.lines", {"lines": ["before"]})
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish("logs", "log.lines", {"lines": ["undone"]})
            with transaction.atomic():
                publish("logs", "log.lines", {"lines": ["undone too"]})
            _ = 1 / 0
        with transaction.atomic():
            publish("logs", "log.lines", {"lines": ["kept"]})
        publish("logs", "log.lines", {"lines": ["after"]})
    assert len(sent) == 1
    assert [event["lines"] for event in sent[0]["logs"]] == [["before"], ["kept"], ["after"]]


def test_outside_of_a_transaction_it_is_sent_at_once(sent: Sent) -> None:
    publish("cluster:1", "cluster.changed", {"id": 1})
    assert sent == [{"cluster:1": [{"type": "cluster.changed", "id": 1}]}]


def test_each_transaction_sends_its_own(sent: Sent) -> None:
    for number in range(2):
        with transaction.atomic():
            publish("cluster:1", "cluster.changed", {"id": number})
    assert len(sent) == 2


def test_payloads_may_hold_ids_and_times(sent: Sent) -> None:
    run, at = uuid.uuid4(), datetime(2026, 11, 21, 12, tzinfo=UTC)
    publish("cluster:1", "metrics", {"run": run, "at": at})
    assert sent[0]["cluster:1"] == [
        {"type": "metrics", "run": str(run), "at": "2026-11-21T12:00:00Z"}
    ]


def test_events_of_other_things_are_all_kept() -> None:
    given = [
        {"type": "run.progress", "calculation": 1, "run": "a", "done": 1},
        {"type": "log.lines", "lines": ["x"]},
        {"type": "run.progress", "calculation": 1, "run": "b", "done": 1},
        {"type": "log.lines", "lines": ["x"]},
        {"type": "run.progress", "calculation": 1, "run": "a", "done": 2},
    ]
    assert coalesce(given) == [given[1], given[2], given[3], given[4]]


def test_a_lost_redis_costs_nothing_and_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    class Lost:
        def pipeline(self, **_: Any) -> None:
            tries.append(1)
            raise RedisConnectionError

    monkeypatch.setattr(events, "redis_client", Lost)
    with transaction.atomic():
        publish("logs", "log.lines", {"lines": ["a"]})
    publish("logs", "log.lines", {"lines": ["b"]})
    assert len(tries) == 1
    assert "live events are lost" in caplog.text
    monkeypatch.setattr(events, "redis_client", wake.redis_client)
    events._silent_until = 0.0
    publish("logs", "log.lines", {"lines": ["c"]})


def test_what_cannot_be_sent_never_breaks_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    publish("logs", "log.lines", {"lines": [object()]})
    assert "could not be sent" in caplog.text
