"""From an uploaded or pasted file to a structure: that, or StructureError, whatever the content.

Only the text itself is read. ASE gets it without a name, so that no reader looks at other files,
and only once the numbers that a head promises are known to be there.
"""

from __future__ import annotations

import io
import re
import warnings
from bisect import bisect
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from calculations.software.structure import MAX_ATOMS, Structure, StructureError
from calculations.structures import cif, fdf, xyz
from calculations.structures.formats import FORMATS, detect
from calculations.structures.found import Found, at, element, finish

MAX_BYTES = 5 * 1024 * 1024
MAX_LINE = 4_000


def read(content: str | bytes, *, format: str = "", name: str = "") -> Found:
    """Read one structure; `format` "" finds it out. Raises StructureError with line and remedy."""
    text = _decoded(content)
    chosen = format or detect(text, name)
    if chosen not in READERS:
        known = ", ".join(FORMATS)
        raise StructureError(f"{format[:20]!r} is no format that is read here; known are {known}")
    return READERS[chosen](text)


def _decoded(content: str | bytes) -> str:
    size = len(content) if isinstance(content, bytes) else len(content.encode(errors="replace"))
    if size > MAX_BYTES:
        raise StructureError(
            f"has {size / 2**20:.1f} MiB; at most {MAX_BYTES // 2**20} MiB are read. "
            "Send one frame without velocities or grids"
        )
    if isinstance(content, bytes):
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            content = content.decode("utf-16", errors="replace")
        else:
            content = content.decode("utf-8", errors="replace")
    text = content.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    signs = sum(not (c.isprintable() or c in "\n\t\f") for c in text[:10_000])
    if "\0" in text or signs > 20 + len(text[:10_000]) // 20:
        raise StructureError("is no text: send the file of coordinates, unpacked")
    if not text.strip():
        raise StructureError("is empty; it needs at least one atom")
    for line, row in enumerate(text.split("\n"), start=1):
        if len(row) > MAX_LINE:
            raise at(line, f"is longer than {MAX_LINE} characters; no such file has that")
    # Signs such as U+2028 would count as line ends here and not there.
    return "\n".join(row if row.isprintable() else _tame(row) for row in text.split("\n"))


def _tame(row: str) -> str:
    return "".join(c if c.isprintable() else " " for c in row)


class _Atoms(NamedTuple):
    """What is taken of ASE's Atoms."""

    symbols: list[str]
    positions: list[list[float]]
    cell: list[list[float]] | None
    periodic: str


class _Lines(io.StringIO):
    """Text that counts which line was read last, and has no name."""

    line = 0

    def readline(self, size: int | None = -1) -> str:
        self.line += 1
        return super().readline(-1 if size is None else size)


