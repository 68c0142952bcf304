"""How busy each replica is and when it last answered well, over all processes that call it.

Those that call write it each half second (proxy/pulse.py); the exchange reads it for the agents'
probes, the proxies for the least busy replica. It lies in Redis: without Redis nothing is known.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import redis

from labportal.common.wake import redis_client

log = logging.getLogger(__name__)

IN_FLIGHT_COUNTS_S = 5.0  # a process that was not heard for longer is dead, its calls with it
KEPT_S = 120


@dataclass(frozen=True, slots=True)
class Traffic:
    """`answered_s`: seconds since the last good answer to a call; None: not within KEPT_S."""

    in_flight: int
    answered_s: float | None


def of(replica_ids: Iterable[UUID | str]) -> dict[str, Traffic]:
    """By replica id, those that were called lately."""
    ids = [str(replica_id) for replica_id in replica_ids]
    if not ids:
        return {}
    try:
        pipeline = redis_client().pipeline(transaction=False)
        for replica_id in ids:
            pipeline.hgetall(_key(replica_id))
        found = pipeline.execute()
    except redis.RedisError as error:
        log.warning("Redis does not answer, the traffic of replicas is not known: %s", error)
        return {}
    now = time.time()
    return {key: _sum(fields, now) for key, fields in zip(ids, found, strict=True) if fields}


def tell(process: str, states: Mapping[str, tuple[int, float]]) -> dict[str, int]:
    """Write what this process does: {replica id: (in flight, when it last answered well)}; return
    how many calls the others have in flight on the same replicas. Raises redis.RedisError.
    """
    now = time.time()
    pipeline = redis_client().pipeline(transaction=False)
    for replica_id, (in_flight, answered_at) in states.items():
        key = _key(replica_id)
        pipeline.hset(key, process, json.dumps([now, in_flight, answered_at]))
        pipeline.expire(key, KEPT_S)
        pipeline.hgetall(key)
    found = pipeline.execute()[2::3]
    others = {}
    gone: list[tuple[str, list[bytes]]] = []
    for replica_id, fields in zip(states, found, strict=True):
        foreign = {name: text for name, text in fields.items() if name != process.encode()}
        others[replica_id] = _sum(foreign, now).in_flight
        old = [name for name, text in foreign.items() if now - json.loads(text)[0] > KEPT_S]
        if old:
            gone.append((_key(replica_id), old))
    for key, names in gone:
        redis_client().hdel(key, *names)
    return others


def _key(replica_id: str) -> str:
    return f"labportal:traffic:{replica_id}"


def _sum(fields: Mapping[bytes, bytes], now: float) -> Traffic:
    in_flight, answered_at = 0, 0.0
    for text in fields.values():
        at, calls, answered = json.loads(text)
        if now - at < IN_FLIGHT_COUNTS_S:
            in_flight += calls
        answered_at = max(answered_at, answered)
    seconds = now - answered_at
    return Traffic(in_flight, max(0.0, seconds) if seconds < KEPT_S else None)
