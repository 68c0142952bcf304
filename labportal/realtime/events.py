"""Publishes what happened after the commit: one message per topic, however many events.

Services call `publish`. It never raises: live pages are a comfort, the database is the truth.
Types of events: calculation.changed, run.changed, run.progress, log.lines, cluster.changed,
metrics, notification, export.changed, results.changed, analyses.progress, model.changed,
replica.changed.
"""

import json
import logging
import threading
import time
import weakref
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from redis.exceptions import RedisError

from labportal.common.wake import redis_client
from labportal.realtime.topics import group_of

log = logging.getLogger(__name__)

#: A later event of these types makes earlier ones void that are the same in these fields.
LATEST_COUNTS = {
    "calculation.changed": ("id",),
    "run.changed": ("calculation", "run"),
    "run.progress": ("calculation", "run"),
    "cluster.changed": ("id",),
    "export.changed": ("id",),
    "analyses.progress": (),
    "model.changed": ("id",),
    "replica.changed": ("replica",),
}

#: After a failure nothing is tried for so long: a lost Redis must not slow every request down.
PAUSE_AFTER_FAILURE_S = 5.0

Event = dict[str, Any]


class _Batch:
    """The events of one savepoint. It lives as long as Django keeps it as a callback.

    Django drops the callbacks of a savepoint that is rolled back, and the batch with them: what a
    weak reference still finds at the commit is what was committed.
    """

    __slots__ = ("__weakref__", "events", "savepoints", "sent")

    def __init__(self, savepoints: tuple[str, ...]) -> None:
        self.savepoints = savepoints
        self.events: list[tuple[str, Event]] = []
        self.sent = False

    def __call__(self) -> None:
        _flush()


class _Pending(threading.local):
    """The batches of this thread's transaction, in order."""

    def __init__(self) -> None:
        self.batches: list[weakref.ref[_Batch]] = []


_pending = _Pending()
_silent_until = 0.0


def publish(topic: str, event_type: str, payload: dict[str, Any]) -> None:
    """Tell everyone who watches `topic` once the transaction is committed (outside of one: now)."""
    event = {"type": event_type, **payload}
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        _send({topic: [event]})
        return
    savepoints = tuple(connection.savepoint_ids)
    last = _pending.batches[-1]() if _pending.batches else None
    if last is None or last.sent or last.savepoints != savepoints:
        last = _Batch(savepoints)
        _pending.batches = [ref for ref in _pending.batches if ref() is not None]
        _pending.batches.append(weakref.ref(last))
        transaction.on_commit(last, robust=True)
    last.events.append((topic, event))


def _flush() -> None:
    """Send what this transaction gathered; the first callback sends for all."""
    batches = [batch for ref in _pending.batches if (batch := ref()) and not batch.sent]
    _pending.batches = []
    by_topic: dict[str, list[Event]] = {}
    for batch in batches:
        batch.sent = True
        for topic, event in batch.events:
            by_topic.setdefault(topic, []).append(event)
    if by_topic:
        _send({topic: coalesce(events) for topic, events in by_topic.items()})


def coalesce(events: list[Event]) -> list[Event]:
    """Keep of repeated news only the latest, in the order of what is kept."""
    kept: dict[tuple[Any, ...], Event] = {}
    for index, event in enumerate(events):
        fields = LATEST_COUNTS.get(event["type"])
        key = (event["type"], *map(event.get, fields)) if fields else (index,)
        kept.pop(key, None)
        kept[key] = event
    return list(kept.values())


def _send(by_topic: dict[str, list[Event]]) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        messages = {
            group_of(topic): {
                "type": "realtime.events",
                "topic": topic,
                "events": json.loads(json.dumps(events, cls=DjangoJSONEncoder)),
            }
            for topic, events in by_topic.items()
        }
        _send_messages(messages)
    except (RedisError, OSError) as problem:
        _silent_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
        log.warning("live events are lost while Redis is gone: %s", type(problem).__name__)
    except Exception:
        log.exception("live events could not be sent")


def _send_messages(messages: dict[str, dict[str, Any]]) -> None:
    layer = get_channel_layer()
    if isinstance(layer, RedisPubSubChannelLayer):
        _send_by_redis(layer, messages)
        return
    if layer is not None:
        for group, message in messages.items():
            async_to_sync(layer.group_send)(group, message)


def _send_by_redis(layer: RedisPubSubChannelLayer, messages: dict[str, dict[str, Any]]) -> None:
    """Do what the layer's group_send does, for all groups in one round trip on a kept connection.

    The layer itself would open a new connection in a new event loop for each of them.
    """
    prefix = layer._kwargs.get("prefix", "asgi")
    pipeline = redis_client().pipeline(transaction=False)
    for group, message in messages.items():
        pipeline.publish(f"{prefix}__group__{group}", layer.serialize(message))
    pipeline.execute()
