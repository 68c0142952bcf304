"""What this process has under way on each replica, and which of them to call next."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from mlmodels.proxy.limits import TooMany
from mlmodels.proxy.table import Target

AVOID_S = 1.0  # doubled with each further failure in a row
AVOID_MOST_S = 30.0
TOLD_S = 10.0
FORGET_S = 300.0
NOTED_S = 5.0


@dataclass(slots=True)
class Load:
    """One replica as this process knows it. `others`: calls of other processes; `failed`: calls in
    a row without an answer, `told` of them as reported; `avoid_until` and `used_at` as
    time.monotonic() has it.
    """

    in_flight: int = 0
    others: int = 0
    answered_at: float = 0.0
    failed: int = 0
    told: int = 0
    noted_at: float = 0.0
    why: str = ""
    avoid_until: float = 0.0
    used_at: float = 0.0

    def answered(self) -> None:
        self.answered_at = time.time()
        self.failed = 0
        self.avoid_until = 0.0

    def fail(self, why: str) -> None:
        self.failed += 1
        self.why = why
        pause = min(AVOID_S * 2 ** (self.failed - 1), AVOID_MOST_S)
        self.avoid_until = time.monotonic() + pause


class Loads:
    def __init__(self) -> None:
        self._loads: dict[str, Load] = {}

    def of(self, replica_id: str) -> Load:
        load = self._loads.get(replica_id)
        if load is None:
            load = self._loads[replica_id] = Load()
        return load

    def least_busy(
        self, targets: Sequence[Target], most: int, tried: Container[str] = ()
    ) -> tuple[Target, Load]:
        """Choose the replica with the fewest calls, the longest unused one among equals. Raises
        TooMany where each has `most` of them.

        One that failed lately, or was tried, is chosen only where no other is left.
        """
        now = time.monotonic()
        best: tuple[tuple[bool, bool, int, float], Target, Load] | None = None
        for target in targets:
            load = self.of(target.id)
            busy = load.in_flight + load.others
            if busy >= most:
                continue
            rank = (target.id in tried, load.avoid_until > now, busy, load.used_at)
            if best is None or rank < best[0]:
                best = (rank, target, load)
        if best is None:
            raise TooMany(
                f"Each replica has its {most} calls under way already. Try again in a moment.",
                retry_after_s=1,
                code="busy",
            )
        best[2].used_at = now
        return best[1], best[2]

    def states(self) -> dict[str, tuple[int, float]]:
        """What the others are to know of replicas in use: {id: (in flight, last good answer)}."""
        states = {}
        now = time.monotonic()
        for key, load in list(self._loads.items()):
            if load.in_flight or load.used_at > now - TOLD_S:
                states[key] = (load.in_flight, load.answered_at)
            elif load.used_at > now - FORGET_S:
                load.others = 0
            else:
                del self._loads[key]
        return states

    def learn(self, others: Mapping[str, int]) -> None:
        for replica_id, count in others.items():
            self.of(replica_id).others = count

    def failures(self) -> list[tuple[str, int, str]]:
        """News of replicas that fail, or do no longer: (id, failures in a row, why)."""
        news = []
        for replica_id, load in self._loads.items():
            if load.failed != load.told:
                load.told = load.failed
                news.append((replica_id, load.failed, load.why if load.failed else ""))
        return news

    def answers(self) -> dict[str, float]:
        """When replicas answered well, as time.time() has it; each at most every NOTED_S."""
        news = {}
        for replica_id, load in self._loads.items():
            if load.answered_at > load.noted_at + NOTED_S:
                news[replica_id] = load.noted_at = load.answered_at
        return news
