"""The levels of one run, counted from the Fermi level or the highest occupied, and the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from calculations.software.analysis import is_number, needed, rows_of
from calculations.software.base import Analysis, NotComputable
from calculations.software.results import Chart, Column, Dataset, Quantity, Results


def eigenvalues(results: Results, parameters: Mapping[str, Any]) -> Results:
    """The levels in rising order, and the smallest gap at one k-point."""
    levels = needed(results, "eigenvalues", "the output holds no eigenvalues")
    zero = results.quantity("fermi_energy") or results.quantity("homo")
    if zero is None or not is_number(zero.value):
        raise NotComputable("the output names neither a Fermi level nor the highest occupied level")
    rows = sorted(rows_of(levels, "energy", "k", "spin", "occupied"))
    word = zero.label[0].lower() + zero.label[1:] if zero.name == "homo" else "Fermi level"
    energies = tuple(round(row[0] - float(zero.value), 6) for row in rows)
    columns = (
        Column("index", "Level", "", tuple(range(1, len(rows) + 1))),
        Column("energy", f"Energy from the {word}", "eV", energies),
        Column("k", "k-point", "", tuple(row[1] for row in rows)),
        Column("spin", "Spin", "", tuple(row[2] for row in rows)),
        Column("occupied", "Occupied", "", tuple(row[3] for row in rows)),
    )
    edges: dict[Any, tuple[float, float]] = {}
    for energy, k, spin, occupied in rows:
        top, bottom = edges.get((k, spin), (-math.inf, math.inf))
        edges[k, spin] = (max(top, energy), bottom) if occupied else (top, min(bottom, energy))
    direct = min((bottom - top for top, bottom in edges.values()), default=math.inf)
    quantities = ()
    if math.isfinite(direct):
        quantities = (Quantity("direct_gap", "Smallest direct gap", round(direct, 6), "eV"),)
    return Results(quantities, (Dataset("levels", "Levels", "series", columns),))


EIGENVALUES = Analysis(
    "eigenvalues",
    "Eigenvalues and gap",
    "run",
    eigenvalues,
    help="Levels from the Fermi level or the highest occupied, and the smallest direct gap.",
    units={"direct_gap": "eV"},
    charts=(Chart("levels", "index", ("energy",), "Levels", style="levels"),),
)
