"""Atoms as scientists paste them: xyz text in Å with chemical symbols, and cells of three vectors.

Shared by the plug-ins. Standard library only and Python 3.9, since the agent carries this file to
login nodes.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS = tuple(_SYMBOLS.split())
ATOMIC_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, start=1)}
MAX_ATOMS = 20_000
LEAST_DISTANCE = 0.3  # Å; nearer atoms are a slip of the pen
LARGEST_COORDINATE = 1e4  # Å

Vector = tuple[float, float, float]

WATER = """3
water
O   0.000   0.000   0.000
H   0.757   0.586   0.000
H  -0.757   0.586   0.000
"""


class StructureError(ValueError):
    """A structure that cannot be read; the message names the line and the remedy."""


@dataclass(frozen=True)
class Atom:
    symbol: str
    position: Vector

    @property
    def number(self) -> int:
        return ATOMIC_NUMBERS[self.symbol]


@dataclass(frozen=True)
class Structure:
    """Atoms in Å; `cell` comes from `Lattice="…"` in the comment of extended xyz, else None."""

    atoms: tuple[Atom, ...]
    comment: str = ""
    cell: tuple[Vector, Vector, Vector] | None = None

    @property
    def species(self) -> tuple[str, ...]:
        """Symbols in the order of first appearance."""
        return tuple(dict.fromkeys(atom.symbol for atom in self.atoms))

    @property
    def formula(self) -> str:
        """Hill's order: carbon, hydrogen, then by name."""
        counts = Counter(atom.symbol for atom in self.atoms)
        first = [symbol for symbol in ("C", "H") if symbol in counts] if "C" in counts else []
        order = first + sorted(set(counts) - set(first))
        return "".join(
            symbol + (str(counts[symbol]) if counts[symbol] > 1 else "") for symbol in order
        )


def read_xyz(text: str, *, least_distance: float = LEAST_DISTANCE) -> Structure:
    """Read xyz text, with or without the two lines of the head. Raises StructureError.

    Coordinates relative to a cell are no lengths: they are read with a smaller `least_distance`.
    """
    lines = text.splitlines()
    rows = [(number, line.split()) for number, line in enumerate(lines, start=1)]
    start = next((i for i, (_, words) in enumerate(rows) if words), None)
    if start is None:
        raise StructureError("holds no atoms; write one line for each, such as O 0.0 0.0 0.0")
    comment, count = "", None
    first = rows[start][1]
    if len(first) == 1:
        if re.fullmatch(r"\d{1,9}", first[0]) is None:
            raise StructureError(
                f"line {rows[start][0]}: must be the number of atoms, or an atom: symbol x y z"
            )
        count = int(first[0])
        comment = lines[start + 1].strip() if start + 1 < len(lines) else ""
        start += 2
    atoms = tuple(_atom(number, words) for number, words in rows[start:] if words)
    if count is not None and count != len(atoms):
        raise StructureError(f"the first line promises {count} atoms, but {len(atoms)} follow")
    if not atoms:
        raise StructureError("holds no atoms; write one line for each, such as O 0.0 0.0 0.0")
    if len(atoms) > MAX_ATOMS:
        raise StructureError(f"holds {len(atoms)} atoms; at most {MAX_ATOMS} are allowed")
    _refuse_overlap(atoms, least_distance)
    return Structure(atoms, comment, _lattice(comment))


def write_xyz(structure: Structure) -> str:
    """Write xyz with its head; the cell stands in the comment as extended xyz has it."""
    comment = re.sub(r'\s*(Lattice|pbc)\s*=\s*"[^"]*"', "", structure.comment, flags=re.IGNORECASE)
    if structure.cell is not None:
        numbers = " ".join(f"{x + 0.0:.10g}" for vector in structure.cell for x in vector)
        comment = f'{comment} Lattice="{numbers}" pbc="T T T"'.strip()
    rows = [
        f"{atom.symbol:<2}" + "".join(f" {x + 0.0:15.10f}" for x in atom.position)
        for atom in structure.atoms
    ]
    return "\n".join([str(len(rows)), comment, *rows]) + "\n"


def _atom(number: int, words: Sequence[str]) -> Atom:
    if len(words) < 4:
        raise StructureError(f"line {number}: an atom needs a symbol and three coordinates in Å")
    symbol = words[0].capitalize()
    if words[0].isascii() and words[0].isdigit() and 1 <= int(words[0][:4]) <= len(SYMBOLS):
        symbol = SYMBOLS[int(words[0][:4]) - 1]
    if symbol not in ATOMIC_NUMBERS:
        raise StructureError(f"line {number}: {words[0][:20]!r} is not a chemical symbol")
    x, y, z = (_coordinate(number, word) for word in words[1:4])
    return Atom(symbol, (x, y, z))


def _coordinate(number: int, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise StructureError(f"line {number}: {word[:20]!r} is not a number") from None
    if not math.isfinite(value) or abs(value) > LARGEST_COORDINATE:
        raise StructureError(f"line {number}: {word[:20]!r} is out of range; coordinates are in Å")
    return value


def _refuse_overlap(atoms: Sequence[Atom], least: float) -> None:
    """Compare along x only with near neighbours, so that thousands of atoms stay quick."""
    order = sorted(range(len(atoms)), key=lambda i: atoms[i].position[0])
    for place, i in enumerate(order):
        for j in order[place + 1 :]:
            if atoms[j].position[0] - atoms[i].position[0] > least:
                break
            if math.dist(atoms[i].position, atoms[j].position) < least:
                first, second = sorted((i + 1, j + 1))
                near = f"are closer than {least} Å"
                raise StructureError(
                    f"atoms {first} and {second} "
                    + (near if least == LEAST_DISTANCE else "lie at one place")
                )


def _lattice(comment: str) -> tuple[Vector, Vector, Vector] | None:
    found = re.search(r'Lattice\s*=\s*"([^"]*)"', comment, re.IGNORECASE)
    return read_cell(found.group(1)) if found else None


def read_cell(text: str) -> tuple[Vector, Vector, Vector]:
    """Read three vectors in Å, or the three edges of a box. Raises StructureError."""
    words = text.replace(",", " ").split()
    if len(words) not in (3, 9):
        raise StructureError(
            "a cell is three lines of three numbers in Å, or the three edges of a box"
        )
    numbers = [_coordinate(1 + i // 3, word) for i, word in enumerate(words)]
    if len(numbers) == 3:
        a, b, c = numbers
        numbers = [a, 0.0, 0.0, 0.0, b, 0.0, 0.0, 0.0, c]
    cell: tuple[Vector, Vector, Vector] = (
        (numbers[0], numbers[1], numbers[2]),
        (numbers[3], numbers[4], numbers[5]),
        (numbers[6], numbers[7], numbers[8]),
    )
    if abs(volume(cell)) < 1.0:
        raise StructureError(
            "the cell has no volume: its vectors lie in one plane, or are far too short (Å)"
        )
    return cell


def volume(cell: Sequence[Vector]) -> float:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell
    return ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
