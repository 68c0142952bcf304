"""What is computed of a structure for its page: lengths, angles, density, bonds, viewer data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.structure import Structure, Vector, volume

GRAMS_PER_CM3 = 1.66053906660  # of one u/Å³
BOND_SLACK = 1.2  # times the sum of the covalent radii
MOST_BONDED = 2_000  # atoms of which bonds are drawn


@dataclass(frozen=True, slots=True)
class Facts:
    """Lengths in Å, angles in degrees, density in g/cm³; None or empty without a cell."""

    lengths: tuple[float, ...] = ()
    angles: tuple[float, ...] = ()
    volume: float | None = None
    density: float | None = None
    extent: tuple[float, ...] = ()
    directions: str = ""


def facts(structure: Structure) -> Facts:
    columns = zip(*(atom.position for atom in structure.atoms), strict=True)
    extent = tuple(max(column) - min(column) for column in columns)
    if structure.cell is None:
        return Facts(extent=extent)
    from ase.data import atomic_masses

    cell = structure.cell
    size = abs(volume(cell))
    mass = math.fsum(float(atomic_masses[atom.number]) for atom in structure.atoms)
    return Facts(
        lengths=tuple(math.hypot(*vector) for vector in cell),
        angles=tuple(_angle(cell[i], cell[j]) for i, j in ((1, 2), (0, 2), (0, 1))),
        volume=size,
        density=mass * GRAMS_PER_CM3 / size if structure.periodic == "TTT" else None,
        extent=extent,
        directions=_directions(structure.periodic),
    )


def _directions(periodic: str) -> str:
    """Say along which vectors it repeats: a, b and c."""
    names = [axis for axis, letter in zip("abc", periodic, strict=True) if letter == "T"]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _angle(a: Vector, b: Vector) -> float:
    cosine = sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def bonds(structure: Structure) -> list[tuple[int, int]]:
    """Return pairs of atoms (from 0) whose covalent radii touch, inside the cell alone."""
    if not 1 < len(structure.atoms) <= MOST_BONDED:
        return []
    import numpy as np
    from ase.data import covalent_radii
    from scipy.spatial import cKDTree

    places = np.array([atom.position for atom in structure.atoms], float)
    radii = np.array([covalent_radii[atom.number] for atom in structure.atoms])
    pairs = cKDTree(places).query_pairs(2 * BOND_SLACK * float(radii.max()), output_type="ndarray")
    if not len(pairs):
        return []
    apart = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    touching = apart < BOND_SLACK * (radii[pairs[:, 0]] + radii[pairs[:, 1]])
    return [(int(i), int(j)) for i, j in pairs[touching]]


def colours(symbols: Sequence[str]) -> dict[str, str]:
    """Return the usual colours of the elements as #rrggbb, darkened where white would vanish."""
    from ase.data import atomic_numbers
    from ase.data.colors import jmol_colors

    found = {}
    for symbol in symbols:
        red, green, blue = (
            round(255 * min(float(part), 0.93)) for part in jmol_colors[atomic_numbers[symbol]]
        )
        found[symbol] = f"#{red:02x}{green:02x}{blue:02x}"
    return found


def radii(symbols: Sequence[str]) -> dict[str, float]:
    """Return covalent radii in Å."""
    from ase.data import atomic_numbers, covalent_radii

    return {symbol: round(float(covalent_radii[atomic_numbers[symbol]]), 3) for symbol in symbols}


def document(structure: Structure) -> dict[str, Any]:
    """Return what static/js/structure.js draws."""
    species = structure.species
    return {
        "formula": structure.formula,
        "symbols": [atom.symbol for atom in structure.atoms],
        "positions": [[round(x, 6) for x in atom.position] for atom in structure.atoms],
        "cell": structure.cell,
        "periodic": structure.periodic,
        "colours": colours(species),
        "radii": radii(species),
    }
