"""From checked parameters to SIESTA's input file, and the checks that concern several of them.

Keywords that the portal sets are refused in raw fdf lines: in fdf the first of two wins, and
nobody would notice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from calculations.software.parameters import InvalidParameters
from calculations.software.siesta import fdf
from calculations.software.siesta.fdf import Entry, FdfError, logical, normalise, number
from calculations.software.siesta.parameters import FUNCTIONALS
from calculations.software.structure import (
    ATOMIC_NUMBERS,
    Structure,
    StructureError,
    Vector,
    read_cell,
    read_xyz,
)

INPUT = "input.fdf"

_OWNED = """
Lua.Script Lua.Debug
SystemName SystemLabel NumberOfAtoms NumberOfSpecies ChemicalSpeciesLabel AtomicCoordinatesFormat
AtomicCoordinatesAndAtomicSpecies AtomicCoordinatesOrigin Zmatrix SuperCell LatticeConstant
LatticeVectors LatticeParameters NetCharge Spin SpinPolarized NonCollinearSpin SpinOrbit
MeshCutoff PAO.BasisSize PAO.BasisSizes PAO.EnergyShift XC.Functional XC.Authors XC.Mix XC.Hybrid
kgrid_Monkhorst_Pack kgrid.MonkhorstPack kgrid_cutoff kgrid.File SCF.DM.Tolerance DM.Tolerance
SCF.Mixer.Weight DM.MixingWeight MaxSCFIterations ElectronicTemperature ExternalElectricField
MD.TypeOfRun MD.NumCGsteps MD.Steps MD.MaxForceTol MD.VariableCell MD.UseSaveXV MD.UseSaveCG
MD.UseSaveZM UseSaveData UseStructFile DM.UseSaveDM WriteForces WriteEigenvalues SCF.MustConverge
GeometryMustConverge BandLines BandLinesScale BandPoints ProjectedDensityOfStates
PDOS.kgrid_Monkhorst_Pack PDOS.kgrid.MonkhorstPack PDOS.kgrid_cutoff
"""
OWNED = frozenset(normalise(label) for label in _OWNED.split())


def structure_of(parameters: Mapping[str, Any]) -> Structure:
    return read_xyz(str(parameters["structure"]))


def cell_of(
    parameters: Mapping[str, Any], structure: Structure
) -> tuple[Vector, Vector, Vector] | None:
    """The cell entered, else that of the extended xyz, else None: SIESTA makes a box."""
    text = str(parameters.get("cell") or "")
    return read_cell(text) if text.strip() else structure.cell


def read_extra(text: str) -> list[Entry]:
    """Return the raw lines as entries. Raises FdfError naming each refused keyword and line."""
    entries = list(fdf.read(text))
    refused = []
    for entry in entries:
        if entry.include:
            refused.append(
                (entry.line, f"reads the file {entry.include[:80]!r}; write its lines here instead")
            )
        elif entry.key in OWNED:
            refused.append((entry.line, f"{entry.label} is set by the portal; remove it here"))
    if refused:
        more = "".join(f"; line {line}: {reason}" for line, reason in refused[1:])
        raise FdfError(refused[0][0], refused[0][1] + more)
    return entries


def validate(parameters: Mapping[str, Any]) -> None:
    """Raises InvalidParameters with every error at once."""
    errors: dict[str, str] = {}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", parameters["system_label"]):
        errors["system_label"] = (
            "may hold letters, digits, - and _ only, and begins with a letter or a digit"
        )
    cell = None
    try:
        structure = structure_of(parameters)
        cell = structure.cell
    except StructureError as error:
        errors["structure"] = str(error)
    try:
        cell = read_cell(parameters["cell"]) if parameters["cell"].strip() else cell
    except StructureError as error:
        errors["cell"] = str(error)
    try:
        read_extra(parameters["extra_fdf"])
    except FdfError as error:
        errors["extra_fdf"] = str(error)
    errors.update(_check_spectra(parameters))
    if cell is None and not {"cell", "structure"} & set(errors):
        wanting = [name for name in ("bands", "variable_cell") if parameters[name]]
        wanting += [f"k_points_{axis}" for axis in "abc" if parameters[f"k_points_{axis}"] > 1]
        errors.update(dict.fromkeys(wanting, "needs a cell; enter its vectors"))
    if parameters["variable_cell"] and not parameters["optimise"]:
        errors["variable_cell"] = "needs the optimisation of the geometry; switch that on too"
    if errors:
        raise InvalidParameters(errors)


def _check_spectra(parameters: Mapping[str, Any]) -> dict[str, str]:
    errors = {}
    if parameters["dos"] and parameters["dos_minimum"] >= parameters["dos_maximum"]:
        errors["dos_maximum"] = "must lie above the lower end of the window"
    if parameters["bands"]:
        try:
            _band_rows(parameters["band_lines"])
        except FdfError as error:
            errors["band_lines"] = str(error)
    return errors


def _band_rows(text: str) -> tuple[str, ...]:
    rows = []
    for line, raw in enumerate(text.splitlines(), start=1):
        words = raw.split()
        if not words:
            continue
        shape = r"\d{1,4}(\s+[-+]?\d*\.?\d+){3}(\s+[\\\w']{1,20})?"
        if re.fullmatch(shape, " ".join(words), re.ASCII) is None:
            raise FdfError(
                line,
                "must be a number of points, three coordinates, and a name: 20 0.0 0.5 0.5 X",
            )
        rows.append(" ".join([words[0], *(number(float(word)) for word in words[1:4]), *words[4:]]))
    if len(rows) < 2:
        raise FdfError(0, "a path needs at least two k-points")
    return tuple(rows)


def render(parameters: Mapping[str, Any], carried: Sequence[str] = ()) -> str:
    """Return the text of the input file; the same parameters always give the same text."""
    structure = structure_of(parameters)
    entries = [
        *_names(parameters, structure),
        *_method(parameters, carried),
        *_atoms(parameters, structure),
        *_sampling(parameters),
        *_field(parameters),
        *_geometry(parameters),
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


def _method(parameters: Mapping[str, Any], carried: Sequence[str]) -> list[Entry]:
    functional, authors = FUNCTIONALS[parameters["functional"]]
    continued = f"{parameters['system_label']}.DM" in carried
    return [
        Entry("NetCharge", number(float(parameters["charge"]))),
        Entry("Spin", parameters["spin"]),
        Entry("PAO.BasisSize", parameters["basis_size"]),
        Entry("PAO.EnergyShift", f"{number(float(parameters['energy_shift']))} Ry"),
        Entry("MeshCutoff", f"{number(float(parameters['mesh_cutoff']))} Ry"),
        Entry("XC.Functional", functional),
        Entry("XC.Authors", authors),
        Entry("SCF.DM.Tolerance", number(float(parameters["scf_tolerance"]))),
        Entry("SCF.Mixer.Weight", number(float(parameters["mixing_weight"]))),
        Entry("MaxSCFIterations", number(int(parameters["max_scf_iterations"]))),
        Entry("ElectronicTemperature", f"{number(float(parameters['electronic_temperature']))} K"),
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
    counts = _counts(parameters)
    if max(counts) == 1:
        return []
    return [_grid("kgrid_Monkhorst_Pack", counts, float(parameters["k_shift"]))]


def _field(parameters: Mapping[str, Any]) -> list[Entry]:
    field = [float(parameters[f"field_{axis}"]) + 0.0 for axis in "xyz"]
    if not any(field):
        return []
    row = " ".join(f"{value:.8f}" for value in field)
    return [Entry("ExternalElectricField", rows=(f"{row} V/Ang",))]


def _geometry(parameters: Mapping[str, Any]) -> list[Entry]:
    if not parameters["optimise"]:
        return []
    entries = [
        Entry("MD.TypeOfRun", "CG"),
        Entry("MD.NumCGsteps", number(int(parameters["max_steps"]))),
        Entry("MD.MaxForceTol", f"{number(float(parameters['force_tolerance']))} eV/Ang"),
    ]
    return [*entries, Entry("MD.VariableCell", "T")] if parameters["variable_cell"] else entries


def _spectra(parameters: Mapping[str, Any]) -> list[Entry]:
    entries = []
    if parameters["bands"]:
        entries.append(Entry("BandLinesScale", "ReciprocalLatticeVectors"))
        entries.append(Entry("BandLines", rows=_band_rows(parameters["band_lines"])))
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
    return entries
