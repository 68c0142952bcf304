"""Between the form of pw.x and plain atoms: Bravais lattices, relative coordinates, the scale.

The vectors are those of pw.x's own documentation (INPUT_PW, ibrav), for the lattices of the form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calculations.software.espresso import inputs
from calculations.software.espresso.report import BOHR_IN_ANGSTROM
from calculations.software.structure import Atom, Structure, Vector, write_xyz

MARGIN = 10.0  # Å of empty space that a molecule gets in the box that pw.x needs

Cell = tuple[Vector, Vector, Vector]


def vectors(lattice: str, a: float, b_over_a: float = 1.0, c_over_a: float = 1.0) -> Cell:
    """Return the vectors of a lattice of the form, in the unit of `a`."""
    b, c, half = a * b_over_a, a * c_over_a, a / 2
    known: dict[str, Cell] = {
        "cubic": ((a, 0.0, 0.0), (0.0, a, 0.0), (0.0, 0.0, a)),
        "fcc": ((-half, 0.0, half), (0.0, half, half), (-half, half, 0.0)),
        "bcc": ((half, half, half), (-half, half, half), (-half, -half, half)),
        "hexagonal": ((a, 0.0, 0.0), (-half, half * math.sqrt(3), 0.0), (0.0, 0.0, c)),
        "tetragonal": ((a, 0.0, 0.0), (0.0, a, 0.0), (0.0, 0.0, c)),
        "bct": ((half, -half, c / 2), (half, half, c / 2), (-half, -half, c / 2)),
        "orthorhombic": ((a, 0.0, 0.0), (0.0, b, 0.0), (0.0, 0.0, c)),
    }
    return known[lattice]


def structure_of(parameters: Mapping[str, Any]) -> Structure:
    """Return the atoms in Å and the cell that pw.x computes. Raises StructureError."""
    written = inputs.structure_of(parameters)
    scale = float(parameters["scale"])
    own = parameters["lattice"] == "vectors"
    if own:
        found = inputs.cell_of(parameters, written)
        if found is None:
            return replace(written, cell=None)
        cell = _stretched(found, scale)
        alat = math.hypot(*cell[0])  # what pw.x takes where no celldm is given
    else:
        alat = float(parameters["celldm"]) * BOHR_IN_ANGSTROM * scale
        ratios = float(parameters["b_over_a"]), float(parameters["c_over_a"])
        cell = vectors(parameters["lattice"], alat, *ratios)
    units = parameters["units"]
    atoms = []
    for atom in written.atoms:
        x, y, z = atom.position
        if units == "crystal":
            a, b, c = cell
            x, y, z = (x * a[i] + y * b[i] + z * c[i] for i in range(3))
        else:
            length = alat if units == "alat" else scale
            x, y, z = x * length, y * length, z * length
        atoms.append(Atom(atom.symbol, (x, y, z)))
    return Structure(tuple(atoms), written.comment, cell)


def parameters_of(structure: Structure) -> dict[str, Any]:
    """Return the form's values: own vectors, coordinates in Å. A molecule gets a box around it."""
    cell = structure.cell or _box(structure)
    rows = "\n".join(" ".join(f"{x + 0.0:.10f}" for x in vector) for vector in cell)
    return {
        "structure": write_xyz(replace(structure, cell=None, pbc="")),
        "units": "angstrom",
        "lattice": "vectors",
        "cell": rows,
        "b_over_a": 1.0,
        "c_over_a": 1.0,
        "scale": 1.0,
    }


def _stretched(cell: tuple[Vector, ...], scale: float) -> Cell:
    a, b, c = ((x * scale, y * scale, z * scale) for x, y, z in cell)
    return a, b, c


def _box(structure: Structure) -> Cell:
    columns = zip(*(atom.position for atom in structure.atoms))
    x, y, z = (math.ceil(max(column) - min(column) + MARGIN) * 1.0 for column in columns)
    return ((x, 0.0, 0.0), (0.0, y, 0.0), (0.0, 0.0, z))
