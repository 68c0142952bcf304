"""A worker goes on taking messages after an acknowledgement that Redis did not hear."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection, Queue
from kombu.transport import redis as transport
from redis.exceptions import ConnectionError

from clusters.node.acknowledging import QoS, go_on_after_failures

QUEUE = Queue("acknowledging", durable=False)


def deaf(*_: Any, **__: Any) -> Any:
    raise ConnectionError("Redis is gone")


def test_an_acknowledgement_that_failed_does_not_count_as_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on_after_failures()
    with Connection(settings.REDIS_URL) as connection, connection.channel() as channel:
        assert type(channel.qos) is QoS
        channel.basic_qos(prefetch_count=1)
        queue = QUEUE(channel)
        queue.declare()
        connection.Producer(channel).publish({"n": 1}, routing_key=QUEUE.name)
        message = queue.get()
        assert message is not None
        assert not channel.qos.can_consume()
        monkeypatch.setattr(transport.QoS, "_remove_from_indices", deaf)
        message.ack_log_error(logging.getLogger("tests"), errors=(ConnectionError,))
        assert channel.qos.can_consume()
        monkeypatch.undo()
        queue.delete()


def test_the_portals_own_workers_are_among_them() -> None:
    from labportal.celery import app

    assert app.conf.task_acks_late
    assert transport.Channel.QoS is QoS
