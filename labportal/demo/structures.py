"""Structures with which the demo's library begins, from textbook bond lengths and lattices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import cos, pi, sin

CC, CH = 1.397, 1.084  # Å, in benzene
SILICON, SALT = 5.431, 5.640  # Å, edges of the cubic cells
GRAPHENE, GAP = 2.461, 15.0  # Å; the gap is empty space between sheets


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    content: str
    tags: tuple[str, ...]
    description: str


def _xyz(comment: str, atoms: list[tuple[str, float, float, float]]) -> str:
    rows = "\n".join(f"{symbol:<2} {x:12.6f} {y:12.6f} {z:12.6f}" for symbol, x, y, z in atoms)
    return f"{len(atoms)}\n{comment}\n{rows}\n"


def _water() -> str:
    return _xyz("", [("O", 0, 0, 0), ("H", 0, 0.757, 0.586), ("H", 0, -0.757, 0.586)])


def _benzene() -> str:
    ring = [(cos(k * pi / 3), sin(k * pi / 3)) for k in range(6)]
    atoms = [("C", CC * x, CC * y, 0.0) for x, y in ring]
    return _xyz("", atoms + [("H", (CC + CH) * x, (CC + CH) * y, 0.0) for x, y in ring])


def _silicon() -> str:
    h, q = SILICON / 2, SILICON / 4
    return _xyz(f'Lattice="0 {h} {h} {h} 0 {h} {h} {h} 0"', [("Si", 0, 0, 0), ("Si", q, q, q)])


def _salt() -> str:
    half = SALT / 2
    atoms = [
        ("Na" if (i + j + k) % 2 == 0 else "Cl", i * half, j * half, k * half)
        for i, j, k in product((0, 1), repeat=3)
    ]
    return _xyz(f'Lattice="{SALT} 0 0 0 {SALT} 0 0 0 {SALT}"', atoms)


def _graphene() -> str:
    height = GRAPHENE * 3**0.5 / 2
    lattice = f"{GRAPHENE} 0 0 {-GRAPHENE / 2} {height:.6f} 0 0 0 {GAP}"
    middle = GAP / 2
    atoms = [("C", 0, 0, middle), ("C", 0, GRAPHENE / 3**0.5, middle)]
    return _xyz(f'Lattice="{lattice}" pbc="T T F"', atoms)


STRUCTURES = (
    Sample(
        "Water",
        _water(),
        ("molecule", "polar"),
        "Its axis is z, as in the field of the demo's calculation.",
    ),
    Sample("Benzene", _benzene(), ("molecule", "aromatic"), "A flat ring in the plane of x and y."),
    Sample("Silicon", _silicon(), ("crystal", "semiconductor"), "Diamond lattice, primitive cell."),
    Sample("Rock salt", _salt(), ("crystal", "insulator"), "NaCl, the cubic cell of eight atoms."),
    Sample("Graphene", _graphene(), ("sheet", "semimetal"), "One sheet in the plane of a and b."),
)
