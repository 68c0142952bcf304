"""The band structure of one run: energies from the valence band's top or the Fermi level, gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculations.software.analysis import is_number
from calculations.software.espresso.geometry import Parameters, values
from calculations.software.results import Column, Dataset, Quantity, Results

SAME_ENERGY = 2e-4  # eV: levels are printed with four digits
SAME_PLACE = 1e-5  # 1/Bohr

Point = tuple[float, float]  # energy, distance


def band_structure(results: Results, parameters: Parameters) -> Results:
    """The bands from the top of the valence bands, or from the Fermi level of a metal."""
    table = results.dataset("bands")
    if table is None:
        return Results()
    rows = values(table, "distance", "energy", "band", "spin")
    filled = filled_bands(results)
    fermi, homo = (_number(results, name) for name in ("fermi_energy", "homo"))
    edges = _edges(rows, filled) if filled else None
    zero = edges[0][0] if edges else (fermi if fermi is not None else homo)
    if zero is None:
        return Results()
    name = "the top of the valence bands" if edges else "the Fermi level"
    shifted = tuple(round(row[1] - zero, 6) if is_number(row[1]) else None for row in rows)
    columns = (
        table.column("distance"),
        Column("energy", f"Energy from {name}", "eV", shifted),
        table.column("band"),
        table.column("spin"),
    )
    return Results(
        tuple(_gap(rows, edges, fermi)),
        (Dataset("band_structure", "Band structure", "series", columns),),
    )


def _number(results: Results, name: str) -> float | None:
    found = results.quantity(name)
    return float(found.value) if found is not None and is_number(found.value) else None


def filled_bands(results: Results) -> dict[Any, int] | None:
    """Return how many bands of each spin the self-consistent step filled; None for a metal.

    The k-points of that step need not hold the band's edges, so its levels cannot tell where the
    gap lies along the path; the number of filled bands can.
    """
    levels = results.dataset("eigenvalues")
    if levels is None:
        return None
    filled: dict[tuple[Any, Any], int] = {}
    for k, spin, band, occupied in values(levels, "k", "spin", "band", "occupied"):
        if not (is_number(band) and is_number(occupied)):
            return None
        filled[spin, k] = max(filled.get((spin, k), 0), int(band) if occupied else 0)
    counts: dict[Any, set[int]] = {}
    for (spin, _), count in filled.items():
        counts.setdefault(spin, set()).add(count)
    if any(len(found) > 1 for found in counts.values()):
        return None
    return {spin: found.pop() for spin, found in counts.items()}


def _edges(rows: Sequence[tuple[Any, ...]], filled: dict[Any, int]) -> tuple[Point, Point] | None:
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
    rows: Sequence[tuple[Any, ...]], edges: tuple[Point, Point] | None, fermi: float | None
) -> list[Quantity]:
    points = [(row[1], row[0]) for row in rows if is_number(row[1]) and is_number(row[0])]
    if edges is None:
        crossed = fermi is not None and points and min(points)[0] <= fermi < max(points)[0]
        return [Quantity("band_gap", "Gap along the path", 0.0, "eV")] if crossed else []
    top, bottom = edges
    tops = [place for energy, place in points if abs(energy - top[0]) < SAME_ENERGY]
    bottoms = [place for energy, place in points if abs(energy - bottom[0]) < SAME_ENERGY]
    direct = any(abs(a - b) < SAME_PLACE for a in tops for b in bottoms)
    return [
        Quantity("band_gap", "Gap along the path", round(bottom[0] - top[0], 6), "eV"),
        Quantity("band_gap_direct", "Direct gap", direct),
        Quantity("valence_top", "Top of the valence bands", round(top[0], 6), "eV"),
    ]
