"""Celery tasks of clusters: placement, the lease watch, purges and the clean-up of old lines and
metrics.
"""

from __future__ import annotations

import logging
from typing import Any

import redis
from celery import shared_task
from kombu.exceptions import OperationalError

from clusters import leases, placement, retention, silence, summaries, usage
from clusters.transports.queue import answer_node
from labportal.common.wake import redis_client

__all__ = ["answer_node"]  # found here by Celery

log = logging.getLogger(__name__)

PLACE_WANTED = "labportal:place"
PLACE_WANTED_S = 5


@shared_task
def place() -> int:
    """Clear the mark first: whoever queues a run from here on asks for another round."""
    try:
        redis_client().delete(PLACE_WANTED)
    except redis.RedisError as error:
        log.warning("Redis does not answer: %s", error)
    return placement.place()


@shared_task
def explain_queue() -> int:
    """A round of placement that also says anew of each run why it waits."""
    return placement.place(explain=True)


@shared_task
def rebuild_usage() -> int:
    """Heal what a crash between an end and its charge left out."""
    return usage.rebuild()


def want_place(**_: Any) -> None:
    """Ask for a round of placement, once for many callers. A lost broker is no error: beat asks
    every few seconds.
    """
    try:
        if redis_client().set(PLACE_WANTED, 1, nx=True, ex=PLACE_WANTED_S):
            place.delay()
    except (redis.RedisError, OperationalError) as error:
        log.warning("the broker does not answer, placement waits for the beat: %s", error)


@shared_task
def expire_leases() -> int:
    """Tell of clusters that are not heard, and end their leases once these have run out."""
    silence.announce_silence()
    return leases.expire_leases()


@shared_task
def schedule_purges() -> int:
    return retention.schedule_purges()


@shared_task
def summarise_metrics() -> int:
    return summaries.summarise()


@shared_task
def forget_old() -> int:
    return retention.forget_old()
