"""Texts of the form that become blocks of fdf, read line by line. Each raises FdfError."""

from __future__ import annotations

import re
from collections.abc import Iterator

from calculations.software.siesta.fdf import FdfError, number
from calculations.software.siesta.form_basis import SIZES
from calculations.software.structure import ATOMIC_NUMBERS

REAL = r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d{1,3})?"


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    for line, raw in enumerate(str(text or "").splitlines(), start=1):
        words = raw.split()
        if words:
            yield line, words


def band_rows(text: str) -> tuple[str, ...]:
    rows = []
    shape = rf"\d{{1,4}}(\s+{REAL}){{3}}(\s+[\\\w']{{1,20}})?"
    for line, words in _rows(text):
        if re.fullmatch(shape, " ".join(words), re.ASCII) is None:
            raise FdfError(
                line,
                "must be a number of points, three coordinates, and a name: 20 0.0 0.5 0.5 X",
            )
        rows.append(" ".join([words[0], *(number(float(word)) for word in words[1:4]), *words[4:]]))
    if len(rows) < 2:
        raise FdfError(0, "a path needs at least two k-points")
    return tuple(rows)


def grid_rows(text: str) -> tuple[str, ...]:
    """The three rows of a Monkhorst-Pack grid, none where the text is empty."""
    rows = []
    for line, words in _rows(text):
        if re.fullmatch(rf"(-?\d{{1,3}}\s+){{3}}{REAL}", " ".join(words), re.ASCII) is None:
            raise FdfError(line, "must be three whole numbers and a shift: 4 0 0 0.5")
        rows.append(" ".join([*words[:3], number(float(words[3]))]))
    if rows and len(rows) != 3:
        raise FdfError(0, f"a grid has three rows, not {len(rows)}")
    return tuple(rows)


def spin_rows(text: str, atoms: int) -> tuple[str, ...]:
    rows, seen = [], {}
    for line, words in _rows(text):
        shape = rf"\d{{1,6}}\s+([-+]|{REAL})(\s+{REAL}\s+{REAL})?"
        if re.fullmatch(shape, " ".join(words), re.ASCII) is None:
            raise FdfError(line, "must be an atom's number and its spin: 1 2.0, or 1 +")
        atom = int(words[0])
        if not 1 <= atom <= atoms:
            raise FdfError(line, f"there is no atom {atom}; the structure has {atoms}")
        if atom in seen:
            raise FdfError(line, f"atom {atom} stands already in line {seen[atom]}")
        seen[atom] = line
        rows.append(" ".join(words))
    return tuple(rows)


def read_sizes(text: str) -> dict[str, str]:
    """Return {element: basis size}."""
    found: dict[str, str] = {}
    for line, words in _rows(text):
        symbol = words[0].capitalize()
        if len(words) != 2 or symbol not in ATOMIC_NUMBERS or words[1].upper() not in SIZES:
            known = ", ".join(SIZES)
            raise FdfError(line, f"must be an element and one of {known}: O TZP")
        if symbol in found:
            raise FdfError(line, f"{symbol} stands twice; keep one of them")
        found[symbol] = words[1].upper()
    return found


def basis_rows(text: str) -> tuple[str, ...]:
    """The rows of PAO.Basis as they are; SIESTA alone understands all of them."""
    rows = []
    for line, words in _rows(text):
        row = " ".join(words).partition("#")[0].strip()
        if row.startswith("%") or re.search(r"[<\"'`]", row):
            raise FdfError(line, "holds the rows of the block alone, without %block and quotes")
        if row:
            rows.append(row)
    if rows and len(rows[0].split()) < 2:
        raise FdfError(1, "must begin with an element and its number of shells: O 2")
    return tuple(rows)


def basis_elements(rows: tuple[str, ...]) -> list[str]:
    """The elements that the rows of PAO.Basis speak of."""
    heads = (re.match(r"([A-Za-z]{1,2})(?:\.\S+)?\s+\d", row) for row in rows)
    return [found.group(1).capitalize() for found in heads if found]


def read_atoms(text: str, atoms: int) -> list[int]:
    """Read 1-3, 7 as the numbers of atoms, in order and once each."""
    found: set[int] = set()
    for part in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", str(text or "").strip())):
        if not part:
            continue
        ends = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part, re.ASCII)
        if ends is None:
            raise FdfError(0, f"{part[:20]!r} is no number of an atom; write 1-3, 7")
        first, last = int(ends.group(1)), int(ends.group(2) or ends.group(1))
        if not 1 <= first <= last <= atoms:
            raise FdfError(0, f"{part[:20]!r} lies outside of the structure's {atoms} atoms")
        found.update(range(first, last + 1))
    return sorted(found)


_CONSTRAINTS = """
atom atoms position z species-i clear clear-prev center rigid rigid-dir rigid-max rigid-max-dir
molecule molecule-max cell-angle cell-vector stress
"""
CONSTRAINTS = frozenset(_CONSTRAINTS.split())


def constraint_rows(text: str) -> tuple[str, ...]:
    rows = []
    for line, words in _rows(text):
        row = " ".join(words)
        if words[0].lower() not in CONSTRAINTS or re.search(r"[%<\"'`]", row):
            known = ", ".join(sorted(CONSTRAINTS))
            raise FdfError(line, f"must begin with one of {known}")
        rows.append(row)
    return tuple(rows)
