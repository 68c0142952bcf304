"""From a stored sweep to its runs: what each changes, where it stands, which it continues.

Pure. Runs are numbered so that each follows the one it continues.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

from calculations.software.base import Software
from calculations.software.parameters import InvalidParameters
from calculations.software.structure import Structure
from calculations.sweeps.axes import (
    COMPONENTS,
    FIELD,
    ROTATION,
    STRUCTURE,
    axes_of_sweep,
    stored_axes,
)
from calculations.sweeps.ranges import InvalidAxis
from calculations.sweeps.reading import InvalidSweep
from calculations.sweeps.rotation import turned

MAX_ATOMS_WRITTEN = 200_000  # every run holds the whole text of a structure that varies

Point = tuple[Any, ...]
Structures = Mapping[int, Structure]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """`parameters` are those that differ from the calculation's, `point` its value of each axis,
    `predecessor_index` the place in the plan of the run that it continues.
    """

    parameters: Mapping[str, Any]
    point: Point
    predecessor_index: int | None = None


def is_chain(sweep: Mapping[str, Any] | None) -> bool:
    return bool(sweep) and sweep.get("mode") == "chain"


def count_of(sweep: Mapping[str, Any] | None) -> int:
    return math.prod(len(axis["values"]) for axis in stored_axes(sweep))


def chain_depth(sweep: Mapping[str, Any] | None) -> int:
    """How many runs follow one another at most."""
    if sweep is None or not is_chain(sweep):
        return 1
    return len(sweep["axes"][sweep["along"]]["values"])


def points_of(sweep: Mapping[str, Any] | None) -> list[tuple[Point, int | None]]:
    """Every point with the place of the one that it continues; a single run has the point ()."""
    axes = stored_axes(sweep)
    lengths = [len(axis["values"]) for axis in axes]
    along = sweep["along"] if sweep is not None and is_chain(sweep) else None
    orders = [range(length) for length in lengths]
    if sweep is not None and along is not None and sweep["direction"] == "backward":
        orders[along] = orders[along][::-1]
    # As far apart are two neighbours on the axis along which the chains run.
    stride = math.prod(lengths[along + 1 :]) if along is not None else 0
    found: list[tuple[Point, int | None]] = []
    for index, places in enumerate(product(*orders)):
        point = tuple(axis["values"][i] for axis, i in zip(axes, places, strict=True))
        first = along is None or places[along] == orders[along][0]
        found.append((point, None if first else index - stride))
    return found


def plan(
    software: Software,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Any] | None,
    structures: Structures | None = None,
) -> list[PlannedRun]:
    """Return every run of a stored sweep, or the single one. Raises InvalidSweep."""
    changes = Changes(software, parameters, sweep, structures or {})
    return [PlannedRun(changes.at(point), point, before) for point, before in points_of(sweep)]


class Changes:
    """What the points of a sweep change in a calculation's parameters."""

    def __init__(
        self,
        software: Software,
        parameters: Mapping[str, Any],
        sweep: Mapping[str, Any] | None,
        structures: Structures,
    ) -> None:
        self.software, self.parameters = software, parameters
        self.sweep, self.axes, self.structures = sweep, stored_axes(sweep), structures
        self._written = lru_cache(maxsize=1024)(self._write)

    def at(self, point: Point) -> dict[str, Any]:
        """Raises InvalidSweep where a structure cannot be turned or is gone."""
        changed: dict[str, Any] = {}
        key, turn = None, None
        for place, (axis, value) in enumerate(zip(self.axes, point, strict=True)):
            name = axis["parameter"]
            if name == STRUCTURE:
                key = (place, axis["structures"][axis["values"].index(value)])
            elif name == ROTATION:
                turn = (place, value)
            elif name == FIELD:
                changed.update(field_at(axis["direction"], value))
            else:
                changed[name] = value
        if key is None and turn is None:
            return changed
        return {**self._written(key, turn), **changed}

    def structure_at(
        self, key: tuple[int, int] | None, turn: tuple[int, float] | None
    ) -> Structure:
        """The chosen structure, or the calculation's own, turned. Raises InvalidSweep."""
        structure = self.structures.get(key[1]) if key else self.software.structure(self.parameters)
        if structure is None:
            words = f"S-{key[1]} is not there any more" if key else "there is no structure to turn"
            place = (key or turn or (0,))[0]
            raise InvalidSweep(
                {f"sweep.axes.{place}.{'structures' if key else 'parameter'}": words}
            )
        if turn is None:
            return structure
        place, angle = turn
        try:
            return turned(structure, self.axes[place], angle)
        except InvalidAxis as error:
            raise InvalidSweep(
                {f"sweep.axes.{place}.{name}": text for name, text in error.errors.items()}
            ) from None

    def _write(self, key: tuple[int, int] | None, turn: tuple[int, float] | None) -> dict[str, Any]:
        return self.software.structure_parameters(self.structure_at(key, turn))


