"""How the start-up grows with the number of ranks: a law by least squares, and what it is worth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from calculations.software.fitting import solve

LEAST = 3  # distinct numbers of ranks: two unknowns, and one point that may contradict
TOLD_APART = 4  # with fewer any two laws lie close
CLEARLY = 0.5  # of the other's residual
LAWS: dict[str, tuple[str, Callable[[float], float]]] = {
    "log": ("log₂ N", math.log2),
    "linear": ("N", float),
}


@dataclass(frozen=True, slots=True)
class Law:
    """T(N) = a + b·f(N), in seconds; `residual` and `other_residual` are root mean squares, each
    over the degrees of freedom. It holds from `least` to `most` ranks and says nothing beyond.

    `settled`: the points tell this law from the other.
    """

    name: str
    a: float
    b: float
    residual: float
    other_residual: float
    points: int
    distinct: int
    least: int
    most: int

    @property
    def term(self) -> str:
        return LAWS[self.name][0]

    @property
    def other_term(self) -> str:
        return next(term for name, (term, _) in LAWS.items() if name != self.name)

    @property
    def size(self) -> float:
        """Of what a further N, or a doubling, brings, without its sign."""
        return abs(self.b)

    @property
    def settled(self) -> bool:
        return self.distinct >= TOLD_APART and self.residual < CLEARLY * self.other_residual

    def at(self, ranks: float) -> float:
        return self.a + self.b * LAWS[self.name][1](ranks)

    def line(self) -> tuple[list[float], list[float]]:
        """Places between the measured ends, and the law there."""
        steps = 24
        ratio = self.most / self.least
        places = [round(self.least * ratio ** (i / steps), 4) for i in range(steps + 1)]
        return places, [self.at(place) for place in places]


def law_of(measured: Sequence[tuple[int, float]]) -> Law | None:
    """The better of the two laws through (ranks, seconds); None where the points carry none."""
    distinct = sorted({ranks for ranks, _ in measured})
    if len(distinct) < LEAST:
        return None
    found = []
    for name, (_, shape) in LAWS.items():
        unknowns = solve([[1.0, shape(n)] for n, _ in measured], [s for _, s in measured])
        if unknowns is None:
            return None
        a, b = unknowns
        squares = math.fsum((s - a - b * shape(n)) ** 2 for n, s in measured)
        found.append((math.sqrt(squares / (len(measured) - 2)), name, a, b))
    (residual, name, a, b), (other, *_) = sorted(found)
    return Law(name, a, b, residual, other, len(measured), len(distinct), distinct[0], distinct[-1])
