"""How self-consistency was reached: the measure that falls, and the decades gained by a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calculations.software.analysis import is_number, linear_fit, needed, rows_of
from calculations.software.base import Analysis
from calculations.software.results import Chart, Column, Dataset, Quantity, Results

Compute = Callable[[Results, Mapping[str, Any]], Results]


def convergence(step: str, measure: str, label: str, unit: str = "") -> Analysis:
    """Define it for a program whose dataset `scf` has the columns `step` and `measure`."""
    return Analysis(
        "convergence",
        "Convergence",
        "run",
        _compute(step, measure, label, unit),
        help="How the density and the energy settled.",
        units={"scf_rate": ""},
        charts=(
            Chart(
                "convergence",
                step,
                (measure, "energy_change"),
                "Convergence",
                style="line+markers",
                log_y=True,
            ),
        ),
    )


def _compute(step: str, measure: str, label: str, unit: str) -> Compute:
    def compute(results: Results, parameters: Mapping[str, Any]) -> Results:
        scf = needed(results, "scf", "the output holds no SCF iterations")
        names = {column.name for column in scf.columns}
        geometry = "geometry" if "geometry" in names else ""
        rows = rows_of(scf, step, measure, *([geometry] if geometry else []))
        changes = _energy_changes(scf, geometry)
        columns = (
            Column(step, scf.column(step).label, "", tuple(row[0] for row in rows)),
            Column(measure, label, unit, tuple(row[1] or None for row in rows)),
            Column("energy_change", "Change of the energy", scf.column("energy").unit, changes),
        )
        last = [row for row in rows if row[2:] == rows[-1][2:]]
        known = [row for row in last if is_number(row[1]) and row[1] > 0]
        fit = linear_fit([float(row[0]) for row in known], [math.log10(row[1]) for row in known])
        text = "Decades gained by an SCF iteration"
        quantities = (Quantity("scf_rate", text, round(-fit.slope, 4)),) if fit else ()
        return Results(quantities, (Dataset("convergence", "Convergence", "series", columns),))

    return compute


def _energy_changes(scf: Dataset, geometry: str) -> tuple[Any, ...]:
    """The change of each iteration, None at the first of a geometry; a program may print it."""
    names = {column.name for column in scf.columns}
    if "energy_change" in names:
        return scf.column("energy_change").values
    energies = scf.column("energy").values
    places: Sequence[Any] = scf.column(geometry).values if geometry else [0] * len(energies)
    changes: list[float | None] = [None]
    for i in range(1, len(energies)):
        whole = is_number(energies[i]) and is_number(energies[i - 1])
        same = whole and places[i] == places[i - 1]
        changes.append(round(abs(energies[i] - energies[i - 1]), 10) or None if same else None)
    return tuple(changes)
