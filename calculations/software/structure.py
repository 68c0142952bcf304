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
from functools import lru_cache
from itertools import product

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
    """Atoms in Å; `cell` comes from `Lattice="…"` in the comment of extended xyz, else None.

    `pbc` holds T or F for each vector of the cell; empty: all of them repeat.
    """

    atoms: tuple[Atom, ...]
    comment: str = ""
    cell: tuple[Vector, Vector, Vector] | None = None
    pbc: str = ""

    @property
    def periodic(self) -> str:
        """T or F along a, b and c."""
        return "FFF" if self.cell is None else self.pbc or "TTT"

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


@lru_cache(maxsize=64)  # the runs of a sweep are checked one by one, and mostly share their atoms
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
    cell, pbc = _lattice(comment), _periodicity(comment)
    relative = least_distance != LEAST_DISTANCE
    refuse_overlap(atoms, least_distance, None if relative else cell, pbc or "TTT")
    return Structure(atoms, comment, cell, pbc if cell else "")


def write_xyz(structure: Structure) -> str:
    """Write xyz with its head; the cell stands in the comment as extended xyz has it."""
    comment = re.sub(r'\s*(Lattice|pbc)\s*=\s*"[^"]*"', "", structure.comment, flags=re.IGNORECASE)
    if structure.cell is not None:
        numbers = " ".join(f"{x + 0.0:.10g}" for vector in structure.cell for x in vector)
        comment = f'{comment} Lattice="{numbers}" pbc="{" ".join(structure.periodic)}"'.strip()
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


def refuse_overlap(
    atoms: Sequence[Atom],
    least: float,
    cell: Sequence[Vector] | None = None,
    periodic: str = "TTT",
) -> None:
    """Raises StructureError where two atoms, or images of them, are nearer than `least`.

    Atoms are sorted into boxes of that size, so that only near ones are compared.
    """
    places = [(i, atom.position, False) for i, atom in enumerate(atoms)]
    if cell is not None:
        places = _with_images([atom.position for atom in atoms], least, cell, periodic)
    boxes: dict[tuple[int, int, int], list[tuple[int, Vector, bool]]] = {}
    for place in places:
        x, y, z = (math.floor(value / least) for value in place[1])
        for box in product((x - 1, x, x + 1), (y - 1, y, y + 1), (z - 1, z, z + 1)):
            for other in boxes.get(box, ()):
                if math.dist(place[1], other[1]) < least and not (place[2] and other[2]):
                    raise StructureError(_overlap(place, other, least))
        boxes.setdefault((x, y, z), []).append(place)


def _with_images(
    positions: Sequence[Vector], least: float, cell: Sequence[Vector], periodic: str
) -> list[tuple[int, Vector, bool]]:
    """Move all atoms into the cell and add the images that lie within `least` of its faces."""
    inverse = reciprocal(cell)
    margins = [least * math.hypot(*vector) for vector in inverse]
    found = []
    for i, position in enumerate(positions):
        shares = [sum(a * b for a, b in zip(position, vector)) for vector in inverse]
        choices = []
        for axis, share in enumerate(shares):
            if periodic[axis] != "T":
                choices.append((share,))
                continue
            inside = share - math.floor(share)
            near = [inside + 1.0] if inside < margins[axis] else []
            near += [inside - 1.0] if inside > 1.0 - margins[axis] else []
            choices.append((inside, *near))
        for number, image in enumerate(product(*choices)):
            x, y, z = (sum(image[n] * cell[n][axis] for n in range(3)) for axis in range(3))
            found.append((i, (x, y, z), number > 0))
    return found


def _overlap(one: tuple[int, Vector, bool], other: tuple[int, Vector, bool], least: float) -> str:
    first, second = sorted((one[0] + 1, other[0] + 1))
    near = f"are closer than {least} Å" if least == LEAST_DISTANCE else "lie at one place"
    if first == second:
        return f"atom {first} and its own image {near}; the cell is too short"
    image = ", across the face of the cell" if one[2] or other[2] else ""
    return f"atoms {first} and {second} {near}{image}"


def reciprocal(cell: Sequence[Vector]) -> tuple[Vector, Vector, Vector]:
    """The vectors whose product with a position gives its shares of the cell's vectors."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell
    size = volume(cell)
    return (
        ((by * cz - bz * cy) / size, (bz * cx - bx * cz) / size, (bx * cy - by * cx) / size),
        ((cy * az - cz * ay) / size, (cz * ax - cx * az) / size, (cx * ay - cy * ax) / size),
        ((ay * bz - az * by) / size, (az * bx - ax * bz) / size, (ax * by - ay * bx) / size),
    )


def _lattice(comment: str) -> tuple[Vector, Vector, Vector] | None:
    found = re.search(r'Lattice\s*=\s*"([^"]*)"', comment, re.IGNORECASE)
    return read_cell(found.group(1)) if found else None


def _periodicity(comment: str) -> str:
    found = re.search(r'pbc\s*=\s*"?\s*([TF01]\s*[TF01]\s*[TF01])\s*"?', comment, re.IGNORECASE)
    letters = "".join(found.group(1).upper().split()) if found else ""
    return letters.replace("1", "T").replace("0", "F")


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
    refuse_flat(cell)
    return cell


def refuse_flat(cell: Sequence[Vector]) -> None:
    """Raises StructureError for a cell whose images of one atom could not be told apart."""
    flat = abs(volume(cell)) < 1.0 or any(
        math.hypot(*vector) * LEAST_DISTANCE > 1.0 for vector in reciprocal(cell)
    )
    if flat:
        raise StructureError(
            "the cell has no volume: its vectors lie in one plane, or are far too short (Å)"
        )


def volume(cell: Sequence[Vector]) -> float:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = cell
    return ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
