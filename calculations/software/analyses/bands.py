"""The band structure of one run: energies from the valence band's top or the Fermi level, gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.analysis import is_number, needed, number_of, rows_of
from calculations.software.base import Analysis, NotComputable
from calculations.software.reading import real
from calculations.software.results import Chart, Column, Dataset, Quantity, Results

SAME_ENERGY = 2e-4  # eV: levels are printed with four digits
SAME_PLACE = 1e-5  # 1/Bohr

Point = tuple[float, float]  # energy, distance
Rows = Sequence[tuple[Any, ...]]  # distance, energy, band, spin
Edges = tuple[Point, Point]


def bands(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The bands from the top of the valence bands, or from the Fermi level of a metal."""
    table = needed(results, "bands", "the run computed no bands: switch them on")
    rows = rows_of(table, "distance", "energy", "band", "spin")
    fermi = number_of(results, "fermi_energy")
    filled = filled_bands(results)
    edges = _edges(rows, filled) if filled else None
    homo = number_of(results, "homo")
    zero = edges[0][0] if edges else (fermi if fermi is not None else homo)
    if zero is None:
        raise NotComputable("the output names neither a Fermi level nor the highest occupied level")
    name = "top of the valence bands" if edges else "Fermi level"
    shifted = tuple(round(row[1] - zero, 6) if is_number(row[1]) else None for row in rows)
    columns = (
        table.column("distance"),
        Column("energy", f"Energy from the {name}", "eV", shifted),
        table.column("band"),
        table.column("spin"),
    )
    corners = results.dataset("band_labels")
    labels = rows_of(corners, "distance", "label") if corners is not None else []
    return Results(
        tuple(_gap(rows, edges, fermi, labels)),
        (Dataset("band_structure", "Band structure", "series", columns),),
    )


def filled_bands(results: Results) -> dict[Any, int] | None:
    """Return how many bands of each spin the self-consistent step filled; None for a metal.

    The k-points of that step need not hold the band's edges, so its levels cannot tell where the
    gap lies along the path; the number of filled bands can.
    """
    levels = results.dataset("eigenvalues")
    if levels is None:
        return None
    filled: dict[tuple[Any, Any], int] = {}
    for k, spin, band, occupied in rows_of(levels, "k", "spin", "band", "occupied"):
        if not (is_number(band) and is_number(occupied)):
            return None
        filled[spin, k] = max(filled.get((spin, k), 0), int(band) if occupied else 0)
    counts: dict[Any, set[int]] = {}
    for (spin, _), count in filled.items():
        counts.setdefault(spin, set()).add(count)
    if any(len(found) > 1 for found in counts.values()):
        return None
    return {spin: found.pop() for spin, found in counts.items()}


def _edges(rows: Rows, filled: Mapping[Any, int]) -> Edges | None:
    """Return top of the valence and bottom of the conduction bands; None where bands overlap."""
    valence: list[Point] = []
    conduction: list[Point] = []
    for distance, energy, band, spin in rows:
        if is_number(energy) and is_number(distance) and is_number(band):
            target = valence if band <= filled.get(spin, 0) else conduction
            target.append((energy, distance))
    if not valence or not conduction:
        return None
    top, bottom = max(valence), min(conduction)
    return (top, bottom) if bottom[0] > top[0] else None


def _gap(
    rows: Rows, edges: Edges | None, fermi: float | None, labels: Sequence[tuple[Any, ...]]
) -> list[Quantity]:
    points = [(row[1], row[0]) for row in rows if is_number(row[1]) and is_number(row[0])]
    if edges is None:
        crossed = fermi is not None and points and min(points)[0] <= fermi < max(points)[0]
        return [Quantity("band_gap", "Gap along the path", 0.0, "eV")] if crossed else []
    top, bottom = edges
    tops = [place for energy, place in points if abs(energy - top[0]) < SAME_ENERGY]
    bottoms = [place for energy, place in points if abs(energy - bottom[0]) < SAME_ENERGY]
    direct = any(abs(a - b) < SAME_PLACE for a in tops for b in bottoms)
    found = [
        Quantity("band_gap", "Gap along the path", round(bottom[0] - top[0], 6), "eV"),
        Quantity("band_gap_direct", "Direct gap", direct),
        Quantity("valence_top", "Top of the valence bands", round(top[0], 6), "eV"),
    ]
    vertical = _smallest_vertical(points, top[0])
    if vertical is not None:
        label = "Smallest direct gap along the path"
        found.append(Quantity("band_gap_vertical", label, round(vertical, 6), "eV"))
    if labels:
        text = f"{_place(top[1], labels)} to {_place(bottom[1], labels)}"
        found.append(Quantity("band_gap_path", "Gap from", text))
    return found


def _smallest_vertical(points: Sequence[Point], top: float) -> float | None:
    """Return the least step at one place from a level up to `top` to one above it."""
    places: dict[float, tuple[list[float], list[float]]] = {}
    for energy, place in points:
        below, above = places.setdefault(place, ([], []))
        (below if energy <= top + SAME_ENERGY / 2 else above).append(energy)
    return min((min(up) - max(low) for low, up in places.values() if low and up), default=None)


def _place(distance: float, labels: Sequence[tuple[Any, ...]]) -> str:
    """Name a place of the path: a corner, or the way between two with how far along it is."""
    before, after = labels[0], labels[-1]
    for corner in labels:
        if abs(corner[0] - distance) < SAME_PLACE:
            return point_name(corner[1])
        if corner[0] < distance:
            before = corner
    after = next((corner for corner in labels if corner[0] > distance), after)
    part = (distance - before[0]) / (after[0] - before[0]) if after[0] > before[0] else 0.0
    return f"{part:.2f} of {point_name(before[1])}\N{RIGHTWARDS ARROW}{point_name(after[1])}"


def point_name(label: str) -> str:
    """Write a k-point's name as papers do: \\Gamma, gG and 0 0 0 are Γ."""
    plain = str(label).strip().lstrip("\\").strip("{}$")
    numbers = [real(word) for word in plain.split()]
    if len(numbers) == 3 and None not in numbers:
        return " ".join(f"{value:g}" for value in numbers) if any(numbers) else "Γ"
    return "Γ" if plain.lower() in ("gamma", "gg", "g") else plain


BANDS = Analysis(
    "bands",
    "Band structure",
    "run",
    bands,
    requires=("eigenvalues",),
    version=2,
    help="Bands along the path, the gap, and whether it is direct.",
    units={
        "band_gap": "eV",
        "band_gap_direct": "",
        "band_gap_vertical": "eV",
        "band_gap_path": "",
        "valence_top": "eV",
    },
    charts=(
        Chart("band_structure", "distance", ("energy",), "Band structure", ticks="band_labels"),
    ),
)
