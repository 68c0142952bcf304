"""What a relaxation did: the way of the energy, how far the atoms went, how the cell changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.analyses import distances
from calculations.software.analyses.geometry import whole_rows
from calculations.software.analysis import is_number, is_sane, needed, rows_of
from calculations.software.base import Analysis, NotComputable
from calculations.software.results import Chart, Column, Dataset, Quantity, Results
from calculations.software.structure import Vector, volume
from calculations.software.tables import table

NOT_RELAXED = "the geometry was not optimised: switch the optimisation on"


def relaxation(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The way to the relaxed geometry: the energy above the last, and the largest force."""
    steps = needed(results, "geometry_steps", NOT_RELAXED)
    rows = rows_of(steps, "geometry", "energy", "max_force")
    known = [row[1] for row in rows if is_number(row[1])]
    if not known:
        raise NotComputable("the output names no energies of the geometries")
    last = known[-1]
    above = tuple(round(row[1] - last, 8) if is_number(row[1]) else None for row in rows)
    columns = (
        Column("geometry", "Geometry", "", tuple(row[0] for row in rows)),
        Column("energy", "Energy above the last", "eV", above),
        Column("max_force", "Largest force component", "eV/Å", tuple(row[2] for row in rows)),
    )
    gained = Quantity("energy_gained", "Energy gained", round(known[0] - last, 8), "eV")
    return Results((gained,), (Dataset("relaxation", "Relaxation", "series", columns),))


def change(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The RMSD against the input, each atom's way, and the change of the cell.

    Atoms go the shortest way through the walls of the cell; a cell that changes carries them
    along, and the mean of all ways is taken out, since no force fixes the origin.
    """
    frames = _frames(needed(results, "trajectory", NOT_RELAXED))
    if len(frames) < 2 or len(frames[0]) != len(frames[-1]):
        raise NotComputable(NOT_RELAXED)
    cells = _cells(results.dataset("trajectory_cells"))
    fixed = whole_rows(results.dataset("cell"))
    first, last = (cells[0], cells[-1]) if cells else (fixed, fixed)
    symbols = [symbol for symbol, _ in frames[0]]
    start = [place for _, place in frames[0]]
    ways = displacements(start, [place for _, place in frames[-1]], first, last)
    sizes = [math.hypot(*way) for way in ways]
    rmsd = math.sqrt(math.fsum(size * size for size in sizes) / len(sizes))
    quantities = [
        Quantity("rmsd", "RMSD against the input", round(rmsd, 6), "Å"),
        Quantity("largest_displacement", "Longest way of an atom", round(max(sizes), 6), "Å"),
    ]
    rows = [
        (i, symbol, *(round(value, 6) + 0.0 for value in way), round(size, 6))
        for i, (symbol, way, size) in enumerate(zip(symbols, ways, sizes), start=1)
    ]
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        *((axis, f"Way, {axis}", "Å") for axis in "xyz"),
        ("way", "Way", "Å"),
    )
    datasets = [table("displacements", "Ways of the atoms", "table", heads, rows)]
    if len(cells) > 1 and cells[0] != cells[-1]:
        found = _cell_change(first, last)
        quantities += found.quantities
        datasets += found.datasets
    return Results(tuple(quantities), tuple(d for d in datasets if d is not None))


def _frames(dataset: Dataset) -> list[list[tuple[str, Vector]]]:
    frames: dict[Any, list[tuple[str, Vector]]] = {}
    for frame, symbol, *place in rows_of(dataset, "frame", "symbol", "x", "y", "z"):
        if not all(map(is_sane, place)):
            return []
        frames.setdefault(frame, []).append((str(symbol), (place[0], place[1], place[2])))
    return [frames[frame] for frame in sorted(frames)]


def _cells(dataset: Dataset | None) -> list[list[Vector]]:
    if dataset is None:
        return []
    names = [f"{vector}{axis}" for vector in "abc" for axis in "xyz"]
    rows = sorted(rows_of(dataset, "frame", *names))
    return [
        [(row[1 + n], row[2 + n], row[3 + n]) for n in (0, 3, 6)]
        for row in rows
        if all(map(is_sane, row))
    ]


def displacements(
    start: Sequence[Vector], end: Sequence[Vector], first: Sequence[Vector], last: Sequence[Vector]
) -> list[Vector]:
    """Return each atom's way (Å), the mean taken out; cells are empty where there are none."""
    inverted = distances.inverse(first) if len(first) == 3 and len(last) == 3 else None
    carried = start
    if inverted is not None:
        carried = [distances.combine(distances.parts_of(p, inverted), last) for p in start]
    cell = last if inverted is not None else []
    ways = [distances.nearest_step(distances.subtract(b, a), cell) for a, b in zip(carried, end)]
    mean = [math.fsum(way[i] for way in ways) / len(ways) for i in range(3)]
    return [distances.subtract(way, mean) for way in ways]


def _cell_change(first: Sequence[Vector], last: Sequence[Vector]) -> Results:
    """Lengths, angles and volume of the cell before and after."""
    rows = []
    for label, unit, before, after in (
        *(
            (f"Length of {'abc'[i]}", "Å", math.hypot(*first[i]), math.hypot(*last[i]))
            for i in range(3)
        ),
        *((f"Angle {'αβγ'[i]}", "°", cell_angle(first, i), cell_angle(last, i)) for i in range(3)),
        ("Volume", "Å³", abs(volume(first)), abs(volume(last))),
    ):
        rows.append((label, unit, round(before, 6), round(after, 6), round(after - before, 6)))
    before, after = rows[-1][2:4]
    percent = 100 * (after / before - 1) if before else 0.0
    heads = (
        ("measure", "Measure of the cell", ""),
        ("unit", "Unit", ""),
        ("before", "Before", ""),
        ("after", "After", ""),
        ("change", "Change", ""),
    )
    found = table("cell_change", "Change of the cell", "table", heads, rows)
    label = "Change of the cell volume"
    return Results(
        (Quantity("volume_change", label, round(percent, 5), "%"),), (found,) if found else ()
    )


def cell_angle(cell: Sequence[Vector], of: int) -> float:
    """Return the angle (°) between the two other vectors: alpha, beta or gamma."""
    u, v = (cell[i] for i in range(3) if i != of)
    if not (math.hypot(*u) and math.hypot(*v)):
        raise NotComputable("a vector of the cell has no length")
    cosine = math.fsum(a * b for a, b in zip(u, v)) / (math.hypot(*u) * math.hypot(*v))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


RELAXATION = Analysis(
    "relaxation",
    "Relaxation",
    "run",
    relaxation,
    default=False,
    help="Energy and largest force of each step of an optimisation.",
    units={"energy_gained": "eV"},
    charts=(
        Chart("relaxation", "geometry", ("energy",), "Relaxation", style="line+markers"),
        Chart(
            "relaxation",
            "geometry",
            ("max_force",),
            "Largest force",
            style="line+markers",
            log_y=True,
        ),
    ),
)
CHANGE = Analysis(
    "geometry_change",
    "Change of the geometry",
    "run",
    change,
    requires=("relaxation",),
    default=False,
    help="RMSD against the input, the way of each atom, and how the cell changed.",
    units={"rmsd": "Å", "largest_displacement": "Å", "volume_change": "%"},
)
