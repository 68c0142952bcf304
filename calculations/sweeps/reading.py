"""From what people ask for to the stored form of a sweep; every error names its field.

Asked for, an axis may have "from", "to", "points" and "spacing" in place of "values"; one axis
alone may stand beside the mode. tests/calculations/sweeps shows both forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.base import Software
from calculations.software.parameters import Kind, Parameter
from calculations.software.structure import Structure
from calculations.sweeps import axes as names
from calculations.sweeps.ranges import (
    MAX_RUNS,
    InvalidAxis,
    direction_of,
    range_of,
    values_of,
    vector_of,
)
from calculations.sweeps.rotation import read_selection

MODES = ("chain", "independent")
DIRECTIONS = ("forward", "backward")
MAX_AXES = 4
MAX_TURN = 360_000.0  # degrees
OF_SWEEP = {"axes", "mode", "along", "direction", "carry"}
OF_VALUES = {"parameter", "values", "from", "to", "points", "spacing"}
OF_AXIS = {
    names.ROTATION: OF_VALUES | {"axis", "about", "atoms"},
    names.FIELD: OF_VALUES | {"direction"},
    names.STRUCTURE: {"parameter", "structures", "values"},
}


class InvalidSweep(ValueError):
    """A sweep that cannot be used; `errors` maps fields such as sweep.axes.0.values to words."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__("; ".join(f"{name} {text}" for name, text in self.errors.items()))


@dataclass(frozen=True, slots=True)
class KnownStructure:
    """A structure of the project that an axis may name."""

    key: int
    name: str
    structure: Structure


