"""What is computed from SIESTA's results: of one run beside the hardware, of all in the portal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from calculations.software.analysis import (
    SWEPT,
    Run,
    against_sweep,
    complete_pairs,
    is_number,
    linear_fit,
    polarizability,
    swept_parameter,
)
from calculations.software.base import Analysis
from calculations.software.results import Chart, Column, Dataset, Quantity, Results
from calculations.software.siesta.parameters import PARAMETERS

Parameters = Mapping[str, Any]


def _values(dataset: Dataset, *names: str) -> list[tuple[Any, ...]]:
    """Return the rows of some columns."""
    columns = [dataset.column(name).values for name in names]
    return [tuple(column[i] for column in columns) for i in range(len(columns[0]))]


def _fermi(results: Results) -> float | None:
    quantity = results.quantity("fermi_energy")
    return float(quantity.value) if quantity is not None and is_number(quantity.value) else None


def convergence(results: Results, parameters: Parameters) -> Results:
    """The changes on the way to self-consistency, and the decades gained by an iteration."""
    scf = results.dataset("scf")
    if scf is None:
        return Results()
    rows = _values(scf, "step", "geometry", "density_change", "energy")
    energy_changes: list[float | None] = [None]
    for i in range(1, len(rows)):
        before, after = rows[i - 1], rows[i]
        same = before[1] == after[1] and is_number(before[3]) and is_number(after[3])
        energy_changes.append(abs(after[3] - before[3]) or None if same else None)
    columns = (
        Column("step", "SCF iteration", "", tuple(row[0] for row in rows)),
        Column(
            "density_change",
            "Change of the density matrix",
            "",
            tuple(row[2] or None for row in rows),
        ),
        Column("energy_change", "Change of the energy", "eV", tuple(energy_changes)),
    )
    quantities = []
    last = [row for row in rows if row[1] == rows[-1][1] and is_number(row[2]) and row[2] > 0]
    fit = linear_fit([float(row[0]) for row in last], [math.log10(row[2]) for row in last])
    if fit is not None:
        quantities.append(
            Quantity("scf_rate", "Decades gained by an SCF iteration", round(-fit.slope, 4))
        )
    return Results(tuple(quantities), (Dataset("convergence", "Convergence", "series", columns),))


def eigenvalues(results: Results, parameters: Parameters) -> Results:
    """The levels from the Fermi level, and the smallest gap at one k-point."""
    levels, fermi = results.dataset("eigenvalues"), _fermi(results)
    if levels is None or fermi is None:
        return Results()
    rows = sorted(_values(levels, "energy", "k", "spin", "occupied"), key=lambda row: row[0])
    columns = (
        Column("index", "Level", "", tuple(range(1, len(rows) + 1))),
        Column(
            "energy",
            "Energy from the Fermi level",
            "eV",
            tuple(round(row[0] - fermi, 6) for row in rows),
        ),
        Column("k", "k-point", "", tuple(row[1] for row in rows)),
        Column("spin", "Spin", "", tuple(row[2] for row in rows)),
        Column("occupied", "Occupied", "", tuple(row[3] for row in rows)),
    )
    direct = []
    for key in {row[1:3] for row in rows}:
        below = [row[0] for row in rows if row[1:3] == key and row[3]]
        above = [row[0] for row in rows if row[1:3] == key and not row[3]]
        if below and above:
            direct.append(min(above) - max(below))
    quantities = (
        (Quantity("direct_gap", "Smallest direct gap", round(min(direct), 6), "eV"),)
        if direct
        else ()
    )
    return Results(quantities, (Dataset("levels", "Levels", "series", columns),))


def forces(results: Results, parameters: Parameters) -> Results:
    """The size of each atom's force, their root mean square, and the net force, ideally 0."""
    table = results.dataset("forces")
    if table is None:
        return Results()
    rows = [row for row in _values(table, "x", "y", "z") if all(is_number(value) for value in row)]
    if not rows:
        return Results()
    count = len(rows)
    rms = math.sqrt(math.fsum(value * value for row in rows for value in row) / (3 * count))
    net = math.sqrt(sum(math.fsum(row[i] for row in rows) ** 2 for i in range(3)))
    columns = (table.column("atom"), table.column("norm"))
    return Results(
        (
            Quantity(
                "rms_force", "Root mean square of the force components", round(rms, 8), "eV/Å"
            ),
            Quantity("net_force", "Net force", round(net, 8), "eV/Å"),
        ),
        (Dataset("force_sizes", "Force on each atom", "series", columns),),
    )


def dos(results: Results, parameters: Parameters) -> Results:
    """The density of states from the Fermi level, and its value there (interpolated)."""
    table, fermi = results.dataset("dos"), _fermi(results)
    if table is None or fermi is None:
        return Results()
    energies, states = complete_pairs(table, "energy", "dos")
    shifted = tuple(round(energy - fermi, 6) for energy in energies)
    columns = (
        Column("energy", "Energy from the Fermi level", "eV", shifted),
        Column("dos", "Density of states", "1/eV", tuple(states)),
    )
    quantities = []
    for i in range(1, len(shifted)):
        if shifted[i - 1] <= 0.0 < shifted[i]:
            part = -shifted[i - 1] / (shifted[i] - shifted[i - 1])
            value = states[i - 1] + part * (states[i] - states[i - 1])
            quantities.append(
                Quantity(
                    "dos_at_fermi", "Density of states at the Fermi level", round(value, 6), "1/eV"
                )
            )
            break
    return Results(
        tuple(quantities), (Dataset("dos_from_fermi", "Density of states", "series", columns),)
    )