def field_at(direction: Sequence[float], strength: float) -> dict[str, float]:
    """The components of a field of `strength` along a direction."""
    length = math.hypot(*direction)
    parts = (float(f"{strength * part / length:.12g}") + 0.0 for part in direction)
    return dict(zip(COMPONENTS, parts, strict=True))


def varied_names(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None
) -> frozenset[str]:
    """The plug-in's parameters that differ between the runs."""
    found: set[str] = set()
    for axis in stored_axes(sweep):
        name = axis["parameter"]
        if name == FIELD:
            found.update(COMPONENTS)
        elif name in (ROTATION, STRUCTURE):
            found.update(_structure_names(software, parameters))
        else:
            found.add(name)
    return frozenset(found)


def _structure_names(software: Software, parameters: Mapping[str, Any]) -> set[str]:
    try:
        structure = software.structure(parameters)
    except (ValueError, KeyError, TypeError):
        return set()
    return set(software.structure_parameters(structure)) if structure else set()


def check(
    software: Software,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Any],
    structures: Structures,
) -> None:
    """Check every combination as a whole. Raises InvalidSweep naming the axis and the point.

    A turned structure has the same atoms in the same cell, so each angle is checked once for
    atoms that meet, and the other axes without it.
    """
    axes = stored_axes(sweep)
    changes = Changes(software, parameters, sweep, structures)
    _refuse_clash(software, parameters, axes, structures)
    _refuse_large(changes, count_of(sweep))
    turns = next((i for i, axis in enumerate(axes) if axis["parameter"] == ROTATION), None)
    if turns is not None:
        for key in _structure_keys(axes):
            for angle in axes[turns]["values"]:
                changes.structure_at(key, (turns, angle))
    for point in _points_to_check(axes, turns):
        changed = changes.at(point)
        try:
            software.validate({**parameters, **changed})
        except InvalidParameters as error:
            raise _at_point(software, sweep, point, error) from None


def _structure_keys(axes: Sequence[Mapping[str, Any]]) -> list[tuple[int, int] | None]:
    for place, axis in enumerate(axes):
        if axis["parameter"] == STRUCTURE:
            return [(place, key) for key in axis["structures"]]
    return [None]


def _points_to_check(axes: Sequence[Mapping[str, Any]], turns: int | None) -> Iterator[Point]:
    return product(
        *(axis["values"][:1] if i == turns else axis["values"] for i, axis in enumerate(axes))
    )


def _refuse_clash(
    software: Software,
    parameters: Mapping[str, Any],
    axes: Sequence[Mapping[str, Any]],
    structures: Structures,
) -> None:
    """A structure that varies brings its own cell; that cannot be varied beside it."""
    if not any(axis["parameter"] in (STRUCTURE, ROTATION) for axis in axes):
        return
    own = _structure_names(software, parameters)
    for structure in list(structures.values())[:1]:
        own |= set(software.structure_parameters(structure))
    for place, axis in enumerate(axes):
        if axis["parameter"] in own and axis["parameter"] not in (STRUCTURE, ROTATION):
            words = "is set by the structure that varies too; remove one of the two"
            raise InvalidSweep({f"sweep.axes.{place}.parameter": words})


def _refuse_large(changes: Changes, runs: int) -> None:
    keys = _structure_keys(changes.axes)
    place = next((i for i, a in enumerate(changes.axes) if a["parameter"] == ROTATION), None)
    if keys == [None] and place is None:
        return
    atoms = sum(len(changes.structure_at(key, None).atoms) for key in keys)
    written = atoms * runs // len(keys)
    if written > MAX_ATOMS_WRITTEN:
        at = place if place is not None else keys[0][0] if keys[0] else 0
        words = (
            f"writes {written:,} atoms in {runs:,} inputs; at most {MAX_ATOMS_WRITTEN:,} are "
            "allowed, take fewer values or smaller structures"
        )
        raise InvalidSweep({f"sweep.axes.{at}.values": words})


def _at_point(
    software: Software, sweep: Mapping[str, Any], point: Point, error: InvalidParameters
) -> InvalidSweep:
    """Say the error at the axis that it names, else at the first."""
    axes = stored_axes(sweep)
    own = [COMPONENTS if axis["parameter"] == FIELD else (axis["parameter"],) for axis in axes]
    place = next((i for i, n in enumerate(own) if set(n) & set(error.errors)), 0)
    labels = {p.name: p.label for p in software.parameters}
    where = ", ".join(
        f"{axis.label.lower()} {value}{' ' if axis.unit else ''}{axis.unit}"
        for axis, value in zip(axes_of_sweep(sweep, software), point, strict=True)
    )
    what = "; ".join(f"{labels.get(name, name)} {text}" for name, text in error.errors.items())
    return InvalidSweep({f"sweep.axes.{place}.values": f"at {where}: {what}"})
