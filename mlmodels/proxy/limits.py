"""How often a person may call a model: so many calls in the last minute, over all processes.

Each process counts for itself and tells the others each half second (pulse.py), so no call waits
for Redis; what two processes let pass in between is the price.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from labportal.common.errors import DomainError
from labportal.common.wake import redis_client

WINDOW_S = 60
KEPT_S = 3 * WINDOW_S

Key = tuple[int, int]  # model, person


class TooMany(DomainError):
    status = 429
    title = "Too many calls"
    default_code = "too-many"

    def __init__(self, message: str, *, retry_after_s: int, code: str = "") -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class News(NamedTuple):
    key: Key
    window: int
    own: int


@dataclass(slots=True)
class _Count:
    """Calls in the window at hand and in the one before; `own` are not told of yet."""

    window: int
    known: int = 0
    own: int = 0
    before: int = 0

    def turn(self, window: int) -> None:
        if window != self.window:
            total = self.known + self.own
            self.before = total if window == self.window + 1 else 0
            self.window, self.known, self.own = window, 0, 0


class Rates:
    """Counts in two windows of a minute, the older one by the part that still lies within it."""

    def __init__(self) -> None:
        self._counts: dict[Key, _Count] = {}

    def take(self, model_id: int, user_id: int, limit: int, now: float) -> None:
        """Count a call. Raises TooMany, which counts none. `now` as time.time() has it."""
        window, into = divmod(now, WINDOW_S)
        count = self._counts.get((model_id, user_id))
        if count is None:
            count = self._counts[model_id, user_id] = _Count(int(window))
        count.turn(int(window))
        lately = count.known + count.own
        if lately + count.before * (1 - into / WINDOW_S) >= limit:
            raise TooMany(
                f"You may call this model {limit} times a minute.",
                retry_after_s=_pause(lately, count.before, limit, into),
                code="rate",
            )
        count.own += 1

    def news(self, now: float) -> list[News]:
        """What the other processes are to be told; those not called lately are forgotten."""
        window = int(now // WINDOW_S)
        for key in [key for key, count in self._counts.items() if window - count.window > 1]:
            del self._counts[key]
        return [
            News(key, count.window, count.own) for key, count in self._counts.items() if count.own
        ]

    def learn(self, news: Sequence[News], found: Sequence[tuple[int, int]]) -> None:
        """Take over what `tell` found: calls by all processes, in both windows."""
        for told, (known, before) in zip(news, found, strict=True):
            count = self._counts.get(told.key)
            if count is not None and count.window == told.window:
                count.known, count.before, count.own = known, before, count.own - told.own


def tell(news: Sequence[News]) -> list[tuple[int, int]]:
    """Add this process's calls to those of the others. Raises redis.RedisError."""
    pipeline = redis_client().pipeline(transaction=False)
    for (model_id, user_id), window, own in news:
        name = f"labportal:calls:{model_id}:{user_id}:"
        pipeline.incrby(f"{name}{window}", own)
        pipeline.expire(f"{name}{window}", KEPT_S)
        pipeline.get(f"{name}{window - 1}")
    found = pipeline.execute()
    return [(int(found[i]), int(found[i + 2] or 0)) for i in range(0, len(found), 3)]


def _pause(lately: int, before: int, limit: int, into: float) -> int:
    """Seconds until one more call fits, as the window slides over those that were."""
    if lately < limit:
        return math.floor(WINDOW_S * (1 - (limit - lately) / before) - into) + 1
    return math.floor(WINDOW_S * (2 - limit / lately) - into) + 1