def bands(results: Results, parameters: Parameters) -> Results:
    """The bands from the Fermi level, and the gap: direct where both edges are at one point."""
    table, fermi = results.dataset("bands"), _fermi(results)
    if table is None or fermi is None:
        return Results()
    rows = _values(table, "distance", "energy", "band", "spin")
    columns = (
        table.column("distance"),
        Column(
            "energy",
            "Energy from the Fermi level",
            "eV",
            tuple(None if row[1] is None else round(row[1] - fermi, 6) for row in rows),
        ),
    )
    return Results(
        tuple(_band_gap(rows, fermi)),
        (Dataset("band_structure", "Band structure", "series", columns),),
    )


def _band_gap(rows: Sequence[tuple[Any, ...]], fermi: float) -> list[Quantity]:
    points: dict[tuple[Any, Any], list[tuple[float, float]]] = {}
    for distance, energy, band, spin in rows:
        if energy is not None:
            points.setdefault((spin, band), []).append((energy, distance))
    valence, conduction = [], []
    for energies in points.values():
        if max(energies)[0] <= fermi:
            valence.append(max(energies))
        elif min(energies)[0] > fermi:
            conduction.append(min(energies))
        else:  # a band that crosses the Fermi level
            return [Quantity("band_gap", "Gap along the path", 0.0, "eV")]
    if not valence or not conduction:
        return []
    top, bottom = max(valence), min(conduction)
    same_place = [
        k
        for e, k in _all(points, top[0])
        for e2, k2 in _all(points, bottom[0])
        if abs(k - k2) < 1e-5
    ]
    return [
        Quantity("band_gap", "Gap along the path", round(bottom[0] - top[0], 6), "eV"),
        Quantity("band_gap_direct", "Direct gap", bool(same_place)),
    ]


def _all(
    points: Mapping[Any, Sequence[tuple[float, float]]], energy: float
) -> list[tuple[float, float]]:
    """Return every point at which some band has this energy, within the printed digits."""
    return [
        point for energies in points.values() for point in energies if abs(point[0] - energy) < 2e-4
    ]


def _sweep(name: str, label: str, *quantities: str) -> Callable[[Sequence[Run]], Results]:
    def compute(runs: Sequence[Run]) -> Results:
        dataset = against_sweep(runs, quantities, name=name, label=label, parameters=PARAMETERS)
        return Results(datasets=(dataset,) if dataset else ())

    return compute


def polarizability_along_field(runs: Sequence[Run]) -> Results:
    """The slope of the dipole along the swept field, as a volume; the line beside the points."""
    swept = swept_parameter(runs)
    if swept is None or swept.name not in {"field_x", "field_y", "field_z"}:
        return Results()
    axis = swept.name[-1]
    table = against_sweep(
        runs,
        [f"dipole_{axis}"],
        name="polarizability_fit",
        label="Dipole along the field",
        parameters=PARAMETERS,
    )
    if table is None:
        return Results()
    found = polarizability(*complete_pairs(table, SWEPT, f"dipole_{axis}"))
    if found is None:
        return Results()
    value, error, fit = found
    source = table.column(f"dipole_{axis}")
    points = Column("dipole", source.label, source.unit, source.values)
    line = Column(
        "fit",
        "Least-squares line",
        source.unit,
        tuple(round(fit.at(x), 8) for x in table.columns[0].values),
    )
    quantities = [
        Quantity("polarizability", f"Polarizability, {axis}{axis}", round(value, 6), "Å³"),
        Quantity("polarizability_r2", "Coefficient of determination", round(fit.r2, 8)),
    ]
    if error is not None:
        quantities.insert(
            1, Quantity("polarizability_error", "Standard error", round(error, 6), "Å³")
        )
    dataset = Dataset(table.name, table.label, "series", (table.columns[0], points, line))
    return Results(tuple(quantities), (dataset,))


DIPOLES = ("dipole_x", "dipole_y", "dipole_z", "dipole")

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
                ("density_change", "energy_change"),
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
        help="Levels from the Fermi level.",
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
        "dos",
        "Density of states",
        "run",
        dos,
        default=False,
        help="Needs the density of states switched on.",
        charts=(Chart("dos_from_fermi", "energy", ("dos",), "Density of states"),),
    ),
    Analysis(
        "bands",
        "Band structure",
        "run",
        bands,
        default=False,
        help="Needs the bands switched on.",
        charts=(Chart("band_structure", "distance", ("energy",), "Band structure"),),
    ),
    Analysis(
        "energy",
        "Energy",
        "calculation",
        _sweep("energy_sweep", "Energy", "total_energy", "scf_iterations", "gap"),
        help="Total energy against what was varied.",
        charts=(
            Chart("energy_sweep", SWEPT, ("total_energy",), "Total energy", style="line+markers"),
        ),
    ),
    Analysis(
        "dipole",
        "Dipole",
        "calculation",
        _sweep("dipole_sweep", "Dipole", *DIPOLES),
        help="Dipole against what was varied.",
        charts=(Chart("dipole_sweep", SWEPT, DIPOLES[:3], "Dipole", style="line+markers"),),
    ),
    Analysis(
        "polarizability",
        "Polarizability",
        "calculation",
        polarizability_along_field,
        requires=("dipole",),
        help="Slope of the dipole against the field, for a sweep of one component of the field.",
        charts=(
            Chart(
                "polarizability_fit",
                SWEPT,
                ("dipole", "fit"),
                "Polarizability",
                style="line+markers",
            ),
        ),
    ),
)
