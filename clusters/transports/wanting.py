"""Exchanges that are wanted at once, of carriers where the portal itself goes there: asked for once
for many callers, by a mark in Redis which the exchange takes away as it begins.
"""

from __future__ import annotations

import logging
from typing import Any

import redis
from kombu.exceptions import OperationalError

from labportal.common.wake import redis_client

log = logging.getLogger(__name__)

MARKED_S = 10


def want(carrier: str, cluster_id: int, exchange: Any) -> None:
    """Enqueue the task `exchange`; without a broker the beat begins it."""
    try:
        if redis_client().set(_mark(carrier, cluster_id), 1, nx=True, ex=MARKED_S):
            exchange.delay(cluster_id)
    except (redis.RedisError, OperationalError) as error:
        log.warning("the broker does not answer, the exchange waits for the beat: %s", error)


def begun(carrier: str, cluster_id: int) -> None:
    """Whoever wants something from here on asks for another exchange."""
    try:
        redis_client().delete(_mark(carrier, cluster_id))
    except redis.RedisError as error:
        log.warning("Redis does not answer: %s", error)


def _mark(carrier: str, cluster_id: int) -> str:
    return f"labportal:{carrier}:{cluster_id}"
