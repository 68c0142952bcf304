"""Eigenvalues and bands as datasets, and the levels beside the gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calculations.software.analysis import thin
from calculations.software.espresso.inputs import BANDS_INPUT
from calculations.software.espresso.namelists import NamelistError, read
from calculations.software.espresso.report import Levels, Report
from calculations.software.reading import integer, lines
from calculations.software.results import Dataset
from calculations.software.tables import table

MAX_LEVELS = 3000
MAX_BAND_ROWS = 12_000
MAX_PATH_POINTS = 200
MAX_INPUT_LINES = 20_000

Path3 = tuple[float, float, float]


def reference(report: Report) -> float | None:
    """The energy that parts occupied from empty levels: Fermi level, or the highest occupied."""
    return report.fermi if report.fermi is not None else report.homo


def frontier(report: Report) -> tuple[float | None, float | None, float | None]:
    """Return (highest occupied level, lowest empty level, gap), None for what is not known.

    pw.x names the levels itself where occupations are fixed. With a Fermi level they follow from
    the eigenvalues, and a metal, in which a band crosses it, has the gap 0.
    """
    if report.fermi is None:
        gap = None
        if report.homo is not None and report.lumo is not None:
            gap = report.lumo - report.homo
        return report.homo, report.lumo, gap
    below: list[float] = []
    above: list[float] = []
    counts: dict[int, set[int]] = {}
    for level in report.levels:
        known = [energy for energy in level.energies if energy is not None]
        occupied = [energy for energy in known if energy <= report.fermi]
        counts.setdefault(level.spin, set()).add(len(occupied))
        below += occupied
        above += [energy for energy in known if energy > report.fermi]
    if any(len(found) > 1 for found in counts.values()):
        return None, None, 0.0
    if not below or not above:
        return max(below, default=None), min(above, default=None), None
    return max(below), min(above), min(above) - max(below)


def eigenvalues(report: Report) -> Dataset | None:
    """All levels where they are few; else those near the Fermi level, of some k-points."""
    level = reference(report)
    if not report.levels or level is None:
        return None
    widest = max(len(found.energies) for found in report.levels)
    per_k = min(widest, 60) if len(report.levels) * widest > MAX_LEVELS else widest
    numbered = _numbered(report.levels)
    rows: list[tuple[Any, ...]] = []
    for k, found in thin(numbered, max(2, MAX_LEVELS // max(1, per_k))):
        known = [(i, e) for i, e in enumerate(found.energies, start=1) if e is not None]
        nearest = sorted(known, key=lambda pair: abs(pair[1] - level))[:per_k]
        rows += [(k, found.spin, i, e, 1 if e <= level else 0) for i, e in sorted(nearest)]
    heads = (
        ("k", "k-point", ""),
        ("spin", "Spin", ""),
        ("band", "Band", ""),
        ("energy", "Energy", "eV"),
        ("occupied", "Occupied", ""),
    )
    return table("eigenvalues", "Eigenvalues", "table", heads, rows[: 2 * MAX_LEVELS])


def _numbered(levels: Sequence[Levels]) -> list[tuple[int, Levels]]:
    counts = {1: 0, 2: 0}
    found = []
    for level in levels:
        counts[level.spin] += 1
        found.append((counts[level.spin], level))
    return found


def _spins(report: Report) -> list[list[Levels]]:
    return [s for s in ([x for x in report.band_levels if x.spin == n] for n in (1, 2)) if s]


def _points(report: Report) -> list[Path3]:
    """The k-points along the path: with seven digits where pw.x listed them, else with four."""
    count = len(_spins(report)[0]) if report.band_levels else 0
    listed: Sequence[Sequence[float | None]] = report.k_points[:count]
    if len(listed) != count:
        listed = [level.k for level in _spins(report)[0]]
    found = []
    for k in listed:
        x, y, z = (*k[:3], None, None, None)[:3]
        if x is None or y is None or z is None:
            return []
        found.append((x, y, z))
    return found


def _distances(report: Report) -> list[float]:
    """How far along the path each k-point lies, in 1/Bohr."""
    points = _points(report)
    if not points or not report.alat:
        return []
    unit = 2 * math.pi / report.alat
    total, found = 0.0, [0.0]
    for before, after in zip(points, points[1:]):
        total += math.dist(before, after) * unit
        found.append(round(total, 6))
    return found


def bands(report: Report) -> Dataset | None:
    """Band after band along the path; an empty row between two breaks the line there."""
    distances, level = _distances(report), reference(report)
    if not distances:
        return None
    curves: list[tuple[int, int, list[float | None]]] = []
    for spin, found in enumerate(_spins(report), start=1):
        width = min(len(k.energies) for k in found)
        curves += [(spin, b, [k.energies[b] for k in found]) for b in range(width)]
    curves = [curve for curve in curves if len(curve[2]) == len(distances)]
    points = thin(range(len(distances)), MAX_PATH_POINTS)
    near = sorted(curves, key=lambda curve: _distance(curve[2], level))
    kept = sorted(near[: max(1, MAX_BAND_ROWS // (len(points) + 1))], key=lambda c: c[:2])
    rows: list[tuple[Any, ...]] = []
    for spin, band, energies in kept:
        if rows:
            rows.append((None, None, None, None))
        rows += [(distances[i], energies[i], band + 1, spin) for i in points]
    heads = (
        ("distance", "Distance along the path", "1/Bohr"),
        ("energy", "Energy", "eV"),
        ("band", "Band", ""),
        ("spin", "Spin", ""),
    )
    return table("bands", "Bands", "series", heads, rows)


def _distance(energies: Sequence[float | None], level: float | None) -> float:
    place = level or 0.0
    return min((abs(energy - place) for energy in energies if energy is not None), default=math.inf)


def band_labels(report: Report, folder: Path) -> Dataset | None:
    """The corners of the path, which bands.in names, where they lie."""
    distances = _distances(report)
    rows, place = [], 0
    for count, label in _corners(folder / BANDS_INPUT):
        if place >= len(distances):
            return None
        rows.append((distances[place], label))
        place += count
    heads = (("distance", "Distance along the path", "1/Bohr"), ("label", "k-point", ""))
    return table("band_labels", "Points of the path", "table", heads, rows)


def _corners(path: Path) -> list[tuple[int, str]]:
    """Return (number of points to the next corner, name) of each corner; none if unreadable."""
    text = []
    for number, line in lines(path):
        if number > MAX_INPUT_LINES:
            return []
        text.append(line)
    try:
        card = read("\n".join(text)).card("K_POINTS")
    except NamelistError:
        return []
    if card is None or card.option != "crystal_b":
        return []
    found = []
    for row, note in list(zip(card.rows, card.notes))[1:]:
        words = row.split()
        count = integer(words[3]) if len(words) > 3 else None
        if count is None or count < 1:
            return []
        found.append((count, note[:20] or " ".join(words[:3])[:60]))
    return found
