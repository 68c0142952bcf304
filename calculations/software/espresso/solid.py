"""The equation of state of a solid from a sweep that stretches the whole crystal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculations.software.analysis import Run, is_number, swept_parameter
from calculations.software.equation_of_state import EquationOfState, fit
from calculations.software.espresso.tables import table
from calculations.software.results import Quantity, Results

STRETCHES = {"scale": "Scale", "celldm": "Lattice parameter"}
CURVE_POINTS = 41


def equation_of_state(runs: Sequence[Run]) -> Results:
    """Volume, energy and bulk modulus of the minimum; the curve beside the points.

    Only where the crystal as a whole was stretched: a box that grows around a molecule has no
    equation of state. A minimum outside of the volumes computed is not reported as one.
    """
    swept = swept_parameter(runs)
    if swept is None or swept.name not in STRETCHES or not _whole_crystal(runs, swept.name):
        return Results()
    points = []
    for value, (_, results) in zip(swept.values, runs):
        volume, energy = (_value(results, name) for name in ("volume", "total_energy"))
        if volume is not None and energy is not None and volume > 0:
            points.append((volume, energy, value))
    points.sort()
    found = fit([point[0] for point in points], [point[1] for point in points])
    if found is None:
        return Results()
    return Results(
        tuple(_quantities(found, points, swept.name)),
        tuple(filter(None, [_curve(found, points)])),
    )


def _whole_crystal(runs: Sequence[Run], name: str) -> bool:
    relative = all(parameters.get("units") != "angstrom" for parameters, _ in runs)
    return name == "scale" or relative


def _value(results: Results, name: str) -> float | None:
    found = results.quantity(name)
    return float(found.value) if found is not None and is_number(found.value) else None


def _quantities(
    found: EquationOfState, points: Sequence[tuple[float, float, float]], name: str
) -> list[Quantity]:
    if not found.inside:
        side = "smaller" if found.volume < points[0][0] else "larger"
        text = f"outside of the volumes computed: add {side} ones"
        return [Quantity("eos_minimum", "Minimum of the energy", text)]
    near = min(points, key=lambda point: abs(point[0] - found.volume))
    at = near[2] * (found.volume / near[0]) ** (1 / 3)  # volume goes with the cube of a length
    unit = "Bohr" if name == "celldm" else ""
    rows: list[tuple[str, str, Any, str]] = [
        ("eos_volume", "Volume at the minimum", round(found.volume, 6), "Å³"),
        ("eos_energy", "Energy at the minimum", round(found.energy, 8), "eV"),
        (f"eos_{name}", f"{STRETCHES[name]} at the minimum", round(at, 6), unit),
        ("bulk_modulus", "Bulk modulus", round(found.bulk_modulus, 4), "GPa"),
    ]
    if found.derivative is not None:
        label = "Pressure derivative of the bulk modulus"
        rows.append(("bulk_modulus_derivative", label, round(found.derivative, 4), ""))
    rows.append(("eos_rms", "Left over by the fit", round(found.rms, 9), "eV"))
    return [Quantity(*row) for row in rows]


def _curve(found: EquationOfState, points: Sequence[tuple[float, float, float]]) -> Any:
    low, high = points[0][0], points[-1][0]
    grid = [low + (high - low) * i / (CURVE_POINTS - 1) for i in range(CURVE_POINTS)]
    rows = [(round(v, 6), round(e, 8), round(found.at(v), 8)) for v, e, _ in points]
    computed = {row[0] for row in rows}
    rows += [
        (round(v, 6), None, round(found.at(v), 8)) for v in grid if round(v, 6) not in computed
    ]
    heads = (
        ("volume", "Cell volume", "Å³"),
        ("energy", "Total energy", "eV"),
        ("fit", "Birch-Murnaghan fit", "eV"),
    )
    rows.sort(key=lambda row: row[0])
    return table("equation_of_state", "Equation of state", "series", heads, rows)
