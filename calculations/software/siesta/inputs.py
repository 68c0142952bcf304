"""From checked parameters to SIESTA's input file: the same parameters always give the same text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from calculations.software.siesta import fdf, motion, transport
from calculations.software.siesta.fdf import Entry, logical, number
from calculations.software.siesta.form_basis import FUNCTIONALS
from calculations.software.siesta.raw import read_extra
from calculations.software.siesta.rows import (
    band_rows,
    basis_rows,
    grid_rows,
    read_sizes,
    spin_rows,
)
from calculations.software.structure import (
    ATOMIC_NUMBERS,
    Structure,
    Vector,
    read_cell,
    read_xyz,
)

INPUT = "input.fdf"
Cell = tuple[Vector, Vector, Vector]


def structure_of(parameters: Mapping[str, Any]) -> Structure:
    """The atoms, and their cell if the xyz has one, both stretched by the scale of lengths."""
    structure = read_xyz(str(parameters["structure"]))
    scale = _scale(parameters)
    if scale == 1.0:
        return structure
    atoms = tuple(replace(atom, position=_times(atom.position, scale)) for atom in structure.atoms)
    return replace(structure, atoms=atoms, cell=_stretched(structure.cell, scale))


def _scale(parameters: Mapping[str, Any]) -> float:
    return float(parameters.get("scale") or 1.0)


def _times(vector: Vector, scale: float) -> Vector:
    return vector[0] * scale, vector[1] * scale, vector[2] * scale


def _stretched(cell: Cell | None, scale: float) -> Cell | None:
    if cell is None:
        return None
    a, b, c = (_times(vector, scale) for vector in cell)
    return a, b, c


def cell_of(
    parameters: Mapping[str, Any], structure: Structure
) -> tuple[Vector, Vector, Vector] | None:
    """The cell entered, else that of the extended xyz, else None: SIESTA makes a box."""
    text = str(parameters.get("cell") or "")
    if not text.strip():
        return structure.cell
    scale = _scale(parameters)
    return read_cell(text) if scale == 1.0 else _stretched(read_cell(text), scale)


def render(parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> str:
    """Return the text of the input file."""
    structure = structure_of(parameters)
    entries = [
        *_names(parameters, structure),
        *_method(parameters, structure),
        *_self_consistency(parameters, carried),
        *_atoms(parameters, structure),
        *_sampling(parameters),
        *_field(parameters),
        *motion.entries(parameters, len(structure.atoms)),
        *transport.entries(parameters),
        *_spectra(parameters),
        *read_extra(parameters["extra_fdf"]),
    ]
    return fdf.write(entries)


def _names(parameters: Mapping[str, Any], structure: Structure) -> list[Entry]:
    return [
        Entry("SystemName", structure.formula),
        Entry("SystemLabel", parameters["system_label"]),
        Entry("NumberOfAtoms", number(len(structure.atoms))),
        Entry("NumberOfSpecies", number(len(structure.species))),
    ]


def _row(values: Sequence[float]) -> str:
    return "".join(f"{value + 0.0:17.10f}" for value in values)


def _atoms(parameters: Mapping[str, Any], structure: Structure) -> list[Entry]:
    index = {symbol: place for place, symbol in enumerate(structure.species, start=1)}
    labels = tuple(f"{index[s]:3d} {ATOMIC_NUMBERS[s]:4d}  {s}" for s in structure.species)
    entries = [Entry("ChemicalSpeciesLabel", rows=labels)]
    cell = cell_of(parameters, structure)
    if cell is not None:
        rows = tuple(_row(vector) for vector in cell)
        entries += [Entry("LatticeConstant", "1.0 Ang"), Entry("LatticeVectors", rows=rows)]
    atoms = tuple(f"{_row(atom.position)}  {index[atom.symbol]}" for atom in structure.atoms)
    return [
        *entries,
        Entry("AtomicCoordinatesFormat", "Ang"),
        Entry("AtomicCoordinatesAndAtomicSpecies", rows=atoms),
    ]


def _of(parameters: Mapping[str, Any], name: str, unit: str = "") -> str:
    return f"{number(float(parameters[name]))} {unit}".rstrip()


def _method(parameters: Mapping[str, Any], structure: Structure) -> list[Entry]:
    functional, authors = FUNCTIONALS[parameters["functional"]]
    entries = [
        Entry("NetCharge", _of(parameters, "charge")),
        Entry("Spin", parameters["spin"]),
        Entry("PAO.BasisSize", parameters["basis_size"]),
        Entry("PAO.EnergyShift", _of(parameters, "energy_shift", "Ry")),
        Entry("PAO.SplitNorm", _of(parameters, "split_norm")),
        Entry("MeshCutoff", _of(parameters, "mesh_cutoff", "Ry")),
        Entry("XC.Functional", functional),
        Entry("XC.Authors", authors),
    ]
    if parameters["total_spin"] is not None:
        entries += [Entry("Spin.Fix", "T"), Entry("Spin.Total", _of(parameters, "total_spin"))]
    blocks = (
        ("DM.InitSpin", spin_rows(parameters["initial_spin"], len(structure.atoms))),
        ("PAO.BasisSizes", tuple(map(" ".join, read_sizes(parameters["basis_sizes"]).items()))),
        ("PAO.Basis", basis_rows(parameters["basis_block"])),
    )
    return entries + [Entry(label, rows=rows) for label, rows in blocks if rows]


def _self_consistency(parameters: Mapping[str, Any], carried: Sequence[str]) -> list[Entry]:
    continued = f"{parameters['system_label']}.DM" in carried
    entries = [
        Entry("SCF.DM.Tolerance", _of(parameters, "scf_tolerance")),
        Entry("SCF.H.Tolerance", _of(parameters, "hamiltonian_tolerance", "eV")),
        Entry("SCF.Mix", parameters["mixed"]),
        Entry("SCF.Mixer.Method", parameters["mixing_method"]),
        Entry("SCF.Mixer.Weight", _of(parameters, "mixing_weight")),
        Entry("SCF.Mixer.History", number(int(parameters["mixing_history"]))),
    ]
    if parameters["kick"]:
        entries += [
            Entry("SCF.Mixer.Kick", number(int(parameters["kick"]))),
            Entry("SCF.Mixer.Kick.Weight", _of(parameters, "kick_weight")),
        ]
    entries += [
        Entry("MaxSCFIterations", number(int(parameters["max_scf_iterations"]))),
        Entry("ElectronicTemperature", _of(parameters, "electronic_temperature", "K")),
    ]
    if parameters["occupation"] == "MP":
        entries += [
            Entry("OccupationFunction", "MP"),
            Entry("OccupationMPOrder", number(int(parameters["occupation_order"]))),
        ]
    return [
        *entries,
        Entry("DM.UseSaveDM", logical(continued)),
        Entry("WriteForces", "T"),
        Entry("WriteEigenvalues", "T"),
    ]


def _grid(label: str, counts: Sequence[int], shift: float) -> Entry:
    """A diagonal Monkhorst-Pack grid; a direction with one k-point is not shifted."""
    rows = []
    for i, count in enumerate(counts):
        row = [str(count) if i == j else "0" for j in range(3)]
        rows.append(" ".join([*row, number(shift if count > 1 else 0.0)]))
    return Entry(label, rows=tuple(rows))


def _counts(parameters: Mapping[str, Any]) -> list[int]:
    return [int(parameters[f"k_points_{axis}"]) for axis in "abc"]


def _sampling(parameters: Mapping[str, Any]) -> list[Entry]:
    own = grid_rows(parameters["k_grid"])
    if own:
        return [Entry("kgrid_Monkhorst_Pack", rows=own)]
    counts = _counts(parameters)
    if max(counts) == 1:
        return []
    return [_grid("kgrid_Monkhorst_Pack", counts, float(parameters["k_shift"]))]


def _field(parameters: Mapping[str, Any]) -> list[Entry]:
    entries = []
    field = [float(parameters[f"field_{axis}"]) + 0.0 for axis in "xyz"]
    if any(field):
        row = " ".join(f"{value:.8f}" for value in field)
        entries.append(Entry("ExternalElectricField", rows=(f"{row} V/Ang",)))
    if parameters["slab_dipole"]:
        entries.append(Entry("Slab.DipoleCorrection", "T"))
    return entries


def _spectra(parameters: Mapping[str, Any]) -> list[Entry]:
    entries = []
    if parameters["bands"]:
        entries.append(Entry("BandLinesScale", "ReciprocalLatticeVectors"))
        entries.append(Entry("BandLines", rows=band_rows(parameters["band_lines"])))
    if parameters["dos"]:
        low, high, width = (
            float(parameters[f"dos_{name}"]) for name in ("minimum", "maximum", "broadening")
        )
        row = f"{number(low)} {number(high)} {number(width)} {int(parameters['dos_points'])} eV"
        entries.append(Entry("ProjectedDensityOfStates", rows=(row,)))
        points, counts = int(parameters["dos_k_points"]), _counts(parameters)
        if points and max(counts) > 1:
            finer = [points if count > 1 else 1 for count in counts]
            entries.append(_grid("PDOS.kgrid_Monkhorst_Pack", finer, float(parameters["k_shift"])))
    wanted = parameters["charges"]
    for name, label, value in CHARGES:
        if wanted in (name, "all"):
            entries.append(Entry(label, value))
    return entries


CHARGES = (
    ("mulliken", "WriteMullikenPop", "1"),
    ("hirshfeld", "WriteHirshfeldPop", "T"),
    ("voronoi", "WriteVoronoiPop", "T"),
)
