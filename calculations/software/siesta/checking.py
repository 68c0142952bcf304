"""Checks that concern several parameters together, before a calculation is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from calculations.software.parameters import InvalidParameters
from calculations.software.siesta import inputs, motion, transport
from calculations.software.siesta.fdf import FdfError
from calculations.software.siesta.raw import read_extra
from calculations.software.siesta.rows import (
    band_rows,
    basis_elements,
    basis_rows,
    grid_rows,
    read_sizes,
    spin_rows,
)
from calculations.software.structure import Structure, StructureError, read_cell

Errors = dict[str, str]


def validate(parameters: Mapping[str, Any]) -> None:
    """Raises InvalidParameters with every error at once."""
    errors: Errors = {}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", parameters["system_label"]):
        errors["system_label"] = (
            "may hold letters, digits, - and _ only, and begins with a letter or a digit"
        )
    structure, cell = None, None
    try:
        structure = inputs.structure_of(parameters)
        cell = structure.cell
    except StructureError as error:
        errors["structure"] = str(error)
    try:
        cell = read_cell(parameters["cell"]) if parameters["cell"].strip() else cell
    except StructureError as error:
        errors["cell"] = str(error)
    known = not {"cell", "structure"} & set(errors)
    atoms = len(structure.atoms) if structure else 0
    errors |= _texts(parameters, structure)
    errors |= _spectra(parameters)
    errors |= _spin(parameters)
    if structure is not None:
        errors |= motion.check(parameters, atoms, cell=cell is not None or not known)
        errors |= transport.check(parameters, cell=cell is not None or not known)
    if cell is None and known:
        errors |= _without_cell(parameters)
    if errors:
        raise InvalidParameters(errors)


def _texts(parameters: Mapping[str, Any], structure: Structure | None) -> Errors:
    """Texts of several lines, each by its own reader."""
    readers: dict[str, Callable[[str], Any]] = {
        "extra_fdf": read_extra,
        "k_grid": grid_rows,
        "basis_sizes": read_sizes,
        "basis_block": basis_rows,
    }
    if structure is not None:
        readers["initial_spin"] = lambda text: spin_rows(text, len(structure.atoms))
    errors, found = {}, {}
    for name, read in readers.items():
        try:
            found[name] = read(parameters[name])
        except FdfError as error:
            errors[name] = str(error)
    if structure is not None:
        named = {
            "basis_sizes": list(found.get("basis_sizes", ())),
            "basis_block": basis_elements(found.get("basis_block", ())),
        }
        for name, symbols in named.items():
            foreign = [symbol for symbol in symbols if symbol not in structure.species]
            if foreign:
                errors[name] = f"{foreign[0]} is not in the structure"
    return errors


def _spin(parameters: Mapping[str, Any]) -> Errors:
    if parameters["spin"] == "non-polarized":
        given = {
            "total_spin": parameters["total_spin"] is not None,
            "initial_spin": bool(parameters["initial_spin"].strip()),
        }
        reason = "needs a polarised spin; choose that, or empty this"
        return {name: reason for name, present in given.items() if present}
    if parameters["spin"] != "polarized" and parameters["total_spin"] is not None:
        return {"total_spin": "can be fixed for collinear spins alone; empty this"}
    return {}


def _spectra(parameters: Mapping[str, Any]) -> Errors:
    errors = {}
    if parameters["dos"] and parameters["dos_minimum"] >= parameters["dos_maximum"]:
        errors["dos_maximum"] = "must lie above the lower end of the window"
    if parameters["bands"]:
        try:
            band_rows(parameters["band_lines"])
        except FdfError as error:
            errors["band_lines"] = str(error)
    return errors


def _without_cell(parameters: Mapping[str, Any]) -> Errors:
    wanting = [name for name in ("bands", "variable_cell", "slab_dipole") if parameters[name]]
    wanting += [f"k_points_{axis}" for axis in "abc" if parameters[f"k_points_{axis}"] > 1]
    if parameters["k_grid"].strip():
        wanting.append("k_grid")
    return dict.fromkeys(wanting, "needs a cell; enter its vectors")
