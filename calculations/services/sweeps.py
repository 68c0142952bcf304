"""From a sweep to its runs: which parameter takes which values, checked before it is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.base import Software
from calculations.software.parameters import InvalidParameters, Kind
from labportal.common.errors import InvalidInput

MAX_RUNS = 1000
MODES = ("chain", "independent")


def clean_sweep(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the sweep as it is stored; None for a single run. Raises InvalidInput naming the
    field.
    """
    if not sweep:
        return None
    unknown = set(sweep) - {"parameter", "values", "from", "to", "points", "mode", "carry"}
    if unknown:
        raise InvalidInput(errors={"sweep": f"has no {', '.join(sorted(unknown))}"})
    name = sweep.get("parameter")
    parameter = next((p for p in software.parameters if p.name == name and p.sweepable), None)
    if parameter is None:
        allowed = ", ".join(p.name for p in software.parameters if p.sweepable)
        raise InvalidInput(
            errors={"sweep.parameter": f"{name!r:.60} cannot be varied; choose of {allowed}"}
        )
    mode = sweep.get("mode", "independent")
    if mode not in MODES:
        raise InvalidInput(errors={"sweep.mode": f"{mode!r:.40} is neither chain nor independent"})
    values = _values(sweep)
    if len(set(map(str, values))) != len(values):
        raise InvalidInput(errors={"sweep.values": "holds the same value twice; leave one out"})
    cleaned = [_checked(software, parameters, parameter.name, value) for value in values]
    if parameter.kind is Kind.NUMBER and any(not math.isfinite(v) for v in cleaned):
        raise InvalidInput(errors={"sweep.values": "must be finite numbers"})
    result = {"parameter": parameter.name, "values": cleaned, "mode": mode}
    if mode == "chain":
        result["carry"] = _patterns(sweep.get("carry"), software)
    return result


def _values(sweep: Mapping[str, Any]) -> list[Any]:
    if "values" in sweep:
        values = sweep["values"]
        if isinstance(values, str):
            values = values.replace(",", " ").split()
        if not isinstance(values, Sequence) or not values:
            raise InvalidInput(errors={"sweep.values": "needs at least one value"})
    else:
        values = _range(sweep)
    if len(values) > MAX_RUNS:
        raise InvalidInput(
            errors={"sweep.values": f"makes {len(values)} runs; at most {MAX_RUNS} are allowed"}
        )
    return list(values)


def _range(sweep: Mapping[str, Any]) -> list[float]:
    numbers: dict[str, float] = {}
    for name in ("from", "to", "points"):
        try:
            numbers[name] = float(sweep[name])
        except (KeyError, TypeError, ValueError):
            raise InvalidInput(errors={f"sweep.{name}": "must be a number"}) from None
        if not math.isfinite(numbers[name]):
            raise InvalidInput(errors={f"sweep.{name}": "must be a finite number"})
    first, last, points = numbers["from"], numbers["to"], numbers["points"]
    if points != int(points) or points < 1:
        raise InvalidInput(errors={"sweep.points": "must be a whole number of at least 1"})
    if points > MAX_RUNS:
        raise InvalidInput(
            errors={"sweep.points": f"makes {int(points)} runs; at most {MAX_RUNS} are allowed"}
        )
    if points > 1 and first == last:
        raise InvalidInput(errors={"sweep.to": "equals the start; choose another end or one point"})
    count = int(points)
    step = (last - first) / (count - 1) if count > 1 else 0.0
    return [float(f"{first + i * step:.12g}") for i in range(count)]


def _checked(
    software: Software, parameters: Mapping[str, Any], name: str, value: Any
) -> float | int | str | bool:
    try:
        return software.check({**parameters, name: value})[name]
    except InvalidParameters as error:
        text = error.errors.get(name) or "; ".join(error.errors.values())
        raise InvalidInput(errors={"sweep.values": f"{value!r:.40} {text}"}) from None


def _patterns(carry: Any, software: Software) -> list[str]:
    patterns = list(software.carry) if carry in (None, "", []) else carry
    if isinstance(patterns, str):
        patterns = patterns.replace(",", " ").split()
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise InvalidInput(errors={"sweep.carry": "must be a list of file names or patterns"})
    if not all(map(_stays_in_folder, patterns)):
        raise InvalidInput(
            errors={
                "sweep.carry": "may only hold names of files in the run's own folder, "
                "or in one folder of it"
            }
        )
    if not patterns:
        raise InvalidInput(
            errors={"sweep.carry": "name the files that each run takes from the one before"}
        )
    return list(patterns)


def _stays_in_folder(pattern: str) -> bool:
    """The agent holds this too: it follows no link, and writes to harmless names only."""
    parts = pattern.split("/")
    harmless = all(part and not part.startswith(".") and "\\" not in part for part in parts)
    return harmless and len(parts) <= 2 and "\0" not in pattern and len(pattern) <= 100


def runs_of(sweep: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return, run by run, the parameters that differ from the calculation's."""
    if not sweep:
        return [{}]
    return [{sweep["parameter"]: value} for value in sweep["values"]]
