"""What is computed from pw.x's results: of one run beside the hardware, of all in the portal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from calculations.software.analysis import (
    SWEPT,
    Run,
    against_sweep,
    is_number,
    linear_fit,
)
from calculations.software.base import Analysis
from calculations.software.espresso.bands import band_structure
from calculations.software.espresso.geometry import Parameters, forces, geometry, relaxation, values
from calculations.software.espresso.parameters import PARAMETERS
from calculations.software.espresso.solid import equation_of_state
from calculations.software.results import Chart, Column, Dataset, Quantity, Results


def convergence(results: Results, parameters: Parameters) -> Results:
    """The error on the way to self-consistency, and the decades gained by an iteration."""
    scf = results.dataset("scf")
    if scf is None:
        return Results()
    rows = values(scf, "step", "geometry", "accuracy", "energy")
    changes: list[float | None] = [None]
    for before, after in zip(rows, rows[1:]):
        same = before[1] == after[1] and is_number(before[3]) and is_number(after[3])
        changes.append(round(abs(after[3] - before[3]), 10) or None if same else None)
    columns = (
        Column("step", "SCF iteration", "", tuple(row[0] for row in rows)),
        Column("accuracy", "Estimated accuracy", "Ry", tuple(row[2] or None for row in rows)),
        Column("energy_change", "Change of the energy", "eV", tuple(changes)),
    )
    last = [row for row in rows if row[1] == rows[-1][1] and is_number(row[2]) and row[2] > 0]
    fit = linear_fit([float(row[0]) for row in last], [math.log10(row[2]) for row in last])
    label = "Decades gained by an SCF iteration"
    quantities = (Quantity("scf_rate", label, round(-fit.slope, 4)),) if fit else ()
    return Results(quantities, (Dataset("convergence", "Convergence", "series", columns),))


def eigenvalues(results: Results, parameters: Parameters) -> Results:
    """The levels from the Fermi level or the highest occupied, and the smallest direct gap."""
    levels = results.dataset("eigenvalues")
    zero = results.quantity("fermi_energy") or results.quantity("homo")
    if levels is None or zero is None or not is_number(zero.value):
        return Results()
    rows = sorted(values(levels, "energy", "k", "spin", "occupied"))
    columns = (
        Column("index", "Level", "", tuple(range(1, len(rows) + 1))),
        Column(
            "energy",
            f"Energy from the {zero.label[0].lower()}{zero.label[1:]}"
            if zero.name == "homo"
            else "Energy from the Fermi level",
            "eV",
            tuple(round(row[0] - float(zero.value), 6) for row in rows),
        ),
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


SWEPT_QUANTITIES = ("total_energy", "scf_iterations", "gap", "pressure", "volume", "max_force")


def energy(runs: Sequence[Run]) -> Results:
    """The energy and what belongs to it, against what was varied."""
    found = against_sweep(
        runs, SWEPT_QUANTITIES, name="energy_sweep", label="Energy", parameters=PARAMETERS
    )
    return Results(datasets=(found,) if found else ())


ANALYSES: tuple[Analysis, ...] = (
    Analysis(
        "convergence",
        "Convergence",
        "run",
        convergence,
        help="How the density and the energy settled.",
        charts=(
            Chart(
                "convergence",
                "step",
                ("accuracy", "energy_change"),
                "Convergence",
                style="line+markers",
                log_y=True,
            ),
        ),
    ),
    Analysis(
        "eigenvalues",
        "Eigenvalues and gap",
        "run",
        eigenvalues,
        help="Levels from the highest occupied, or from the Fermi level.",
        charts=(Chart("levels", "index", ("energy",), "Levels", style="levels"),),
    ),
    Analysis(
        "forces",
        "Forces",
        "run",
        forces,
        help="Force on each atom, root mean square, net force.",
        charts=(Chart("force_sizes", "atom", ("norm",), "Force on each atom", style="markers"),),
    ),
    Analysis(
        "geometry",
        "Geometry",
        "run",
        geometry,
        help="The nearest neighbour of each atom, periodic images included.",
    ),
    Analysis(
        "relaxation",
        "Relaxation",
        "run",
        relaxation,
        default=False,
        help="Energy and largest force of each step; needs an optimisation.",
        charts=(
            Chart("relaxation", "geometry", ("energy",), "Relaxation", style="line+markers"),
            Chart(
                "relaxation",
                "geometry",
                ("max_force",),
                "Largest force",
                style="line+markers",
                log_y=True,
            ),
        ),
    ),
    Analysis(
        "bands",
        "Band structure",
        "run",
        band_structure,
        default=False,
        help="Needs a calculation of the bands.",
        charts=(Chart("band_structure", "distance", ("energy",), "Band structure"),),
    ),
    Analysis(
        "energy",
        "Energy",
        "calculation",
        energy,
        help="Total energy, gap and pressure against what was varied.",
        charts=(
            Chart("energy_sweep", SWEPT, ("total_energy",), "Total energy", style="line+markers"),
        ),
    ),
    Analysis(
        "equation_of_state",
        "Equation of state",
        "calculation",
        equation_of_state,
        help="Birch-Murnaghan fit of energy against volume, for a sweep of the scale of all "
        "lengths, or of the lattice parameter with relative coordinates.",
        charts=(
            Chart(
                "equation_of_state",
                "volume",
                ("energy", "fit"),
                "Equation of state",
                style="line+markers",
            ),
        ),
    ),
)