def _by_ase(text: str, label: str, parse: Callable[[io.StringIO], Any]) -> _Atoms:
    """Return what ASE has read. Whatever it raises becomes a StructureError with the line."""
    lines = _Lines(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = parse(lines)
            return _Atoms(
                atoms.get_chemical_symbols(),
                atoms.positions.tolist(),
                atoms.cell[:].tolist() if atoms.cell.rank == 3 else None,
                "".join("T" if along else "F" for along in atoms.pbc),
            )
    except StructureError:
        raise
    except Exception as error:  # ASE's readers fail in every way that Python knows
        rows = text.split("\n")
        place = min(lines.line, len(rows))
        shown = rows[place - 1].strip()[:60] if place else ""
        if shown:
            raise at(place, f"{shown!r} does not fit into a file of the format {label}") from error
        words = f"the file of the format {label} ends too early, or this line is empty"
        raise at(place, words) from error


def _structure(atoms: _Atoms, comment: str = "") -> Structure:
    repeats = "T" in atoms.periodic
    if repeats and atoms.cell is None:
        raise StructureError("the cell has no volume: its vectors lie in one plane")
    symbols = [element(symbol, 0) for symbol in atoms.symbols]
    cell = atoms.cell if repeats else None
    return finish(symbols, atoms.positions, cell, periodic=atoms.periodic, comment=comment)


def _vasp(text: str) -> Found:
    from ase.io.vasp import read_vasp_configuration

    lines = text.split("\n")
    _check_poscar(lines)
    atoms = _by_ase(text, "POSCAR", read_vasp_configuration)
    return Found(_structure(atoms, lines[0]), "vasp")


def _check_poscar(lines: list[str]) -> None:
    """ASE would look for a POTCAR to learn the elements, and allocate what the counts promise."""
    if len(lines) < 7:
        raise StructureError(
            "is too short for a POSCAR: title, scale, three vectors, elements, counts, coordinates"
        )
    words = lines[5].split()
    if not words or words[0].isdigit():
        raise at(6, "the elements are missing; write them above their numbers, such as Si O")
    for word in words:
        element(word.split("/")[0].split("_")[0], 6)
    counts = lines[6].split("!")[0].split()
    if len(counts) != len(words) or not all(c.isascii() and c.isdigit() for c in counts):
        raise at(7, f"must hold a number of atoms for each of the {len(words)} elements")
    total = sum(int(count[:9]) for count in counts)
    if total > MAX_ATOMS:
        raise at(7, f"promises {total} atoms; at most {MAX_ATOMS} are allowed")
    start = 9 if len(lines) > 7 and lines[7].strip()[:1].lower() == "s" else 8
    for place in range(start, start + total):
        if place >= len(lines) or len(lines[place].split()) < 3:
            raise at(min(place + 1, len(lines)), f"{total} atoms need a line of coordinates each")


def _xsf(text: str) -> Found:
    from ase.io.xsf import iread_xsf

    count = 0

    def last(lines: io.StringIO) -> Any:
        nonlocal count
        for frame in iread_xsf(lines):
            count, found = count + 1, frame
        return found

    text = re.sub(
        r"^\s*MOLECULE\s*$", "#", text, count=1, flags=re.MULTILINE
    )  # ASE has no such word
    atoms = _by_ase(text, "XSF", last)
    notes = (f"It holds {count} frames; the last is taken.",) if count > 1 else ()
    return Found(_structure(atoms), "xsf", notes)


def _xv(text: str) -> Found:
    from ase.io.siesta import read_siesta_xv

    return Found(_structure(_by_ase(text, "XV", read_siesta_xv)), "xv")


def _pdb(text: str) -> Found:
    from ase.io.proteindatabank import read_proteindatabank

    lines, notes = _one_model(text.split("\n"))
    atoms = _by_ase("\n".join(lines) + "\n", "PDB", read_proteindatabank)
    title = next((line[10:].strip() for line in lines if line.startswith("TITLE")), "")
    return Found(_structure(atoms, title), "pdb", notes)


def _one_model(lines: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Keep cell and atoms of the last model, one of alternate places of an atom, checked by line.

    What is left out is left empty, so that lines keep their numbers.
    """
    starts = [i for i, line in enumerate(lines) if line.startswith(("ATOM", "HETATM"))]
    if not starts:
        raise StructureError("holds no lines ATOM or HETATM")
    ends = [i for i, line in enumerate(lines[: starts[-1]]) if line.startswith("END")]
    first = ends[-1] if ends else -1
    notes = []
    models = 1 + sum(bisect(starts, a) < bisect(starts, b) for a, b in pairwise([-1, *ends]))
    if models > 1:
        notes.append(f"It holds {models} models; the last is taken.")
    kept, left = [], 0
    for i, line in enumerate(lines):
        wanted = line.startswith(("TITLE", "CRYST1"))
        if i > first and line.startswith(("ATOM", "HETATM")):
            wanted = line[16:17] in ("", " ", "A", "1")
            left += not wanted
            _check_pdb(line, i + 1)
        if line.startswith("CRYST1") and _no_cell(line):
            wanted = False
        kept.append(line if wanted else "")
    if left:
        notes.append(f"{left} atoms stand at alternate places; the first place of each is taken.")
    return kept, tuple(notes)


def _check_pdb(line: str, number: int) -> None:
    for begin in (30, 38, 46):
        try:
            float(line[begin : begin + 8])
        except ValueError:
            column = f"columns {begin + 1} to {begin + 8}"
            raise at(number, f"{column} must hold a coordinate in Å") from None


def _no_cell(line: str) -> bool:
    """Whether it is the cell of 1 Å that stands for none."""
    return line[6:33].split() == ["1.000", "1.000", "1.000"]


READERS: dict[str, Callable[[str], Found]] = {
    "xyz": xyz.read,
    "extxyz": xyz.read,
    "cif": cif.read,
    "vasp": _vasp,
    "pdb": _pdb,
    "fdf": fdf.read,
    "xsf": _xsf,
    "xv": _xv,
}
