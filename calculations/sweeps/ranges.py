"""Values of an axis as people write them: a list, or from, to and points. Nothing is allocated
before it is known how much.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_RUNS = 1000
MAX_TEXT = 40_000  # characters of a list of values
SPACINGS = ("linear", "log")
Errors = dict[str, str]


class InvalidAxis(ValueError):
    """Values that cannot be used; `errors` maps the axis's own fields to words with the remedy."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{name} {text}" for name, text in self.errors.items()))


def values_of(said: Mapping[str, Any]) -> list[Any]:
    """Return the values as they were said, numbers as numbers. Raises InvalidAxis."""
    values = _listed(said["values"]) if "values" in said else _range(said)
    if len(values) > MAX_RUNS:
        raise InvalidAxis(
            {"values": f"makes {len(values):,} runs; at most {MAX_RUNS:,} are allowed"}
        )
    return values


def _listed(values: Any) -> list[Any]:
    if isinstance(values, str):
        if len(values) > MAX_TEXT:
            raise InvalidAxis({"values": f"is too long; at most {MAX_RUNS:,} values are allowed"})
        values = values.replace(",", " ").replace(";", " ").split()
    if not isinstance(values, Sequence) or not values:
        raise InvalidAxis({"values": "needs at least one value"})
    return list(values)


def _range(said: Mapping[str, Any]) -> list[float]:
    first, last, points = (_number(said, name) for name in ("from", "to", "points"))
    if points != int(points) or points < 1:
        raise InvalidAxis({"points": "must be a whole number of at least 1"})
    if points > MAX_RUNS:
        words = f"makes {int(points):,} runs; at most {MAX_RUNS:,} are allowed"
        raise InvalidAxis({"points": words})
    spacing = said.get("spacing") or "linear"
    if spacing not in SPACINGS:
        raise InvalidAxis({"spacing": f"{spacing!r:.40} is neither linear nor log"})
    count = int(points)
    if count > 1 and first == last:
        raise InvalidAxis({"to": "equals the start; choose another end or one point"})
    if count > 1 and first > last:
        words = f"lies below the start, {first:g}; swap them, and let a chain go backward"
        raise InvalidAxis({"to": words})
    if spacing == "log" and first <= 0:
        raise InvalidAxis({"from": "must be above 0 for logarithmic steps"})
    return spread(first, last, count, spacing)


def spread(first: float, last: float, count: int, spacing: str = "linear") -> list[float]:
    """Return `count` values from `first` to `last`, both as they are, with twelve digits."""
    if count == 1:
        return [first]
    if spacing == "log":
        low, high = math.log(first), math.log(last)
        found = [math.exp(low + i * (high - low) / (count - 1)) for i in range(count)]
    else:
        found = [first + i * ((last - first) / (count - 1)) for i in range(count)]
    found = [float(f"{value:.12g}") for value in found]
    return [first, *found[1:-1], last]


def _number(said: Mapping[str, Any], name: str) -> float:
    try:
        if isinstance(said[name], bool):
            raise TypeError
        number = float(said[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidAxis({name: "must be a number"}) from None
    if not math.isfinite(number):
        raise InvalidAxis({name: "must be a finite number"})
    return number


def range_of(values: Sequence[Any]) -> tuple[float, float, int, str] | None:
    """Recognise a range in stored values: (from, to, points, spacing), None for any other list."""
    if len(values) < 2 or not all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in values
    ):
        return None
    first, last, count = float(values[0]), float(values[-1]), len(values)
    if not first < last:
        return None
    for spacing in SPACINGS if first > 0 else SPACINGS[:1]:
        if spread(first, last, count, spacing) == [float(value) for value in values]:
            return first, last, count, spacing
    return None


def vector_of(
    value: Any, name: str, words: str = "must be three numbers, such as 0 0 1"
) -> list[float]:
    """Read three finite numbers, as a list or as text. Raises InvalidAxis."""
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        if isinstance(parts, Mapping) or any(isinstance(part, bool) for part in parts):
            raise TypeError
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError, OverflowError):
        raise InvalidAxis({name: words}) from None
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise InvalidAxis({name: words})
    return numbers


def direction_of(value: Any, name: str) -> list[float]:
    """Read a direction, which has a length. Raises InvalidAxis."""
    numbers = vector_of(value, name)
    if not math.hypot(*numbers) > 1e-9:
        raise InvalidAxis({name: "has no length; choose a direction such as 0 0 1"})
    return numbers
