"""Waking whoever waits (a held exchange, a worker) through Redis. Without Redis it is only slower.

Services call wake(); nothing here raises because Redis is gone.
"""

import logging
from functools import cache, partial

import redis
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)


@cache
def redis_client() -> redis.Redis:
    """Return this process's pool of connections; short time-outs, since requests wait for it."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=0.5,
        socket_timeout=1,
        health_check_interval=15,
    )


def wake(channel: str) -> None:
    """Publish on the channel once the transaction at hand is committed, at once outside of one."""
    transaction.on_commit(partial(_publish, channel), robust=True)


def _publish(channel: str) -> None:
    try:
        redis_client().publish(channel, b"1")
    except redis.RedisError as error:
        log.warning("Redis does not answer, %s is not woken: %s", channel, error)
