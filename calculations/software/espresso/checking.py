"""Checks that concern several parameters together, before a calculation is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from calculations.software.espresso import inputs
from calculations.software.espresso.form_system import LATTICES
from calculations.software.espresso.namelists import NamelistError
from calculations.software.espresso.raw import read_extra
from calculations.software.parameters import InvalidParameters
from calculations.software.structure import Structure, StructureError

Errors = dict[str, str]


def validate(parameters: Mapping[str, Any]) -> None:
    """Raises InvalidParameters with every error at once."""
    errors: Errors = {}
    structure = None
    try:
        structure = inputs.structure_of(parameters)
    except StructureError as error:
        errors["structure"] = str(error)
    for check in CHECKS:
        errors.update(check(parameters, structure))
    if errors:
        raise InvalidParameters(errors)


def _lattice(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    own = parameters["lattice"] == "vectors"
    if parameters["cell"].strip() and not own:
        return {"cell": "is only used with the lattice 'own vectors'; choose that, or empty this"}
    try:
        cell = inputs.cell_of(parameters, structure) if structure and own else None
    except StructureError as error:
        return {"cell": str(error)}
    if own and structure is not None and cell is None:
        return {"cell": "is needed with own vectors; enter three lines of three numbers in Å"}
    if not own and structure is not None and structure.cell is not None:
        return {"lattice": "must be 'own vectors', since the structure brings its own Lattice"}
    number, ratios = LATTICES[parameters["lattice"]]
    unused = {"b_over_a", "c_over_a"} - set(ratios)
    return {
        name: f"is not used by this lattice (ibrav {number}); leave it at 1"
        for name in sorted(unused)
        if parameters[name] != 1.0
    }


def _cutoffs(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    if 0 < parameters["ecutrho"] < 4 * parameters["ecutwfc"]:
        least = 4 * parameters["ecutwfc"]
        return {"ecutrho": f"must be 0, or at least four times the other cutoff: {least:g} Ry"}
    return {}


def _pseudopotentials(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    try:
        inputs.read_species(parameters["pseudo_files"])
    except NamelistError as error:
        return {"pseudo_files": str(error)}
    if structure is None:
        return {}
    try:
        inputs.pseudo_files(parameters, structure)
    except NamelistError as error:
        return {"pseudo_files" if error.line else "pseudo_pattern": str(error)}
    return {}


def _spin(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    text, fixed = parameters["magnetization"], parameters["total_magnetization"]
    if parameters["spin"] == "1":
        given = {"magnetization": bool(text.strip()), "total_magnetization": fixed is not None}
        reason = "needs a polarised spin; choose that, or empty this"
        return {name: reason for name, present in given.items() if present}
    try:
        started = inputs.read_species(text)
        for line, word in started.values():
            _magnetization(line, word)
    except NamelistError as error:
        return {"magnetization": str(error)}
    unknown = [symbol for symbol in started if structure and symbol not in structure.species]
    if unknown:
        return {"magnetization": f"{unknown[0]} is not in the structure"}
    if parameters["occupations"] == "fixed" and fixed is None:
        return {
            "total_magnetization": "is needed with fixed occupations; enter it, or choose smearing"
        }
    if fixed is None and not any(float(word) for _, word in started.values()):
        return {"magnetization": "must not be 0 for all elements; pw.x finds no moment from 0"}
    return {}


def _magnetization(line: int, word: str) -> None:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise NamelistError(line, f"{word[:20]!r} is no number from -1 to 1")


def _bands(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    if parameters["calculation"] != "bands":
        return {}
    try:
        inputs.read_path(parameters["band_path"])
    except NamelistError as error:
        return {"band_path": str(error)}
    return {}


def _extra(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    try:
        document = read_extra(parameters["extra_input"])
    except NamelistError as error:
        return {"extra_input": str(error)}
    task = parameters["calculation"]
    used = {"IONS": task in inputs.OPTIMISATIONS, "CELL": task == "vc-relax"}
    for namelist in document.namelists:
        if not used.get(namelist.name, True):
            reason = f"&{namelist.name} is not read in a calculation of the kind {task}"
            return {"extra_input": f"line {namelist.line}: {reason}; remove it"}
    return {}


CHECKS: tuple[Callable[[Mapping[str, Any], Structure | None], Errors], ...] = (
    _lattice,
    _cutoffs,
    _pseudopotentials,
    _spin,
    _bands,
    _extra,
)
