"""What may help an iteration that did not converge: pure functions of what was set and was seen.

Shared by the verdicts of plug-ins, and by the retries that follow them.
"""

from __future__ import annotations

from collections.abc import Sequence

WEIGHTS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)


def lower_weight(weight: float) -> float | None:
    """Return a round mixing weight of at most half of this one; None where it is small enough."""
    return next((lower for lower in WEIGHTS if lower <= 0.5 * weight), None)


def more_steps(count: float, least: int = 100) -> int:
    """Return a limit that leaves room for as many steps again."""
    return max(least, 2 * int(count))


def is_falling(values: Sequence[float | None], factor: float) -> bool:
    """Whether the last of some errors is below `factor` times the first: it was on its way."""
    known = [value for value in values if value]
    return len(known) > 1 and known[-1] < factor * known[0]
