"""What is computed from a geometry: neighbours, the sizes of forces, the way to the minimum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from calculations.software.analysis import is_number
from calculations.software.espresso.tables import table
from calculations.software.results import Column, Dataset, Quantity, Results
from calculations.software.structure import Vector

Parameters = Mapping[str, Any]
MAX_ATOMS = 200  # each is compared with 27 images of each


def values(dataset: Dataset, *names: str) -> list[tuple[Any, ...]]:
    """Return the rows of some columns."""
    columns = [dataset.column(name).values for name in names]
    return [tuple(column[i] for column in columns) for i in range(len(columns[0]))]


def _whole(dataset: Dataset | None) -> list[Vector]:
    rows = values(dataset, "x", "y", "z") if dataset is not None else []
    return [row for row in rows if all(map(is_number, row))] if rows else []


def forces(results: Results, parameters: Parameters) -> Results:
    """The size of each atom's force, their root mean square, and the net force, ideally 0."""
    found = results.dataset("forces")
    rows = _whole(found)
    if found is None or not rows:
        return Results()
    count = len(rows)
    rms = math.sqrt(math.fsum(value * value for row in rows for value in row) / (3 * count))
    net = math.sqrt(sum(math.fsum(row[i] for row in rows) ** 2 for i in range(3)))
    label = "Root mean square of the force components"
    sizes = Dataset(
        "force_sizes",
        "Force on each atom",
        "series",
        (found.column("atom"), found.column("norm")),
    )
    quantities = (
        Quantity("rms_force", label, round(rms, 8), "eV/Å"),
        Quantity("net_force", "Net force", round(net, 8), "eV/Å"),
    )
    return Results(quantities, (sizes,))


def geometry(results: Results, parameters: Parameters) -> Results:
    """The nearest neighbour of each atom, periodic images included."""
    atoms, cell = results.dataset("geometry"), _whole(results.dataset("cell"))
    places = _whole(atoms)
    if atoms is None or not 0 < len(places) <= MAX_ATOMS:
        return Results()
    symbols = atoms.column("symbol").values
    if len(symbols) != len(places):
        return Results()
    rows = []
    for i, place in enumerate(places):
        near = _nearest(i, place, places, cell if len(cell) == 3 else [])
        if near is not None:
            distance, j = near
            rows.append((i + 1, symbols[i], symbols[j], j + 1, round(distance, 6)))
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        ("neighbour_symbol", "Nearest neighbour", ""),
        ("neighbour", "Its number", ""),
        ("distance", "Distance", "Å"),
    )
    found = table("neighbours", "Nearest neighbours", "table", heads, rows)
    if found is None:
        return Results()
    shortest = min(row[4] for row in rows)
    return Results((Quantity("shortest_distance", "Shortest distance", shortest, "Å"),), (found,))


def _nearest(
    i: int, place: Vector, places: Sequence[Vector], cell: Sequence[Vector]
) -> tuple[float, int] | None:
    """Return (distance, number) of the nearest other atom, or of an image of any."""
    steps = product((-1, 0, 1), repeat=3) if cell else [(0, 0, 0)]
    best: tuple[float, int] | None = None
    for step in steps:
        shift = [sum(step[n] * cell[n][axis] for n in range(3)) if cell else 0 for axis in range(3)]
        origin = tuple(place[axis] - shift[axis] for axis in range(3))
        for j, other in enumerate(places):
            if j == i and step == (0, 0, 0):
                continue
            distance = math.dist(origin, other)
            if best is None or distance < best[0] - 1e-9:
                best = (distance, j)
    return best


def relaxation(results: Results, parameters: Parameters) -> Results:
    """The way to the relaxed geometry: the energy above the last, and the largest force."""
    steps = results.dataset("geometry_steps")
    if steps is None:
        return Results()
    rows = values(steps, "geometry", "energy", "max_force")
    known = [row[1] for row in rows if is_number(row[1])]
    if not known:
        return Results()
    last = known[-1]
    columns = (
        Column("geometry", "Geometry", "", tuple(row[0] for row in rows)),
        Column(
            "energy",
            "Energy above the last",
            "eV",
            tuple(round(row[1] - last, 8) if is_number(row[1]) else None for row in rows),
        ),
        Column("max_force", "Largest force component", "eV/Å", tuple(row[2] for row in rows)),
    )
    gained = Quantity("energy_gained", "Energy gained", round(known[0] - last, 8), "eV")
    return Results((gained,), (Dataset("relaxation", "Relaxation", "series", columns),))
