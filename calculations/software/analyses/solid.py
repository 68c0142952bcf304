"""The equation of state of a solid from runs that stretch the whole crystal.

Whether a sweep does so is read off the cells and the atoms that the runs report, so that it holds
for a lattice parameter, a scale of all lengths, or a list of structures alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.analyses.geometry import whole_rows
from calculations.software.analysis import LARGEST, Run, number_of, swept_parameter
from calculations.software.base import Analysis, NotComputable
from calculations.software.equation_of_state import VOLUMES, EquationOfState, fit
from calculations.software.parameters import Parameter
from calculations.software.results import Chart, Dataset, Quantity, Results
from calculations.software.structure import Vector
from calculations.software.tables import table

CURVE_POINTS = 41
SHAPE = 2e-3  # how much the vectors of a stretched cell may differ from its multiple
LEAST_POINTS = 3
SMALLEST, LARGEST_VOLUME = VOLUMES
NOT_STRETCHED = (
    "the runs do not stretch a whole crystal: vary its lattice parameter or scale, with the atoms "
    "in fractions of the cell"
)


@dataclass(frozen=True)
class Point:
    """Å³, eV, and how long lengths are against those of the first run."""

    volume: float
    energy: float
    stretch: float


def equation_of_state(
    parameters: Sequence[Parameter], *, requires: tuple[str, ...] = ("energy",)
) -> Analysis:
    """Define it for a program that reports `volume`, `cell` and `geometry`."""

    def compute(runs: Sequence[Run]) -> Results:
        points = _points(runs)
        found = fit([point.volume for point in points], [point.energy for point in points])
        if found is None:
            raise NotComputable("the energies have no minimum that a fit could find")
        quantities = _quantities(found, points) + _swept_at(found, runs, parameters)
        return Results(tuple(quantities), tuple(filter(None, [_curve(found, points)])))

    return Analysis(
        "equation_of_state",
        "Equation of state",
        "calculation",
        compute,
        requires=requires,
        version=2,
        help="Birch-Murnaghan fit of energy against volume, for a sweep that stretches the whole "
        "crystal.",
        units={
            "eos_volume": "Å³",
            "eos_energy": "eV",
            "eos_rms": "eV",
            "eos_minimum": "",
            "bulk_modulus": "GPa",
            "bulk_modulus_derivative": "",
            "eos_*": "*",
        },
        lacks=_lacks(parameters),
        charts=(
            Chart(
                "equation_of_state",
                "volume",
                ("energy", "fit"),
                "Equation of state",
                style="line+markers",
            ),
        ),
    )


def _lacks(known: Sequence[Parameter]) -> Callable[[Mapping[str, Any], Sequence[str]], str]:
    """What stretches a crystal is a length, a scale, or another structure; nothing else does."""
    lengths = {p.name for p in known if p.name in ("scale", "celldm")} | {"structure"}

    def lacks(parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
        return "" if lengths & set(swept) else NOT_STRETCHED

    return lacks


def _points(runs: Sequence[Run]) -> list[Point]:
    first: Results | None = None
    points = []
    for _, results in runs:
        volume, energy = number_of(results, "volume"), number_of(results, "total_energy")
        if volume is None or energy is None or not SMALLEST < volume < LARGEST_VOLUME:
            continue
        first = first or results
        stretch = _stretch(first, results)
        if stretch is None:
            raise NotComputable(NOT_STRETCHED)
        points.append(Point(volume, energy, stretch))
    if len({round(point.volume, 6) for point in points}) < LEAST_POINTS:
        raise NotComputable(f"fewer than {LEAST_POINTS} valid runs differ in their volume")
    return sorted(points, key=lambda point: point.volume)


def _stretch(first: Results, results: Results) -> float | None:
    """Return by what one crystal is the multiple of another; None where it is none."""
    before, after = whole_rows(first.dataset("cell")), whole_rows(results.dataset("cell"))
    if len(before) != 3 or len(after) != 3:
        return None
    whole = math.hypot(*(x for row in before for x in row))
    if whole == 0.0:
        return None
    scale = math.hypot(*(x for row in after for x in row)) / whole
    if scale == 0.0:
        return None
    size = max(abs(x) for row in after for x in row)
    off = max(abs(a[i] - scale * b[i]) for a, b in zip(after, before) for i in range(3))
    if off > SHAPE * size:
        return None
    one, other = (_spread(whole_rows(r.dataset("geometry"))) for r in (first, results))
    if one > 0 and other > 0 and abs(scale - 1) > 1e-6:
        # A molecule in a growing box keeps its size: atoms must follow for more than the half.
        share = math.log(other / one) / math.log(scale)
        if share < 0.5:
            return None
    return scale


def _spread(places: Sequence[Vector]) -> float:
    """Return the root mean square distance (Å) of the atoms from their centre."""
    if len(places) < 2:
        return 0.0
    centre = [math.fsum(p[i] for p in places) / len(places) for i in range(3)]
    return math.sqrt(math.fsum(math.dist(p, centre) ** 2 for p in places) / len(places))


def _quantities(found: EquationOfState, points: Sequence[Point]) -> list[Quantity]:
    if not found.inside:
        side = "smaller" if found.volume < points[0].volume else "larger"
        text = f"outside of the volumes computed: add {side} ones"
        return [Quantity("eos_minimum", "Minimum of the energy", text)]
    rows: list[tuple[str, str, Any, str]] = [
        ("eos_volume", "Volume at the minimum", round(found.volume, 6), "Å³"),
        ("eos_energy", "Energy at the minimum", round(found.energy, 8), "eV"),
        ("bulk_modulus", "Bulk modulus", round(found.bulk_modulus, 4), "GPa"),
    ]
    if found.derivative is not None:
        label = "Pressure derivative of the bulk modulus"
        rows.append(("bulk_modulus_derivative", label, round(found.derivative, 4), ""))
    rows.append(("eos_rms", "Left over by the fit", round(found.rms, 9), "eV"))
    return [Quantity(*row) for row in rows]


def _swept_at(
    found: EquationOfState, runs: Sequence[Run], parameters: Sequence[Parameter]
) -> list[Quantity]:
    """The swept length at the minimum, where it is one: where volumes go with its cube."""
    swept = swept_parameter(runs)
    if swept is None or not found.inside:
        return []
    known = [
        (value, volume)
        for value, (_, results) in zip(swept.values, runs)
        if (volume := number_of(results, "volume")) is not None
        and SMALLEST < volume < LARGEST_VOLUME
    ]
    if not known or any(not 0 < value < LARGEST for value, _ in known):
        return []
    value, volume = min(known, key=lambda pair: abs(pair[1] - found.volume))
    if any(abs((v / value) ** 3 * volume / other - 1) > 5e-3 for v, other in known):
        return []
    at = value * (found.volume / volume) ** (1 / 3)
    parameter = next((p for p in parameters if p.name == swept.name), None)
    label, unit = (parameter.label, parameter.unit) if parameter else (swept.label, swept.unit)
    return [Quantity(f"eos_{swept.name}", f"{label} at the minimum", round(at, 6), unit)]


def _curve(found: EquationOfState, points: Sequence[Point]) -> Dataset | None:
    low, high = points[0].volume, points[-1].volume
    grid = [low + (high - low) * i / (CURVE_POINTS - 1) for i in range(CURVE_POINTS)]
    rows: list[tuple[Any, ...]] = [
        (round(p.volume, 6), round(p.energy, 8), round(found.at(p.volume), 8)) for p in points
    ]
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
