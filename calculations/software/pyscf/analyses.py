"""What is computed from PySCF's results: of one run beside the hardware, of all in the portal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.analysis import (
    SWEPT,
    Run,
    against_sweep,
    complete_pairs,
    is_number,
    linear_fit,
    swept_parameter,
)
from calculations.software.base import Analysis
from calculations.software.pyscf.parameters import FIELDS, PARAMETERS
from calculations.software.results import Chart, Column, Dataset, Quantity, Results

# CODATA 2018.
ATOMIC_UNIT_IN_DEBYE = 2.541746473
CUBIC_BOHR_IN_CUBIC_ANGSTROM = 0.14818471147
LEVELS_AROUND_GAP = 8
DIPOLES = ("dipole_x", "dipole_y", "dipole_z", "dipole")

Parameters = Mapping[str, Any]


def convergence(results: Results, parameters: Parameters) -> Results:
    """How energy and gradient settled, and the decades that the gradient lost in an iteration."""
    scf = results.dataset("scf")
    if scf is None:
        return Results()
    gradients = [
        (float(step), math.log10(gradient))
        for step, gradient in zip(scf.column("iteration").values, scf.column("gradient").values)
        if is_number(gradient) and gradient > 0
    ]
    fit = linear_fit([step for step, _ in gradients], [decades for _, decades in gradients])
    quantities = (
        (Quantity("scf_rate", "Decades gained by an SCF iteration", round(-fit.slope, 4)),)
        if fit
        else ()
    )
    columns = tuple(scf.column(name) for name in ("iteration", "energy_change", "gradient"))
    return Results(quantities, (Dataset("convergence", "Convergence", "series", columns),))


def orbitals(results: Results, parameters: Parameters) -> Results:
    """The levels next to the gap, measured from its middle."""
    table = results.dataset("orbitals")
    homo, lumo = results.quantity("homo"), results.quantity("lumo")
    if table is None or homo is None or lumo is None:
        return Results()
    middle = (float(homo.value) + float(lumo.value)) / 2
    rows = sorted(
        zip(*(table.column(name).values for name in ("energy", "index", "occupation", "spin")))
    )
    filled = sum(row[0] <= float(homo.value) for row in rows)
    rows = rows[max(0, filled - LEVELS_AROUND_GAP) : filled + LEVELS_AROUND_GAP]
    columns = (
        Column("index", "Orbital", "", tuple(row[1] for row in rows)),
        Column("energy", "From mid-gap", "eV", tuple(round(row[0] - middle, 6) for row in rows)),
        Column("occupation", "Occupation", "", tuple(row[2] for row in rows)),
        Column("spin", "Spin", "", tuple(row[3] for row in rows)),
    )
    quantities = (Quantity("mid_gap", "Middle of the gap", round(middle, 6), "eV"),)
    return Results(quantities, (Dataset("levels", "Levels", "series", columns),))


def dipole(results: Results, parameters: Parameters) -> Results:
    """The dipole in atomic units, and its part along the field."""
    found = [results.quantity(name) for name in DIPOLES[:3]]
    if any(quantity is None for quantity in found):
        return Results()
    vector = [float(quantity.value) for quantity in found if quantity is not None]
    size = math.hypot(*vector) / ATOMIC_UNIT_IN_DEBYE
    quantities = [Quantity("dipole_atomic", "Dipole", round(size, 8), "a.u.")]
    field = [float(parameters.get(name) or 0.0) for name in FIELDS]
    strength = math.hypot(*field)
    if strength:
        along = sum(d * f for d, f in zip(vector, field)) / strength
        quantities.append(
            Quantity("dipole_along_field", "Dipole along the field", round(along, 8), "Debye")
        )
    return Results(tuple(quantities))


def energy_sweep(runs: Sequence[Run]) -> Results:
    dataset = against_sweep(
        runs,
        ("total_energy", "scf_iterations", "gap"),
        name="energy_sweep",
        label="Energy",
        parameters=PARAMETERS,
    )
    return Results(datasets=(dataset,) if dataset else ())


def dipole_sweep(runs: Sequence[Run]) -> Results:
    swept = swept_parameter(runs)
    if swept is None or swept.name not in FIELDS:
        return Results()
    dataset = against_sweep(
        runs, DIPOLES, name="dipole_field", label="Dipole", parameters=PARAMETERS
    )
    return Results(datasets=(dataset,) if dataset else ())


def polarizability(runs: Sequence[Run]) -> Results:
    """The slope of the dipole along the swept field; the line beside the points."""
    swept = swept_parameter(runs)
    if swept is None or swept.name not in FIELDS:
        return Results()
    axis = swept.name[-1]
    table = against_sweep(
        runs,
        [f"dipole_{axis}"],
        name="polarizability_fit",
        label="Dipole along the field",
        parameters=PARAMETERS,
    )
    fit = linear_fit(*complete_pairs(table, SWEPT, f"dipole_{axis}")) if table else None
    if table is None or fit is None:
        return Results()
    value = fit.slope / ATOMIC_UNIT_IN_DEBYE
    volume = value * CUBIC_BOHR_IN_CUBIC_ANGSTROM
    quantities = [
        Quantity("polarizability", f"Polarizability, {axis}{axis}", round(value, 6), "a.u."),
        Quantity("polarizability_volume", "Polarizability volume", round(volume, 6), "Å³"),
        Quantity("polarizability_r2", "Coefficient of determination", round(fit.r2, 8)),
        Quantity("dipole_at_zero_field", "Dipole at zero field", round(fit.intercept, 6), "Debye"),
    ]
    if fit.slope_error is not None:
        error = round(fit.slope_error / ATOMIC_UNIT_IN_DEBYE, 6)
        quantities.insert(1, Quantity("polarizability_error", "Standard error", error, "a.u."))
    source = table.column(f"dipole_{axis}")
    line = tuple(round(fit.at(x), 8) for x in table.columns[0].values)
    columns = (
        table.columns[0],
        Column("dipole", source.label, source.unit, source.values),
        Column("fit", "Least-squares line", source.unit, line),
    )
    return Results(tuple(quantities), (Dataset(table.name, table.label, "series", columns),))


ANALYSES: tuple[Analysis, ...] = (
    Analysis(
        "convergence",
        "Convergence",
        "run",
        convergence,
        help="How energy and gradient settled.",
        charts=(
            Chart(
                "convergence",
                "iteration",
                ("energy_change", "gradient"),
                "Convergence",
                style="line+markers",
                log_y=True,
            ),
        ),
    ),
    Analysis(
        "orbitals",
        "Orbitals and gap",
        "run",
        orbitals,
        help="The levels next to the gap.",
        charts=(Chart("levels", "index", ("energy",), "Levels", style="levels"),),
    ),
    Analysis("dipole", "Dipole", "run", dipole, help="In atomic units, and along the field."),
    Analysis(
        "energy_vs_sweep",
        "Energy against what was varied",
        "calculation",
        energy_sweep,
        charts=(
            Chart("energy_sweep", SWEPT, ("total_energy",), "Total energy", style="line+markers"),
        ),
    ),
    Analysis(
        "dipole_vs_field",
        "Dipole against the field",
        "calculation",
        dipole_sweep,
        requires=("dipole",),
        help="Needs a sweep of one component of the electric field.",
        charts=(Chart("dipole_field", SWEPT, DIPOLES[:3], "Dipole", style="line+markers"),),
    ),
    Analysis(
        "polarizability",
        "Polarizability",
        "calculation",
        polarizability,
        requires=("dipole",),
        help="The slope of the dipole along a swept field.",
        charts=(
            Chart(
                "polarizability_fit",
                SWEPT,
                ("dipole", "fit"),
                "Dipole along the field",
                style="line+markers",
            ),
        ),
    ),
)
