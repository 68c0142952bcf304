"""xyz and extended xyz, of one frame or many; the last frame is taken."""

from __future__ import annotations

import re
from dataclasses import dataclass

from calculations.software.structure import MAX_ATOMS, Structure, read_xyz
from calculations.structures.found import Found, at, element, finish, number, numbers

PROPERTIES = re.compile(r'Properties\s*=\s*"?([\w:.-]+)"?', re.IGNORECASE)
LATTICE = re.compile(r'Lattice\s*=\s*["{\[]([^"}\]]*)["}\]]', re.IGNORECASE)
PERIODIC = re.compile(r'pbc\s*=\s*["{\[]?\s*([TF01][\s,]*[TF01][\s,]*[TF01])', re.IGNORECASE)
KEY = re.compile(r"""[\w.:-]+\s*=\s*("[^"]*"|\{[^}]*\}|\[[^\]]*\]|\S+)""")
COUNT = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where symbol and coordinates stand in the line of an atom."""

    symbol: int = 0
    x: int = 1


def read(text: str) -> Found:
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if not lines or COUNT.fullmatch(lines[first].strip()) is None:
        return Found(read_xyz(text), "xyz")
    starts = _frames(lines, first)
    structure, extended = _frame(lines, starts[-1])
    notes = () if len(starts) == 1 else (f"It holds {len(starts)} frames; the last is taken.",)
    return Found(structure, "extxyz" if extended else "xyz", notes)


def _frames(lines: list[str], first: int) -> list[int]:
    """Return the line (from 0) on which each frame begins."""
    starts, place = [], first
    while place < len(lines):
        if not lines[place].strip():
            place += 1
            continue
        word = lines[place].strip()
        if COUNT.fullmatch(word) is None:
            told = f"the first line of the frame promises {lines[starts[-1]].strip()} atoms, and"
            raise at(place + 1, f"{told} something else follows them: {word[:40]!r}")
        starts.append(place)
        place += 2 + int(word)
    return starts


def _frame(lines: list[str], start: int) -> tuple[Structure, bool]:
    count = int(lines[start])
    comment = lines[start + 1].strip() if start + 1 < len(lines) else ""
    if count > MAX_ATOMS:
        raise at(start + 1, f"{count} atoms are promised; at most {MAX_ATOMS} are allowed")
    columns, lattice = _columns(comment, start + 2), LATTICE.search(comment)
    rows = lines[start + 2 : start + 2 + count]
    if len(rows) < count or (rows and not all(row.strip() for row in rows)):
        follow = sum(bool(row.strip()) for row in rows)
        raise at(start + 1, f"{count} atoms are promised, but {follow} follow")
    symbols, positions = [], []
    for line, row in enumerate(rows, start=start + 3):
        words = row.split()
        if len(words) < columns.x + 3 or len(words) <= columns.symbol:
            raise at(line, "an atom needs a symbol and three coordinates in Å")
        symbols.append(element(words[columns.symbol], line))
        positions.append([number(word, line) for word in words[columns.x : columns.x + 3]])
    structure = finish(
        symbols,
        positions,
        _lattice(lattice, start + 2),
        periodic=_periodic(comment),
        comment=KEY.sub(" ", comment),
        lines=range(start + 3, start + 3 + count),
    )
    return structure, lattice is not None or PROPERTIES.search(comment) is not None


def _columns(comment: str, line: int) -> Columns:
    """Read Properties=species:S:1:pos:R:3:…; without it the symbol stands first."""
    found = PROPERTIES.search(comment)
    if found is None:
        return Columns()
    words, places, place = found.group(1).split(":"), {}, 0
    for name, width in zip(words[::3], words[2::3], strict=False):
        if COUNT.fullmatch(width) is None or int(width) > 100:
            raise at(line, f"Properties: {width[:20]!r} is no number of columns")
        places[name.lower()] = place
        place += int(width)
    symbol = places.get("species", places.get("z"))
    if symbol is None or "pos" not in places:
        raise at(line, "Properties must name species:S:1 and pos:R:3")
    return Columns(symbol, places["pos"])


def _lattice(found: re.Match[str] | None, line: int) -> list[list[float]] | None:
    if found is None:
        return None
    values = numbers(found.group(1).replace(",", " ").split(), 9, line, "Lattice")
    return [values[:3], values[3:6], values[6:9]]


def _periodic(comment: str) -> str:
    found = PERIODIC.search(comment)
    letters = re.sub(r"[\s,]", "", found.group(1)).upper() if found else "TTT"
    return letters.replace("1", "T").replace("0", "F")