Finder = Callable[[Sequence[int]], Sequence[KnownStructure]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A sweep as it was asked for: its axes, and where the errors of each belong."""

    axes: tuple[Mapping[str, Any], ...]
    fields: tuple[str, ...]
    rest: Mapping[str, Any]


def asked_of(said: Mapping[str, Any]) -> Asked:
    """Sort the long and the short form alike. Raises InvalidSweep."""
    if "axes" in said:
        _refuse_unknown(said, OF_SWEEP, "sweep")
        found = said["axes"]
        listed = isinstance(found, Sequence) and not isinstance(found, str)
        if not listed or not all(isinstance(axis, Mapping) for axis in found):
            raise InvalidSweep({"sweep.axes": "must be a list of axes, each with a parameter"})
        if not 1 <= len(found) <= MAX_AXES:
            words = f"holds {len(found)} axes; from one to {MAX_AXES} can vary at once"
            raise InvalidSweep({"sweep.axes": words})
        rest = {name: value for name, value in said.items() if name != "axes"}
        return Asked(tuple(found), tuple(f"sweep.axes.{i}" for i in range(len(found))), rest)
    single = {k: v for k, v in said.items() if k not in OF_SWEEP or _is_vector(k, v)}
    rest = {k: v for k, v in said.items() if k not in single}
    return Asked((single,), ("sweep",), rest)


def _is_vector(name: str, value: Any) -> bool:
    """In the short form the direction of a field and that of a chain share their name."""
    return name == "direction" and value not in DIRECTIONS


def _refuse_unknown(said: Mapping[str, Any], known: set[str], field: str) -> None:
    unknown = sorted(str(name)[:40] for name in set(said) - known)
    if unknown:
        raise InvalidSweep({field: f"has no {', '.join(unknown[:5])}"})


def read_sweep(software: Software, said: Mapping[str, Any], *, find: Finder) -> dict[str, Any]:
    """Return the stored form: {"axes": [...], "mode": "independent"}, or {"axes", "mode": "chain",
    "along", "direction", "carry"}. Raises InvalidSweep.

    An axis holds "parameter" and "values"; a rotation also "axis", "about" and "atoms", a field its
    "direction", structures their keys in "structures". Nothing is checked here across parameters;
    planner.check does that.
    """
    asked = asked_of(said)
    errors: dict[str, str] = {}
    axes: list[dict[str, Any]] = []
    for axis, field in zip(asked.axes, asked.fields, strict=True):
        try:
            axes.append(_read_axis(software, axis, field, find))
        except InvalidAxis as error:
            errors.update({f"{field}.{name}": text for name, text in error.errors.items()})
        except InvalidSweep as error:
            errors.update(error.errors)
    if errors:
        raise InvalidSweep(errors)
    _refuse_same(axes, asked.fields)
    _refuse_many(axes, "sweep.axes" if len(axes) > 1 else f"{asked.fields[0]}.values")
    return {"axes": axes, **_order(asked.rest, axes, software)}


def _refuse_same(axes: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> None:
    taken: dict[str, str] = {}
    for axis, field in zip(axes, fields, strict=True):
        own = names.COMPONENTS if axis["parameter"] == names.FIELD else (axis["parameter"],)
        for name in own:
            if name in taken:
                words = f"varies {name}, which {taken[name]} varies already; remove one of the two"
                raise InvalidSweep({f"{field}.parameter": words})
        taken.update(dict.fromkeys(own, axis["parameter"]))


def _refuse_many(axes: Sequence[Mapping[str, Any]], field: str) -> None:
    counts = [len(axis["values"]) for axis in axes]
    total = math.prod(counts)
    if total > MAX_RUNS:
        factors = " × ".join(map(str, counts))
        words = (
            f"makes {factors} = {total:,} runs; at most {MAX_RUNS:,} are allowed, take fewer values"
        )
        raise InvalidSweep({field: words})


def _order(
    rest: Mapping[str, Any], axes: Sequence[Mapping[str, Any]], software: Software
) -> dict[str, Any]:
    mode = rest.get("mode") or "independent"
    if mode not in MODES:
        raise InvalidSweep({"sweep.mode": f"{mode!r:.40} is neither chain nor independent"})
    if mode != "chain":
        return {"mode": mode}
    along = rest.get("along", 0)
    if isinstance(along, str) and along.isdecimal():
        along = int(along[:3])
    if along in (None, ""):
        along = 0
    if not isinstance(along, int) or isinstance(along, bool) or not 0 <= along < len(axes):
        words = f"must be the number of an axis, from 0 to {len(axes) - 1}"
        raise InvalidSweep({"sweep.along": words})
    direction = rest.get("direction") or "forward"
    if direction not in DIRECTIONS:
        words = f"{direction!r:.40} is neither forward nor backward"
        raise InvalidSweep({"sweep.direction": words})
    carry = _patterns(rest.get("carry"), software)
    return {"mode": mode, "along": along, "direction": direction, "carry": carry}


def _read_axis(
    software: Software, said: Mapping[str, Any], field: str, find: Finder
) -> dict[str, Any]:
    name = said.get("parameter")
    known = dict(names.kinds_of(software))
    if not isinstance(name, str) or name not in known:
        words = f"{name!r:.60} cannot be varied; choose of {', '.join(known)}"
        raise InvalidSweep({f"{field}.parameter": words})
    _refuse_unknown(said, OF_AXIS.get(name, OF_VALUES), field)
    if name == names.STRUCTURE:
        return _read_structures(said, find)
    if name == names.ROTATION:
        return _read_rotation(said)
    if name == names.FIELD:
        return _read_field(said, names.field_component(software))
    parameter = next(p for p in names.variable(software) if p.name == name)
    if parameter.kind in (Kind.CHOICE, Kind.BOOLEAN) and "values" not in said:
        raise InvalidAxis({"values": "are needed; write them one after the other"})
    return {
        "parameter": name,
        "values": _distinct([_checked(parameter, v) for v in values_of(said)]),
    }


def _checked(parameter: Parameter, value: Any) -> Any:
    if value is None or value == "":
        raise InvalidAxis({"values": "holds an empty value; leave it out"})
    try:
        return parameter.check(value)
    except ValueError as error:
        words = str(error)
        lead = f"{value!r:.40} " if words.startswith(("is ", "must ")) else ""
        raise InvalidAxis({"values": f"{lead}{words}"}) from None


def _distinct(values: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise InvalidAxis({"values": f"holds {value!r:.40} twice; leave one out"})
        seen.add(value)
    return values


def _read_rotation(said: Mapping[str, Any]) -> dict[str, Any]:
    about = said.get("about") or "centre"
    if about not in ("centre", "mass"):
        words = "must be centre, mass, or a point in Å such as 0 0 1.5"
        about = vector_of(about, "about", words)
    degrees = Parameter(
        names.ROTATION, "Rotation", Kind.NUMBER, unit="°", minimum=-MAX_TURN, maximum=MAX_TURN
    )
    return {
        "parameter": names.ROTATION,
        "values": _distinct([_checked(degrees, value) for value in values_of(said)]),
        "axis": direction_of(said.get("axis") or [0, 0, 1], "axis"),
        "about": about,
        "atoms": read_selection(said.get("atoms")),
    }


def _read_field(said: Mapping[str, Any], component: Parameter | None) -> dict[str, Any]:
    if component is None:
        raise InvalidAxis({"parameter": "is not offered by this program"})
    direction = direction_of(said.get("direction") or [0, 0, 1], "direction")
    length = math.hypot(*direction)
    values = _distinct([_number(value) for value in values_of(said)])
    for value in values:
        for part in direction:
            _checked(component, value * part / length)
    return {"parameter": names.FIELD, "values": values, "direction": direction}


def _number(value: Any) -> float:
    return float(_checked(Parameter("value", "Value", Kind.NUMBER), value))


def _read_structures(said: Mapping[str, Any], find: Finder) -> dict[str, Any]:
    said_keys = said.get("structures")
    if isinstance(said_keys, str):
        said_keys = said_keys.replace(",", " ").split()
    if not isinstance(said_keys, Sequence) or not said_keys:
        raise InvalidAxis({"structures": "needs at least one structure of the project"})
    if len(said_keys) > MAX_RUNS:
        words = f"makes {len(said_keys):,} runs; at most {MAX_RUNS:,} are allowed"
        raise InvalidAxis({"structures": words})
    keys = [_key(value) for value in said_keys]
    if len(set(keys)) != len(keys):
        raise InvalidAxis({"structures": "names the same structure twice; leave one out"})
    found = {known.key: known for known in find(keys)}
    missing = [f"S-{key}" for key in keys if key not in found]
    if missing:
        words = f"{', '.join(missing[:5])} is not a structure of this project"
        raise InvalidAxis({"structures": words})
    labels = [found[key].name for key in keys]
    values = [
        label if labels.count(label) == 1 else f"{label} (S-{key})"
        for key, label in zip(keys, labels, strict=True)
    ]
    return {"parameter": names.STRUCTURE, "values": values, "structures": keys}


def _key(value: Any) -> int:
    words = str(value).strip().upper().removeprefix("S-")
    if isinstance(value, bool) or not (words.isascii() and words.isdecimal()) or len(words) > 18:
        raise InvalidAxis({"structures": f"{str(value)[:40]!r} is not the number of a structure"})
    return int(words)


def _patterns(carry: Any, software: Software) -> list[str]:
    patterns = list(software.carry) if carry in (None, "", []) else carry
    if isinstance(patterns, str):
        patterns = patterns.replace(",", " ").split()
    if not isinstance(patterns, Sequence) or not all(isinstance(p, str) for p in patterns):
        raise InvalidSweep({"sweep.carry": "must be a list of file names or patterns"})
    if not all(map(_stays_in_folder, patterns)):
        words = "may only hold names of files in the run's own folder, or in one folder of it"
        raise InvalidSweep({"sweep.carry": words})
    if not patterns:
        words = "name the files that each run takes from the one before"
        raise InvalidSweep({"sweep.carry": words})
    return list(dict.fromkeys(patterns))


def _stays_in_folder(pattern: str) -> bool:
    """The agent holds this too: it follows no link, and writes to harmless names only."""
    parts = pattern.split("/")
    harmless = all(part and not part.startswith(".") and "\\" not in part for part in parts)
    return harmless and len(parts) <= 2 and "\0" not in pattern and len(pattern) <= 100


def asked_form(axis: Mapping[str, Any]) -> dict[str, Any]:
    """A stored axis as one would ask for it: as a range where it is one."""
    found = dict(axis)
    if axis["parameter"] == names.STRUCTURE:
        del found["values"]
        return found
    span = range_of(axis["values"])
    if span is None:
        return found
    del found["values"]
    return {**found, **dict(zip(("from", "to", "points", "spacing"), span, strict=True))}
