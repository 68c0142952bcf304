"""Moves atoms and cell: the input of optimisation, molecular dynamics and constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calculations.software.siesta.fdf import Entry, FdfError, number
from calculations.software.siesta.form_motion import (
    BAROSTATS,
    MOVERS,
    OPTIMISERS,
    SINGLE,
    THERMOSTATS,
)
from calculations.software.siesta.rows import constraint_rows, read_atoms

PER_ROW = 10  # numbers of atoms in a row of a block


def entries(parameters: Mapping[str, Any], atoms: int) -> list[Entry]:
    kind = parameters["run_type"]
    if kind == SINGLE:
        return []
    moves = _optimisation(parameters) if kind in OPTIMISERS else _dynamics(parameters)
    return [Entry("MD.TypeOfRun", kind), *moves, *_constraints(parameters, atoms)]


def _real(parameters: Mapping[str, Any], name: str, unit: str) -> str:
    return f"{number(float(parameters[name]))} {unit}"


def _optimisation(parameters: Mapping[str, Any]) -> list[Entry]:
    found = [
        Entry("MD.NumCGsteps", number(int(parameters["max_steps"]))),
        Entry("MD.MaxForceTol", _real(parameters, "force_tolerance", "eV/Ang")),
        Entry("MD.MaxDispl", _real(parameters, "max_displacement", "Bohr")),
    ]
    if parameters["variable_cell"]:
        found += [
            Entry("MD.VariableCell", "T"),
            Entry("MD.MaxStressTol", _real(parameters, "stress_tolerance", "GPa")),
            Entry("MD.TargetPressure", _real(parameters, "pressure", "GPa")),
        ]
    return found


def _dynamics(parameters: Mapping[str, Any]) -> list[Entry]:
    kind = parameters["run_type"]
    found = [
        Entry("MD.InitialTimeStep", "1"),
        Entry("MD.FinalTimeStep", number(int(parameters["max_steps"]))),
        Entry("MD.LengthTimeStep", _real(parameters, "time_step", "fs")),
        Entry("MD.InitialTemperature", _real(parameters, "initial_temperature", "K")),
    ]
    anneals = kind == "Anneal"
    if anneals:
        found += [
            Entry("MD.AnnealOption", parameters["anneal"]),
            Entry("MD.TauRelax", _real(parameters, "relaxation_time", "fs")),
        ]
    if kind in THERMOSTATS:
        found.append(Entry("MD.TargetTemperature", _real(parameters, "target_temperature", "K")))
    if kind in BAROSTATS or anneals:
        found.append(Entry("MD.TargetPressure", _real(parameters, "pressure", "GPa")))
    if kind in ("Nose", "NoseParrinelloRahman"):
        found.append(Entry("MD.NoseMass", _real(parameters, "nose_mass", "Ry*fs**2")))
    if kind in BAROSTATS:
        found.append(Entry("MD.ParrinelloRahmanMass", _real(parameters, "cell_mass", "Ry*fs**2")))
    return [*found, Entry("WriteMDHistory", "T"), Entry("WriteMDXmol", "T")]


def _constraints(parameters: Mapping[str, Any], atoms: int) -> list[Entry]:
    held = read_atoms(parameters["fixed_atoms"], atoms)
    rows = [
        "atom " + " ".join(map(str, held[i : i + PER_ROW])) for i in range(0, len(held), PER_ROW)
    ]
    rows += constraint_rows(parameters["constraints"])
    return [Entry("Geometry.Constraints", rows=tuple(rows))] if rows else []


def check(parameters: Mapping[str, Any], atoms: int, *, cell: bool) -> dict[str, str]:
    """Return what is wrong, by parameter."""
    errors: dict[str, str] = {}
    kind = parameters["run_type"]
    for name, read in (
        ("fixed_atoms", read_atoms),
        ("constraints", lambda t, _: constraint_rows(t)),
    ):
        try:
            found = read(parameters[name], atoms)
        except FdfError as error:
            errors[name] = str(error)
            continue
        if found and kind == SINGLE:
            errors[name] = "is of no use while the atoms stay where they are; empty it"
        elif name == "fixed_atoms" and len(found) == atoms > 0 and not parameters["variable_cell"]:
            errors[name] = "holds all atoms, so that nothing moves; leave some out"
    if parameters["variable_cell"] and kind not in OPTIMISERS:
        errors["variable_cell"] = "needs the optimisation of the geometry; choose that too"
    if kind in BAROSTATS and not cell:
        errors["run_type"] = "at constant pressure needs a cell; enter its vectors"
    if kind in MOVERS and atoms == 1 and not cell:
        errors["run_type"] = "needs more than one atom for dynamics"
    return errors
