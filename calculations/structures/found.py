"""What every reader hands back, and the checks that all structures pass, whatever the format."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calculations.software.structure import (
    ATOMIC_NUMBERS,
    LARGEST_COORDINATE,
    LEAST_DISTANCE,
    MAX_ATOMS,
    SYMBOLS,
    Atom,
    Structure,
    StructureError,
    Vector,
    refuse_flat,
    refuse_overlap,
)

MAX_COMMENT = 120
HYDROGEN_ISOTOPES = {"D": "H", "T": "H"}


@dataclass(frozen=True, slots=True)
class Found:
    """A structure that was read; `notes` are sentences on what was left out or taken for given."""

    structure: Structure
    format: str
    notes: tuple[str, ...] = ()


def at(line: int, words: str) -> StructureError:
    return StructureError(f"line {line}: {words}" if line else words)


def element(word: str, line: int) -> str:
    """Return the symbol that a label such as O, o1, Fe2+ or 8 stands for. Raises StructureError."""
    if word.isascii() and word.isdigit() and 1 <= int(word[:4]) <= len(SYMBOLS):
        return SYMBOLS[int(word[:4]) - 1]
    bare = re.sub(r"[\d+\-*']+$", "", word).capitalize()
    symbol = HYDROGEN_ISOTOPES.get(bare, bare)
    if symbol not in ATOMIC_NUMBERS:
        raise at(line, f"{word[:20]!r} is not a chemical symbol")
    return symbol


def number(word: str, line: int) -> float:
    """Read a number as Fortran and C write it. Raises StructureError."""
    try:
        value = float(word.replace("D", "e").replace("d", "e"))
    except ValueError:
        raise at(line, f"{word[:20]!r} is not a number") from None
    if not math.isfinite(value):
        raise at(line, f"{word[:20]!r} is out of range")
    return value


def numbers(words: Sequence[str], count: int, line: int, what: str) -> list[float]:
    if len(words) < count:
        raise at(line, f"{what} needs {count} numbers, and there are {len(words)}")
    return [number(word, line) for word in words[:count]]


def plain(text: str) -> str:
    """Return a comment that cannot be taken for anything else: one line, no quotes, no keys."""
    kept = "".join(c if c.isprintable() and c not in "\"'=" else " " for c in text)
    return " ".join(kept.split())[:MAX_COMMENT]


def finish(
    symbols: Sequence[str],
    positions: Iterable[Sequence[float]],
    cell: Sequence[Sequence[float]] | None = None,
    *,
    periodic: str = "TTT",
    comment: str = "",
    lines: Sequence[int] = (),
) -> Structure:
    """Check and return the structure; `lines` say where each atom stands. Raises StructureError."""
    if not symbols:
        raise StructureError("holds no atoms; each needs a symbol and three coordinates")
    if len(symbols) > MAX_ATOMS:
        raise StructureError(f"holds {len(symbols)} atoms; at most {MAX_ATOMS} are allowed")
    atoms = []
    for place, (symbol, position) in enumerate(zip(symbols, positions, strict=True)):
        x, y, z = (float(value) for value in position)
        if not all(abs(value) <= LARGEST_COORDINATE for value in (x, y, z)):
            raise at(
                lines[place] if lines else 0,
                f"atom {place + 1} lies at ({x:g}, {y:g}, {z:g}) Å; coordinates must be numbers "
                f"of at most {LARGEST_COORDINATE:g} Å",
            )
        atoms.append(Atom(symbol, (x, y, z)))
    vectors = _cell(cell)
    refuse_overlap(atoms, LEAST_DISTANCE, vectors, periodic)
    pbc = "" if vectors is None or periodic == "TTT" else periodic
    return Structure(tuple(atoms), plain(comment), vectors, pbc)


def _cell(cell: Sequence[Sequence[float]] | None) -> tuple[Vector, Vector, Vector] | None:
    if cell is None:
        return None
    flat = [float(value) for vector in cell for value in vector]
    if not all(abs(value) <= LARGEST_COORDINATE for value in flat):
        raise StructureError(
            f"the vectors of the cell must be numbers of at most {LARGEST_COORDINATE:g} Å"
        )
    vectors: tuple[Vector, Vector, Vector] = (
        (flat[0], flat[1], flat[2]),
        (flat[3], flat[4], flat[5]),
        (flat[6], flat[7], flat[8]),
    )
    refuse_flat(vectors)
    return vectors
