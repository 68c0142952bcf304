"""From a structure to a file of any known format."""

from __future__ import annotations

import io
from typing import Any

from calculations.software.structure import Structure, StructureError, write_xyz
from calculations.structures import fdf
from calculations.structures.formats import FORMATS

BOHR = fdf.BOHR


def formats_of(structure: Structure) -> list[str]:
    """Return the formats that can hold it: some need a cell."""
    return [f.name for f in FORMATS.values() if structure.cell is not None or not f.needs_cell]


def write(structure: Structure, format: str) -> str:
    """Raises StructureError for a format that is unknown or cannot hold the structure."""
    if format not in FORMATS:
        raise StructureError(f"{format[:20]!r} is no known format; choose of {', '.join(FORMATS)}")
    if format not in formats_of(structure):
        raise StructureError(
            f"{FORMATS[format].label} needs a cell, and this structure has none; "
            f"choose of {', '.join(formats_of(structure))}"
        )
    if format == "xyz":
        return _xyz(structure)
    if format == "extxyz":
        return write_xyz(structure)
    if format == "fdf":
        return fdf.write(structure)
    if format == "xv":
        return _xv(structure)
    return _by_ase(structure, format)


def as_atoms(structure: Structure) -> Any:
    """Return ASE's Atoms."""
    from ase import Atoms

    return Atoms(
        [atom.symbol for atom in structure.atoms],
        positions=[atom.position for atom in structure.atoms],
        cell=structure.cell,
        pbc=[letter == "T" for letter in structure.periodic],
    )


def _xyz(structure: Structure) -> str:
    """Plain xyz, which has no cell; extended xyz keeps it."""
    rows = [
        f"{atom.symbol:<2}" + "".join(f" {x + 0.0:15.10f}" for x in atom.position)
        for atom in structure.atoms
    ]
    return "\n".join([str(len(rows)), structure.comment, *rows]) + "\n"


def _by_ase(structure: Structure, format: str) -> str:
    atoms = as_atoms(structure)
    if format == "cif":
        from ase.io.cif import write_cif

        binary = io.BytesIO()
        atoms.pbc = True
        write_cif(binary, [atoms], wrap=False)
        return binary.getvalue().decode()
    out = io.StringIO()
    if format == "vasp":
        from ase.io.vasp import write_vasp

        ordered = atoms[_by_species(structure)]
        write_vasp(out, ordered, direct=True)
    elif format == "pdb":
        from ase.io.proteindatabank import write_proteindatabank

        write_proteindatabank(out, atoms)
    else:
        from ase.io.xsf import write_xsf

        if atoms.pbc.any():
            atoms.pbc = True
        write_xsf(out, [atoms])
    return out.getvalue()


def _by_species(structure: Structure) -> list[int]:
    """Atoms of one element stand together in a POSCAR."""
    order = {symbol: place for place, symbol in enumerate(structure.species)}
    return sorted(range(len(structure.atoms)), key=lambda i: order[structure.atoms[i].symbol])


def _xv(structure: Structure) -> str:
    """Vectors and atoms in Bohr, each with velocities of zero."""
    zeros = f"{0.0:18.9f}" * 3
    species = {symbol: place for place, symbol in enumerate(structure.species, start=1)}

    def row(values: tuple[float, float, float]) -> str:
        return "".join(f"{value / BOHR + 0.0:18.9f}" for value in values)

    lines = [row(vector) + zeros for vector in structure.cell or ()]
    lines.append(f"{len(structure.atoms):12d}")
    lines += [
        f"{species[atom.symbol]:3d}{atom.number:6d}{row(atom.position)}{zeros}"
        for atom in structure.atoms
    ]
    return "\n".join(lines) + "\n"
