"""The small useful part of a run's files as quantities and datasets; what is cut is left out.

Tables are thinned so that a run's results stay far below a megabyte.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from calculations.software.analysis import thin
from calculations.software.reading import thinned
from calculations.software.results import Column, Dataset, Quantity, Results
from calculations.software.siesta import files, moves, spectra
from calculations.software.siesta.files import Bands, Eigenvalues, result_file
from calculations.software.siesta.output import OUTPUT, Report, read_output
from calculations.software.structure import SYMBOLS

MAX_SCF_ROWS = 2000
MAX_GEOMETRY_STEPS = 1000
MAX_ATOM_ROWS = 2000
MAX_LEVELS = 3000
MAX_DOS_ROWS = 2000
MAX_BAND_ROWS = 12_000


def extract(folder: Path, report: Report | None = None) -> Results:
    report = report or read_output(folder / OUTPUT)
    eigenvalues = files.read_eigenvalues(result_file(folder, report.label, "EIG"))
    forces = files.read_forces(result_file(folder, report.label, "FA")) or report.forces
    geometry = files.read_geometry(result_file(folder, report.label, "XV"))
    dos = files.read_dos(result_file(folder, report.label, "DOS"))
    bands = files.read_bands(result_file(folder, report.label, "bands"))
    atoms = _atoms(report, geometry)
    symbols = [atom[0] for atom in atoms]
    trajectory, frames = moves.trajectory(folder, result_file(folder, report.label, "ANI"))
    moved = report.geometries.count > 1 or trajectory is not None
    datasets = (
        _scf(report),
        _geometry_steps(report),
        _geometry(atoms),
        _cell(report, geometry),
        _forces(forces, symbols),
        _stress(report),
        _eigenvalues(eigenvalues),
        _dos(dos),
        spectra.dataset(spectra.read(_projected(folder, report.label))),
        _bands(bands),
        _band_labels(bands),
        report.populations.dataset(symbols),
        trajectory,
        moves.cells(folder / OUTPUT, frames, len(atoms)) if _cell_moves(report) else None,
        *(moves.final(geometry) if moved else ()),
        moves.dynamics(result_file(folder, report.label, "MDE")) if moved else None,
    )
    return Results(
        tuple(_quantities(report, eigenvalues, forces)),
        tuple(dataset for dataset in datasets if dataset),
    )


def _projected(folder: Path, label: str) -> Path:
    """Both files hold the same; the xml is the shorter one."""
    xml = result_file(folder, label, "PDOS.xml")
    return xml if xml.is_file() else result_file(folder, label, "PDOS")


def _cell_moves(report: Report) -> bool:
    return report.variable_cell or "Parrinello" in report.dynamics


def _quantities(
    report: Report, eigenvalues: Eigenvalues | None, forces: Sequence[Sequence[float | None]]
) -> Iterable[Quantity]:
    fermi = report.energies.get("Fermi", eigenvalues.fermi if eigenvalues else None)
    last = report.geometries.last
    components = [abs(value) for row in forces for value in row if value is not None]
    dipole = report.dipole
    rows: list[tuple[str, str, Any, str]] = [
        ("total_energy", "Total energy", report.total_energy, "eV"),
        ("fermi_energy", "Fermi energy", fermi, "eV"),
        ("scf_iterations", "SCF iterations", last.iterations if last else None, ""),
        ("scf_iterations_total", "SCF iterations in all", report.scf.count or None, ""),
        ("geometries", "Geometries", report.geometries.count or None, ""),
        ("kinetic_energy", "Kinetic energy", report.energies.get("Kinetic"), "eV"),
        ("electrons", "Electrons", report.electrons, ""),
        ("spin_moment", "Total spin polarisation", report.spin_total, ""),
        (
            "max_force",
            "Largest force component",
            max(components) if components else report.force_max,
            "eV/Å",
        ),
        ("residual_force", "Residual force", report.force_residual, "eV/Å"),
        ("pressure", "Pressure", report.pressure, "kbar"),
        ("volume", "Cell volume", report.volume, "Å³"),
        ("wall_time", "Wall time of SIESTA", report.wall_seconds, "s"),
        ("program_version", "SIESTA version", report.version or None, ""),
    ]
    if dipole is not None:
        rows += [
            (f"dipole_{axis}", f"Dipole, {axis}", dipole[i] + 0.0, "Debye")
            for i, axis in enumerate("xyz")
        ]
        rows.append(
            ("dipole", "Dipole", math.sqrt(sum(value * value for value in dipole)), "Debye")
        )
    if eigenvalues is not None:
        rows += [
            ("homo", "Highest occupied level", eigenvalues.homo, "eV"),
            ("lumo", "Lowest empty level", eigenvalues.lumo, "eV"),
            ("gap", "Gap", None if eigenvalues.gap is None else round(eigenvalues.gap, 8), "eV"),
        ]
    return (Quantity(*row) for row in rows if row[2] is not None)


def _table(
    name: str,
    label: str,
    kind: str,
    heads: Sequence[tuple[str, str, str]],
    rows: Sequence[Sequence[Any]],
) -> Dataset | None:
    """Make a dataset from rows, None where there are none."""
    if not rows:
        return None
    columns = [Column(*head, tuple(row[i] for row in rows)) for i, head in enumerate(heads)]
    return Dataset(name, label, kind, tuple(columns))


def _scf(report: Report) -> Dataset | None:
    rows = [
        (
            s.number,
            s.geometry,
            s.iteration,
            s.density_change,
            s.hamiltonian_change,
            s.energy,
            s.fermi,
        )
        for s in report.scf.items
    ]
    heads = (
        ("step", "SCF iteration, counted through", ""),
        ("geometry", "Geometry", ""),
        ("iteration", "SCF iteration", ""),
        ("density_change", "Change of the density matrix", ""),
        ("hamiltonian_change", "Change of the Hamiltonian", "eV"),
        ("energy", "Kohn-Sham energy", "eV"),
        ("fermi", "Fermi energy", "eV"),
    )
    rows = thin(rows, MAX_SCF_ROWS)
    label = thinned("SCF convergence", len(rows), report.scf.count, "iterations")
    return _table("scf", label, "series", heads, rows)


def _geometry_steps(report: Report) -> Dataset | None:
    if report.geometries.count < 2:
        return None
    rows = [(g.number, g.energy, g.max_force, g.iterations) for g in report.geometries.items]
    heads = (
        ("geometry", "Geometry", ""),
        ("energy", "Kohn-Sham energy", "eV"),
        ("max_force", "Largest force component", "eV/Å"),
        ("iterations", "SCF iterations", ""),
    )
    rows = thin(rows, MAX_GEOMETRY_STEPS)
    label = thinned("Geometry optimisation", len(rows), report.geometries.count, "geometries")
    return _table("geometry_steps", label, "series", heads, rows)


def _atoms(
    report: Report, geometry: files.Geometry | None
) -> list[tuple[str, float, float, float]]:
    if geometry is None:
        return report.coordinates
    names = dict(enumerate(SYMBOLS, start=1))
    return [(names.get(number, str(number)), x, y, z) for number, x, y, z in geometry.atoms]


def _geometry(atoms: Sequence[tuple[str, float, float, float]]) -> Dataset | None:
    rows = [
        (i, symbol, *(round(value, 8) for value in xyz))
        for i, (symbol, *xyz) in enumerate(atoms, start=1)
    ]
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        *((axis, axis, "Å") for axis in "xyz"),
    )
    return _table("geometry", "Final geometry", "table", heads, rows[:MAX_ATOM_ROWS])


def _cell(report: Report, geometry: files.Geometry | None) -> Dataset | None:
    vectors = geometry.cell if geometry is not None else tuple(report.cell)
    if len(vectors) != 3:
        return None
    rows = [
        ("abc"[i], *(None if v is None else round(v, 8) for v in vector))
        for i, vector in enumerate(vectors)
    ]
    heads = (("vector", "Vector", ""), *((axis, axis, "Å") for axis in "xyz"))
    return _table("cell", "Cell", "table", heads, rows)


def _forces(forces: Sequence[Sequence[float | None]], symbols: Sequence[str]) -> Dataset | None:
    known = symbols if len(symbols) == len(forces) else [""] * len(forces)
    rows = []
    for i, force in enumerate(forces[:MAX_ATOM_ROWS]):
        whole = [value for value in force if value is not None]
        norm = math.sqrt(sum(value * value for value in whole)) if len(whole) == 3 else None
        rows.append((i + 1, known[i], *force, norm))
    heads = (
        ("atom", "Atom", ""),
        ("symbol", "Element", ""),
        *((axis, f"Force, {axis}", "eV/Å") for axis in ("x", "y", "z")),
        ("norm", "Force", "eV/Å"),
    )
    return _table("forces", "Forces", "table", heads, rows)


def _stress(report: Report) -> Dataset | None:
    if len(report.stress) != 3:
        return None
    rows = [("xyz"[i], *row) for i, row in enumerate(report.stress)]
    heads = (("row", "Row", ""), *((axis, axis, "eV/Å³") for axis in "xyz"))
    return _table("stress", "Stress tensor (static)", "table", heads, rows)


def _eigenvalues(found: Eigenvalues | None) -> Dataset | None:
    """All levels where they are few; else those near the Fermi level, of some k-points."""
    if found is None:
        return None
    levels = found.levels
    per_k = min(found.bands, 60) if len(levels) * found.bands > MAX_LEVELS else found.bands
    k_points = thin(range(1, found.k_points + 1), max(2, MAX_LEVELS // (per_k * found.spins)))
    kept = set(k_points)
    rows: list[tuple[Any, ...]] = []
    for level in levels:
        if level.k not in kept:
            continue
        numbered = [
            (i, energy) for i, energy in enumerate(level.energies, start=1) if energy is not None
        ]
        nearest = sorted(numbered, key=lambda pair: abs(pair[1] - found.fermi))[:per_k]
        rows += [
            (level.k, level.spin, band, energy, 1 if energy <= found.fermi else 0)
            for band, energy in sorted(nearest)
        ]
    heads = (
        ("k", "k-point", ""),
        ("spin", "Spin", ""),
        ("band", "Band", ""),
        ("energy", "Energy", "eV"),
        ("occupied", "Occupied", ""),
    )
    return _table("eigenvalues", "Eigenvalues", "table", heads, rows[: 2 * MAX_LEVELS])


def _dos(rows: Sequence[tuple[float, ...]]) -> Dataset | None:
    """The sum over spins, and each spin where there are two."""
    if not rows:
        return None
    spins = min(2, len(rows[0]) - 1)
    table = [
        (row[0], sum(row[1 : 1 + spins]), *(row[1 : 1 + spins] if spins == 2 else ()))
        for row in rows
    ]
    heads = [("energy", "Energy", "eV"), ("dos", "Density of states", "1/eV")]
    if spins == 2:
        heads += [("dos_up", "Spin up", "1/eV"), ("dos_down", "Spin down", "1/eV")]
    return _table("dos", "Density of states", "series", heads, thin(table, MAX_DOS_ROWS))


def _bands(found: Bands | None) -> Dataset | None:
    """Band after band along the path; an empty row between two breaks the line there."""
    if found is None:
        return None
    near = sorted(
        ((spin, band) for spin, bands in enumerate(found.energies) for band in range(len(bands))),
        key=lambda pair: _distance(found.energies[pair[0]][pair[1]], found.fermi),
    )
    points = thin(range(len(found.distances)), 200)
    kept = sorted(near[: max(1, MAX_BAND_ROWS // (len(points) + 1))])
    rows: list[tuple[Any, ...]] = []
    for spin, band in kept:
        if rows:
            rows.append((None, None, None, None))
        energies = found.energies[spin][band]
        rows += [(found.distances[i], energies[i], band + 1, spin + 1) for i in points]
    heads = (
        ("distance", "Distance along the path", "1/Bohr"),
        ("energy", "Energy", "eV"),
        ("band", "Band", ""),
        ("spin", "Spin", ""),
    )
    return _table("bands", "Bands", "series", heads, rows)


def _distance(energies: Sequence[float | None], fermi: float) -> float:
    return min((abs(energy - fermi) for energy in energies if energy is not None), default=math.inf)


def _band_labels(found: Bands | None) -> Dataset | None:
    heads = (("distance", "Distance along the path", "1/Bohr"), ("label", "k-point", ""))
    return _table(
        "band_labels", "Points of the path", "table", heads, found.labels if found else ()
    )
