"""Turning a structure, or some of its atoms, about an axis; the cell stays as it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from calculations.software.structure import (
    LEAST_DISTANCE,
    Structure,
    StructureError,
    Vector,
    refuse_overlap,
)
from calculations.sweeps.ranges import InvalidAxis

ALL = "all"
PART = re.compile(r"(\d{1,6})(?:\s*-\s*(\d{1,6}))?", re.ASCII)


def read_selection(text: Any) -> str:
    """Return a selection such as 1-3,7 in one way of writing. Raises InvalidAxis."""
    words = str(text if text is not None else ALL).strip().lower()
    if words in ("", ALL):
        return ALL
    parts = []
    for part in (piece.strip() for piece in words[:1000].split(",")):
        found = PART.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if found is None or not 1 <= first <= last:
            raise InvalidAxis(
                {"atoms": f"{part[:30]!r} names no atoms; write numbers from 1, such as 1-3,7"}
            )
        parts.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(parts)


def selected(selection: str, count: int) -> list[int]:
    """Return the places (from 0) of the chosen atoms. Raises InvalidAxis beyond the structure."""
    if selection == ALL:
        return list(range(count))
    places: dict[int, None] = {}
    for part in selection.split(","):
        first, _, last = part.partition("-")
        if int(last or first) > count:
            words = f"names atom {int(last or first)}, but the structure has {count}"
            raise InvalidAxis({"atoms": words})
        places.update(dict.fromkeys(range(int(first) - 1, int(last or first))))
    return list(places)


def turned(structure: Structure, stored: Mapping[str, Any], angle: float) -> Structure:
    """Return the structure turned by `angle` degrees. Raises InvalidAxis where atoms meet."""
    chosen = selected(stored["atoms"], len(structure.atoms))
    origin = _origin(structure, stored["about"], chosen)
    matrix = rodrigues(stored["axis"], math.radians(angle))
    atoms = list(structure.atoms)
    for place in chosen:
        atoms[place] = replace(atoms[place], position=_moved(matrix, atoms[place].position, origin))
    found = replace(structure, atoms=tuple(atoms))
    try:
        refuse_overlap(found.atoms, LEAST_DISTANCE, found.cell, found.periodic)
    except StructureError as error:
        words = f"at {angle:g}°, {error}; leave that angle out or turn other atoms"
        raise InvalidAxis({"values": words}) from None
    return found


def rodrigues(axis: Sequence[float], angle: float) -> tuple[Vector, Vector, Vector]:
    """The matrix of a rotation by `angle` (radians) about `axis`, by Rodrigues' formula."""
    length = math.hypot(*axis)
    x, y, z = (float(value) / length for value in axis)
    c, s = math.cos(angle), math.sin(angle)
    t = 1.0 - c
    return (
        (c + x * x * t, x * y * t - z * s, x * z * t + y * s),
        (y * x * t + z * s, c + y * y * t, y * z * t - x * s),
        (z * x * t - y * s, z * y * t + x * s, c + z * z * t),
    )


def _moved(matrix: Sequence[Vector], position: Vector, origin: Vector) -> Vector:
    away = [position[i] - origin[i] for i in range(3)]
    x, y, z = (origin[i] + sum(matrix[i][j] * away[j] for j in range(3)) for i in range(3))
    return (x, y, z)


def _origin(structure: Structure, about: Any, chosen: Sequence[int]) -> Vector:
    """The centre is that of the atoms that turn."""
    if not isinstance(about, str):
        x, y, z = about
        return (x, y, z)
    weights = [1.0] * len(chosen)
    if about == "mass":
        from ase.data import atomic_masses

        weights = [float(atomic_masses[structure.atoms[i].number]) for i in chosen]
    total = math.fsum(weights)
    x, y, z = (
        math.fsum(
            w * structure.atoms[i].position[axis] for w, i in zip(weights, chosen, strict=True)
        )
        / total
        for axis in range(3)
    )
    return (x, y, z)
