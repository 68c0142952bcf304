"""What is computed from PySCF's results: of one run beside the hardware, of all in the portal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from calculations.software.analyses import sweeps
from calculations.software.analyses.convergence import convergence
from calculations.software.analyses.forces import FORCES
from calculations.software.analyses.geometry import geometry
from calculations.software.analyses.polarizability import Scale, no_field, polarizability
from calculations.software.analyses.sweeps import DIPOLES
from calculations.software.analysis import needed
from calculations.software.base import Analysis, NotComputable
from calculations.software.pyscf.parameters import FIELDS, PARAMETERS, structure_of
from calculations.software.results import Chart, Column, Dataset, Quantity, Results
from calculations.software.structure import Structure

# CODATA 2018.
ATOMIC_UNIT_IN_DEBYE = 2.541746473
CUBIC_BOHR_IN_CUBIC_ANGSTROM = 0.14818471147
LEVELS_AROUND_GAP = 8
# From Debye over the atomic unit of the field.
ATOMIC = Scale(1 / ATOMIC_UNIT_IN_DEBYE, "a.u.", volume=CUBIC_BOHR_IN_CUBIC_ANGSTROM)

Parameters = Mapping[str, Any]


def orbitals(results: Results, parameters: Parameters) -> Results:
    """The levels next to the gap, measured from its middle."""
    table = needed(results, "orbitals", "the output holds no orbitals")
    homo, lumo = results.quantity("homo"), results.quantity("lumo")
    if homo is None or lumo is None:
        raise NotComputable("the basis has no empty orbital: there is no gap")
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
        raise NotComputable("the output holds no dipole")
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


def _no_forces(parameters: Parameters, swept: Sequence[str]) -> str:
    return "" if parameters.get("forces") else "switch the forces on"


def _structure(parameters: Parameters) -> Structure | None:
    return structure_of(parameters) if parameters.get("geometry") else None


ANALYSES: tuple[Analysis, ...] = (
    convergence("iteration", "gradient", "Orbital gradient", "Ha"),
    Analysis(
        "orbitals",
        "Orbitals and gap",
        "run",
        orbitals,
        help="The levels next to the gap.",
        units={"mid_gap": "eV"},
        charts=(Chart("levels", "index", ("energy",), "Levels", style="levels"),),
    ),
    Analysis(
        "dipole",
        "Dipole",
        "run",
        dipole,
        help="In atomic units, and along the field.",
        units={"dipole_atomic": "a.u.", "dipole_along_field": "Debye"},
    ),
    replace(FORCES, default=False, lacks=_no_forces),
    geometry(_structure),
    sweeps.energy(
        "scf_iterations",
        "gap",
        parameters=PARAMETERS,
        name="energy_vs_sweep",
        label="Energy against what was varied",
    ),
    sweeps.dipole(
        parameters=PARAMETERS,
        name="dipole_vs_field",
        dataset="dipole_field",
        label="Dipole against the field",
        requires=("dipole",),
        lacks=no_field,
    ),
    polarizability(ATOMIC, parameters=PARAMETERS),
)
