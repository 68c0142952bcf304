"""The geometry of one run: bonds, angles, and the nearest neighbour of each atom."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.analyses import distances
from calculations.software.analysis import is_sane, rows_of
from calculations.software.base import Analysis, NotComputable
from calculations.software.results import Dataset, Quantity, Results
from calculations.software.structure import ATOMIC_NUMBERS, Structure, Vector
from calculations.software.tables import table

MAX_ROWS = 1000
Read = Callable[[Mapping[str, Any]], "Structure | None"]


@dataclass(frozen=True)
class Bond:
    """`place` is where the image of `to` lies that is bonded."""

    of: int
    to: int
    length: float
    place: Vector


def whole_rows(dataset: Dataset | None) -> list[Vector]:
    """Return x, y, z of each row; none where a number is missing."""
    rows = rows_of(dataset, "x", "y", "z") if dataset is not None else []
    return [row for row in rows if all(map(is_sane, row))] if rows else []


def geometry(read: Read | None = None) -> Analysis:
    """Define it; `read` gives the structure from the parameters where the results hold none."""

    def compute(results: Results, parameters: Mapping[str, Any]) -> Results:
        symbols, places, cell = _found(results, parameters, read)
        if len(places) > distances.MAX_ATOMS:
            most = distances.MAX_ATOMS
            raise NotComputable(f"{len(places)} atoms are more than the {most} that are compared")
        near = _nearest(symbols, places, cell)
        bonds = bonds_of(symbols, places, cell)
        angles = _angles(symbols, places, bonds)
        shortest = min((row[4] for row in near), default=None)
        quantities = []
        if shortest is not None:
            quantities.append(Quantity("shortest_distance", "Shortest distance", shortest, "Å"))
        quantities += _means("bond", "Mean bond", _lengths(symbols, bonds), "Å")
        quantities += _means("angle", "Mean angle", _by_kind(angles), "°")
        datasets = (_near_table(near), _bond_table(symbols, bonds), _angle_table(angles))
        return Results(tuple(quantities), tuple(d for d in datasets if d is not None))

    return Analysis(
        "geometry",
        "Geometry",
        "run",
        compute,
        version=2,
        help="Bonds and angles, and the nearest neighbour of each atom, images included.",
        units={"shortest_distance": "Å", "bond_*": "Å", "angle_*": "°"},
    )


def _found(
    results: Results, parameters: Mapping[str, Any], read: Read | None
) -> tuple[list[str], list[Vector], list[Vector]]:
    atoms = results.dataset("geometry")
    if atoms is None and read is not None:
        structure = read(parameters)
        if structure is not None:
            places = [atom.position for atom in structure.atoms]
            return [a.symbol for a in structure.atoms], places, list(structure.cell or ())
    places = whole_rows(atoms)
    if atoms is None or not places or len(places) != len(atoms.columns[0].values):
        raise NotComputable("the output holds no whole geometry")
    cell = whole_rows(results.dataset("cell"))
    return [str(s) for s in atoms.column("symbol").values], places, cell if len(cell) == 3 else []


def _nearest(
    symbols: Sequence[str], places: Sequence[Vector], cell: Sequence[Vector]
) -> list[tuple[Any, ...]]:
    """The nearest other atom of each, or the nearest image of any."""
    shifts = distances.steps(cell, 1e-6)
    rows = []
    for i, place in enumerate(places):
        best = (math.inf, 0)
        for j, other in enumerate(places):
            for shift in shifts:
                image = [other[axis] + shift[axis] for axis in range(3)]
                distance = math.dist(place, image)
                if (j != i or distance > 1e-6) and distance < best[0] - 1e-9:
                    best = (distance, j)
        if math.isfinite(best[0]):
            distance, j = best
            rows.append((i + 1, symbols[i], symbols[j], j + 1, round(distance, 6)))
    return rows


def bonds_of(
    symbols: Sequence[str], places: Sequence[Vector], cell: Sequence[Vector]
) -> list[Bond]:
    """Return each bond from both of its ends: atoms nearer than their radii allow."""
    radii = [distances.radius(ATOMIC_NUMBERS.get(symbol.capitalize(), 0)) for symbol in symbols]
    reach = 2 * max(radii, default=0.0) + distances.SLACK
    return [
        Bond(i, j, length, image)
        for i, j, length, image in distances.neighbours(places, cell, reach)
        if length <= radii[i] + radii[j] + distances.SLACK
    ]


def _angles(
    symbols: Sequence[str], places: Sequence[Vector], bonds: Sequence[Bond]
) -> list[tuple[Any, ...]]:
    """Rows of (middle, end, end, kind, degrees), each angle once."""
    of: dict[int, list[Bond]] = {}
    for bond in bonds:
        of.setdefault(bond.of, []).append(bond)
    rows = []
    for middle, ends in of.items():
        for place, one in enumerate(ends):
            for other in ends[place + 1 :]:
                first, last = sorted((symbols[one.to], symbols[other.to]))
                u = distances.subtract(one.place, places[middle])
                v = distances.subtract(other.place, places[middle])
                cosine = math.fsum(a * b for a, b in zip(u, v)) / (one.length * other.length)
                angle = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
                kind = f"{first}_{symbols[middle]}_{last}"
                rows.append((middle + 1, one.to + 1, other.to + 1, kind, round(angle, 4)))
    return rows


def _lengths(symbols: Sequence[str], bonds: Sequence[Bond]) -> dict[str, list[float]]:
    kinds: dict[str, list[float]] = {}
    for bond in bonds:
        first, last = sorted((symbols[bond.of], symbols[bond.to]))
        kinds.setdefault(f"{first}_{last}", []).append(bond.length)
    return kinds


def _by_kind(angles: Sequence[tuple[Any, ...]]) -> dict[str, list[float]]:
    kinds: dict[str, list[float]] = {}
    for *_, kind, angle in angles:
        kinds.setdefault(kind, []).append(angle)
    return kinds


def _means(
    name: str, label: str, kinds: Mapping[str, Sequence[float]], unit: str
) -> list[Quantity]:
    return [
        Quantity(
            f"{name}_{kind}",
            f"{label}, {kind.replace('_', chr(0x2013))}",
            round(math.fsum(values) / len(values), 5),
            unit,
        )
        for kind, values in sorted(kinds.items())
    ]


def _near_table(rows: Sequence[tuple[Any, ...]]) -> Dataset | None:
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        ("neighbour_symbol", "Nearest neighbour", ""),
        ("neighbour", "Its number", ""),
        ("distance", "Distance", "Å"),
    )
    return table("neighbours", "Nearest neighbours", "table", heads, rows)


def _bond_table(symbols: Sequence[str], bonds: Sequence[Bond]) -> Dataset | None:
    rows = [
        (b.of + 1, b.to + 1, f"{symbols[b.of]}\N{EN DASH}{symbols[b.to]}", round(b.length, 6))
        for b in bonds
        if b.of <= b.to
    ]
    heads = (
        ("atom", "Atom", ""),
        ("other", "Bonded to", ""),
        ("kind", "Bond", ""),
        ("length", "Length", "Å"),
    )
    return table("bonds", "Bonds", "table", heads, rows[:MAX_ROWS])


def _angle_table(angles: Sequence[tuple[Any, ...]]) -> Dataset | None:
    rows = [(*row[:3], row[3].replace("_", "\N{EN DASH}"), row[4]) for row in angles[:MAX_ROWS]]
    heads = (
        ("middle", "Atom in the middle", ""),
        ("first", "End", ""),
        ("last", "Other end", ""),
        ("kind", "Angle", ""),
        ("angle", "Size", "°"),
    )
    return table("angles", "Angles", "table", heads, rows)
