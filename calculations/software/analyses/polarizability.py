"""How the dipole answers a swept electric field: one component, or the tensor of a grid of fields.

The fit is linear: fields must be small enough that the answer is. More than one component of the
field, or several components of the dipole, are fitted together by least squares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.analysis import (
    SWEPT,
    Run,
    is_sane,
    linear_fit,
    number_of,
    swept_parameters,
)
from calculations.software.base import Analysis, NotComputable
from calculations.software.fitting import solve
from calculations.software.parameters import Parameter
from calculations.software.results import Chart, Quantity, Results
from calculations.software.tables import table

Vector = tuple[float, float, float]

FIELDS = ("field_x", "field_y", "field_z")
AXES = "xyz"
NEEDS_FIELD = "vary the electric field, along one axis at least"
PARALLEL = 1e-9


@dataclass(frozen=True)
class Scale:
    """What a slope, in Debye over the field's own unit, is times `factor`, in `unit`.

    `volume` is the factor to Å³ where `unit` is another.
    """

    factor: float
    unit: str
    volume: float | None = None


def no_field(parameters: Mapping[str, Any], swept: Sequence[str]) -> str:
    return "" if any(name.startswith("field") for name in swept) else NEEDS_FIELD


def polarizability(
    scale: Scale, *, parameters: Sequence[Parameter], requires: tuple[str, ...] = ("dipole",)
) -> Analysis:
    """Define it for a program with the parameters field_x, field_y, field_z."""
    known = {p.name: p for p in parameters}

    def compute(runs: Sequence[Run]) -> Results:
        points = [point for point in map(_point, runs) if point is not None]
        directions = _directions([e for e, _ in points])
        if not swept_parameters(runs) or not directions:
            raise NotComputable(f"the valid runs differ in no field: {NEEDS_FIELD}")
        if len(directions) == 1:
            return _along(points, directions[0], scale, known)
        return _tensor(points, directions, scale)

    return Analysis(
        "polarizability",
        "Polarizability",
        "calculation",
        compute,
        requires=requires,
        version=2,
        help="Slope of the dipole against the field; the tensor, where the field is varied along "
        "several axes.",
        units={
            "polarizability_r2": "",
            "polarizability_volume": "Å³",
            "dipole_at_zero_field": "Debye",
            "polarizability*": scale.unit,
        },
        lacks=no_field,
        charts=(
            Chart(
                "polarizability_fit",
                SWEPT,
                ("dipole", "fit"),
                "Dipole along the field",
                style="line+markers",
            ),
        ),
    )


def _point(run: Run) -> tuple[Vector, Vector] | None:
    """Return (field, dipole) of a run, None where neither is known; a component of the dipole
    that is not known is not a number.
    """
    parameters, results = run
    field = [parameters.get(name) or 0.0 for name in FIELDS]
    dipole = [number_of(results, f"dipole_{axis}") for axis in AXES]
    known = [value for value in dipole if value is not None]
    if not known or not all(map(is_sane, [*field, *known])):
        return None
    x, y, z = (math.nan if value is None else value for value in dipole)
    return (float(field[0]), float(field[1]), float(field[2])), (x, y, z)


def _directions(fields: Sequence[Vector]) -> list[Vector]:
    """Return the one direction in which the field differs, or the axes that it spans.

    None where the fields do not tell the axes apart, (1, 1, 0) and (0, 0, 1) say.
    """
    if len(fields) < 2:
        return []
    mean = [math.fsum(field[i] for field in fields) / len(fields) for i in range(3)]
    steps = [tuple(field[i] - mean[i] for i in range(3)) for field in fields]
    longest = max(steps, key=lambda step: math.hypot(*step))
    size = math.hypot(*longest)
    if size == 0.0:
        return []
    unit = tuple(value / size for value in longest)
    if next(value for value in unit if abs(value) > PARALLEL) < 0:
        unit = tuple(-value for value in unit)
    if all(math.hypot(*_cross(step, unit)) <= PARALLEL * size for step in steps):
        return [(unit[0], unit[1], unit[2])]
    varied = [i for i in range(3) if any(abs(step[i]) > PARALLEL * size for step in steps)]
    axes = [tuple(float(i == j) for j in range(3)) for i in varied]
    return [(axis[0], axis[1], axis[2]) for axis in axes]


def _cross(a: Sequence[float], b: Sequence[float]) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _along_only(dipole: Sequence[float], direction: Sequence[float]) -> float:
    return math.fsum(d * n for d, n in zip(dipole, direction) if n)


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(p * q for p, q in zip(a, b))


def _along(
    points: Sequence[tuple[Vector, Vector]],
    direction: Vector,
    scale: Scale,
    known: Mapping[str, Parameter],
) -> Results:
    """One component: the slope, its standard error, and the line beside the points."""
    rows = sorted((_dot(e, direction), _along_only(d, direction)) for e, d in points)
    rows = [row for row in rows if math.isfinite(row[1])]
    fit = linear_fit([x for x, _ in rows], [y for _, y in rows])
    if fit is None:
        raise NotComputable("the valid runs with a dipole have one and the same field")
    axis = next((AXES[i] for i in range(3) if direction[i] == 1.0), "")
    where = f"{axis}{axis}" if axis else "along ({:.3g}, {:.3g}, {:.3g})".format(*direction)
    value = fit.slope * scale.factor
    quantities = [
        Quantity("polarizability", f"Polarizability, {where}", round(value, 6), scale.unit)
    ]
    if fit.slope_error is not None:
        error = round(fit.slope_error * scale.factor, 6)
        quantities.append(Quantity("polarizability_error", "Standard error", error, scale.unit))
    if scale.volume is not None:
        volume = round(value * scale.volume, 6)
        quantities.append(Quantity("polarizability_volume", "Polarizability volume", volume, "Å³"))
    quantities += [
        Quantity("polarizability_r2", "Coefficient of determination", round(fit.r2, 8)),
        Quantity("dipole_at_zero_field", "Dipole at zero field", round(fit.intercept, 6), "Debye"),
    ]
    field = known[f"field_{axis or 'x'}"]
    heads = (
        (SWEPT, field.label if axis else "Field along its direction", field.unit),
        ("dipole", f"Dipole, {axis}" if axis else "Dipole along the field", "Debye"),
        ("fit", "Least-squares line", "Debye"),
    )
    lines = [(x, round(y, 9), round(fit.at(x), 8)) for x, y in rows]
    dataset = table("polarizability_fit", "Dipole along the field", "series", heads, lines)
    return Results(tuple(quantities), (dataset,) if dataset else ())


def _tensor(
    points: Sequence[tuple[Vector, Vector]], axes: Sequence[Vector], scale: Scale
) -> Results:
    """The columns of the tensor that belong to the varied axes; all nine where three are."""
    varied = [axis.index(1.0) for axis in axes]
    points = [(e, d) for e, d in points if all(map(math.isfinite, d))]
    fits = [
        solve([[1.0, *(e[j] for j in varied)] for e, _ in points], [d[i] for _, d in points])
        for i in range(3)
    ]
    if any(fit is None for fit in fits):
        raise NotComputable(
            "the fields of the valid runs do not tell the axes apart: add runs in which the "
            "components vary on their own"
        )
    alpha = {
        (i, j): fit[1 + place] * scale.factor
        for i, fit in enumerate(fits)
        if fit is not None
        for place, j in enumerate(varied)
    }
    quantities = list(_invariants(alpha, varied, scale))
    quantities += [
        Quantity(
            f"polarizability_{AXES[j]}{AXES[j]}",
            f"Polarizability, {AXES[j]}{AXES[j]}",
            round(alpha[j, j], 6),
            scale.unit,
        )
        for j in varied
    ]
    rows = [(AXES[i], *(round(alpha[i, j], 6) for j in varied)) for i in range(3)]
    heads = [
        ("dipole", "Dipole along", ""),
        *((AXES[j], f"Field along {AXES[j]}", scale.unit) for j in varied),
    ]
    found = table("polarizability_tensor", "Polarizability tensor", "table", heads, rows)
    return Results(tuple(quantities), (found,) if found else ())


def _invariants(
    alpha: Mapping[tuple[int, int], float], varied: Sequence[int], scale: Scale
) -> list[Quantity]:
    if len(varied) < 3:
        return []
    x, y, z = (alpha[i, i] for i in range(3))
    off = [(alpha[i, j] + alpha[j, i]) / 2 for i, j in ((0, 1), (1, 2), (0, 2))]
    mean = (x + y + z) / 3
    squares = ((x - y) ** 2 + (y - z) ** 2 + (z - x) ** 2 + 6 * sum(v * v for v in off)) / 2
    found = [Quantity("polarizability", "Mean polarizability", round(mean, 6), scale.unit)]
    if scale.volume is not None:
        volume = round(mean * scale.volume, 6)
        found.append(Quantity("polarizability_volume", "Polarizability volume", volume, "Å³"))
    label = "Anisotropy of the polarizability"
    spread = round(math.sqrt(squares), 6)
    return [*found, Quantity("polarizability_anisotropy", label, spread, scale.unit)]
