"""The small useful part of a run's output as quantities and datasets; what is cut is left out.

Tables are thinned so that a run's results stay far below a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from calculations.software.analysis import thin
from calculations.software.espresso.levels import (
    band_labels,
    bands,
    eigenvalues,
    frontier,
)
from calculations.software.espresso.moves import moves
from calculations.software.espresso.output import OUTPUT, read_output
from calculations.software.espresso.report import (
    FORCE_IN_EV_PER_ANGSTROM,
    RYDBERG_IN_EV,
    Report,
)
from calculations.software.reading import thinned
from calculations.software.results import Dataset, Quantity, Results
from calculations.software.tables import table

MAX_SCF_ROWS = 2000
MAX_GEOMETRY_STEPS = 1000
MAX_ATOM_ROWS = 2000
EV, FORCE = "eV", "eV/Å"


def extract(folder: Path, report: Report | None = None) -> Results:
    report = report or read_output(folder / OUTPUT)
    atoms = report.positions
    path = bands(report)
    datasets = (
        _scf(report),
        _geometry_steps(report),
        _geometry(atoms),
        _cell(report),
        _forces(report, [atom[0] for atom in atoms]),
        _stress(report),
        _terms(report),
        eigenvalues(report),
        path,
        band_labels(report, folder) if path else None,
        *moves(report),
    )
    return Results(tuple(_quantities(report)), tuple(filter(None, datasets)))


def in_ev(energy: float | None) -> float | None:
    return None if energy is None else round(energy * RYDBERG_IN_EV, 8)


def in_ev_per_angstrom(force: float | None) -> float | None:
    return None if force is None else round(force * FORCE_IN_EV_PER_ANGSTROM, 8) + 0.0


def _quantities(report: Report) -> Iterable[Quantity]:
    last, step = report.geometries.last, report.scf.last
    components = [abs(value) for row in report.forces for value in row if value is not None]
    homo, lumo, gap = frontier(report)
    started = "the run before" if report.started_from_density else "atoms"
    volume = None if report.volume is None else round(report.volume, 6)
    wall = None if report.wall_seconds is None else round(report.wall_seconds, 2)
    rows: list[tuple[str, str, Any, str]] = [
        ("total_energy", "Total energy", in_ev(report.energy), EV),
        ("total_energy_ry", "Total energy", report.energy, "Ry"),
        ("fermi_energy", "Fermi energy", report.fermi, EV),
        ("homo", "Highest occupied level", homo, EV),
        ("lumo", "Lowest empty level", lumo, EV),
        ("gap", "Gap", None if gap is None else round(gap, 6), EV),
        ("scf_iterations", "SCF iterations", last.iterations if last else None, ""),
        ("scf_iterations_total", "SCF iterations in all", report.iterations_begun or None, ""),
        ("scf_accuracy", "Estimated SCF accuracy", step.accuracy if step else None, "Ry"),
        ("geometries", "Geometries", report.geometries.count or None, ""),
        ("electrons", "Electrons", report.electrons, ""),
        ("spin_moment", "Total magnetisation", report.magnetization, "µB"),
        ("absolute_moment", "Absolute magnetisation", report.absolute_magnetization, "µB"),
        (
            "max_force",
            "Largest force component",
            in_ev_per_angstrom(max(components, default=None)),
            FORCE,
        ),
        ("total_force", "Total force", in_ev_per_angstrom(report.total_force), FORCE),
        ("pressure", "Pressure", report.pressure, "kbar"),
        ("volume", "Cell volume", volume, "Å³"),
        ("started_from", "Density started from", started if report.scf.count else None, ""),
        ("wall_time", "Wall time of pw.x", wall, "s"),
        ("program_version", "Quantum ESPRESSO version", report.version or None, ""),
    ]
    return (Quantity(*row) for row in rows if row[2] is not None)


def _scf(report: Report) -> Dataset | None:
    rows = [
        (s.number, s.geometry, s.iteration, s.accuracy, in_ev(s.energy)) for s in report.scf.items
    ]
    heads = (
        ("step", "SCF iteration, counted through", ""),
        ("geometry", "Geometry", ""),
        ("iteration", "SCF iteration", ""),
        ("accuracy", "Estimated accuracy", "Ry"),
        ("energy", "Total energy", EV),
    )
    rows = thin(rows, MAX_SCF_ROWS)
    label = thinned("SCF convergence", len(rows), report.scf.count, "iterations")
    return table("scf", label, "series", heads, rows)


def _geometry_steps(report: Report) -> Dataset | None:
    if report.geometries.count < 2:
        return None
    rows = [
        (
            g.number,
            in_ev(g.energy),
            in_ev_per_angstrom(g.max_force),
            in_ev_per_angstrom(g.total_force),
            g.pressure,
            g.iterations,
        )
        for g in report.geometries.items
        if not g.final
    ]
    heads = (
        ("geometry", "Geometry", ""),
        ("energy", "Total energy", EV),
        ("max_force", "Largest force component", FORCE),
        ("total_force", "Total force", FORCE),
        ("pressure", "Pressure", "kbar"),
        ("iterations", "SCF iterations", ""),
    )
    rows = thin(rows, MAX_GEOMETRY_STEPS)
    count = report.geometries.count - report.final_scf
    label = thinned("Geometry optimisation", len(rows), count, "geometries")
    return table("geometry_steps", label, "series", heads, rows)


def _geometry(atoms: Sequence[tuple[str, float, float, float]]) -> Dataset | None:
    rows = [
        (i, symbol, *(round(value, 8) + 0.0 for value in xyz))
        for i, (symbol, *xyz) in enumerate(atoms, start=1)
    ]
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        *((axis, axis, "Å") for axis in "xyz"),
    )
    return table("geometry", "Final geometry", "table", heads, rows[:MAX_ATOM_ROWS])


def _cell(report: Report) -> Dataset | None:
    if len(report.cell) != 3:
        return None
    rows = [
        ("abc"[i], *(round(value, 8) + 0.0 for value in vector))
        for i, vector in enumerate(report.cell)
    ]
    heads = (("vector", "Vector", ""), *((axis, axis, "Å") for axis in "xyz"))
    return table("cell", "Cell", "table", heads, rows)


def _forces(report: Report, symbols: Sequence[str]) -> Dataset | None:
    forces = report.forces
    known = symbols if len(symbols) == len(forces) else [""] * len(forces)
    rows = []
    for i, force in enumerate(forces[:MAX_ATOM_ROWS]):
        values = [in_ev_per_angstrom(value) for value in force]
        whole = [value for value in values if value is not None]
        norm = sum(value * value for value in whole) ** 0.5 if len(whole) == 3 else None
        rows.append((i + 1, known[i], *values, None if norm is None else round(norm, 8)))
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        *((axis, f"Force, {axis}", FORCE) for axis in ("x", "y", "z")),
        ("norm", "Force", FORCE),
    )
    return table("forces", "Forces", "table", heads, rows)


def _stress(report: Report) -> Dataset | None:
    if len(report.stress) != 3:
        return None
    rows = [("xyz"[i], *row) for i, row in enumerate(report.stress)]
    heads = (("row", "Row", ""), *((axis, axis, "kbar") for axis in "xyz"))
    return table("stress", "Stress tensor", "table", heads, rows)


def _terms(report: Report) -> Dataset | None:
    rows = [(name, in_ev(value)) for name, value in report.terms.items()]
    heads = (("term", "Term", ""), ("energy", "Energy", EV))
    return table("energy_terms", "Terms of the total energy", "table", heads, rows)
