"""How atoms and cell went: the frames of a trajectory, the last geometry, and the MDE table.

Read from ANI, XV, MDE and the output, thinned while they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from calculations.software.reading import Thinned, integer, lines, real, reals
from calculations.software.results import Dataset
from calculations.software.siesta import fdf
from calculations.software.siesta.fdf import FdfError
from calculations.software.siesta.files import Geometry
from calculations.software.structure import ATOMIC_NUMBERS, SYMBOLS
from calculations.software.survey import places_of
from calculations.software.tables import table

MAX_FRAMES = 200
MAX_ROWS = 100_000
MAX_DYNAMICS = 2000
MAX_INPUT = 2_000_000  # characters
MAX_CELL = 1000  # bytes of a cell's head and rows
INPUT = "input.fdf"
CELL = b"outcell: Unit cell vectors (Ang)"

Place = tuple[str, float, float, float]
Frame = tuple[Place, ...]
Cell = tuple[tuple[float, ...], ...]
Item = TypeVar("Item")


def trajectory(folder: Path, ani: Path) -> tuple[Dataset | None, int]:
    """Return the frames, evenly thinned, and how many there were; the first is the input's."""
    kept: Thinned[tuple[int, list[str]]] | None = None
    first: Frame | None = None
    count = 0
    for raw in _frames(ani):
        if kept is None:
            kept = Thinned(_limit(len(raw)), recent=1)
            first = _first(folder, raw)
            count = 0 if first is None else 1
        kept.append((count, raw))
        count += 1
    if kept is None or count < 2:
        return None, count
    frames = [(0, first)] if first is not None else []
    for number, raw in _ends(kept):
        frame = _places(raw)
        if frame is None:  # broken: nothing behind it can be trusted
            break
        frames.append((number, frame))
    if len(frames) < 2:
        return None, len(frames)
    rows = [(i, *place) for i, frame in _within(frames) for place in frame]
    heads = (("frame", "Geometry", ""), ("symbol", "Element", ""), *((a, a, "Å") for a in "xyz"))
    return table("trajectory", "Geometries", "table", heads, rows), count


def cells(output: Path, count: int, atoms: int) -> Dataset | None:
    """The cells of the frames, where the output has one for each of `count` geometries."""
    heads_at: Thinned[tuple[int, int]] = Thinned(_limit(atoms), recent=1)
    number = 0
    for place in places_of(output, CELL):
        if number < count:  # the last is printed again at the end
            heads_at.append((number, place))
        number += 1
    if number < count or count < 2:
        return None
    heads = [("frame", "Geometry", "")]
    heads += [(f"{v}{a}", f"{v}, {a}", "Å") for v in "abc" for a in "xyz"]
    found = [(i, _cell(output, place)) for i, place in _ends(heads_at)]
    rows = [(i, *(x for vector in cell for x in vector)) for i, cell in found if cell]
    return table("trajectory_cells", "Cells", "table", heads, rows)


def final(geometry: Geometry | None) -> tuple[Dataset | None, Dataset | None]:
    """The last geometry and its cell, as SIESTA left them for a restart."""
    if geometry is None or len(geometry.atoms) > MAX_ROWS:
        return None, None
    names = dict(enumerate(SYMBOLS, start=1))
    rows = [
        (names[number], *(round(value, 8) + 0.0 for value in place))
        for number, *place in geometry.atoms
        if number in names
    ]
    vectors = [
        ("abc"[i], *(round(value, 8) for value in vector)) for i, vector in enumerate(geometry.cell)
    ]
    axes = tuple((axis, axis, "Å") for axis in "xyz")
    return (
        table(
            "final_geometry", "Final geometry", "table", (("symbol", "Element", ""), *axes), rows
        ),
        table("final_cell", "Final cell", "table", (("vector", "Vector", ""), *axes), vectors),
    )


def dynamics(path: Path) -> Dataset | None:
    """The MDE table: temperature, energies, volume and pressure of each step."""
    rows: Thinned[tuple[float | int | None, ...]] = Thinned(MAX_DYNAMICS, recent=1)
    for _, text in lines(path):
        words = text.split()
        step = integer(words[0]) if words else None
        if step is None or len(words) != 6:
            continue
        rows.append((step, *(real(word) for word in words[1:])))
    heads = (
        ("step", "Time step", ""),
        ("temperature", "Temperature", "K"),
        ("potential_energy", "Kohn-Sham energy", "eV"),
        ("energy", "Total energy", "eV"),
        ("volume", "Volume", "Å³"),
        ("pressure", "Pressure", "kbar"),
    )
    return table("dynamics", "Molecular dynamics", "series", heads, rows.items)


def _limit(atoms: int) -> int:
    """So many frames of that many atoms fit."""
    return max(2, min(MAX_FRAMES, MAX_ROWS // max(1, atoms)))


def _ends(items: Thinned[Item]) -> list[Item]:
    """The thinned items, never more than the limit although the last is among them."""
    return _within(items.items)


def _within(items: list[Item]) -> list[Item]:
    return items if len(items) <= MAX_FRAMES else [*items[: MAX_FRAMES - 1], items[-1]]


def _first(folder: Path, raw: list[str]) -> Frame | None:
    """The atoms of the input, where they are those of the first frame."""
    first, frame = _input_frame(folder), _places(raw)
    same = (
        first is not None and frame is not None and [p[0] for p in first] == [p[0] for p in frame]
    )
    return first if same else None


def _frames(path: Path) -> Iterator[list[str]]:
    """Yield the rows of the whole frames of a file of many xyz; where one is cut, they end.

    What stands in the rows is read of those frames alone that are kept.
    """
    stream = (text for _, text in lines(path))
    for text in stream:
        if not text.strip():
            continue
        count = integer(text)
        if count is None or not 0 < count <= MAX_ROWS // 2:
            return
        next(stream, "")  # the comment
        raw = list(islice(stream, count))
        if len(raw) != count or _place(raw[-1]) is None:
            return
        yield raw


def _places(raw: list[str]) -> Frame | None:
    frame = tuple(place for place in map(_place, raw) if place)
    return frame if len(frame) == len(raw) else None


def _place(text: str) -> Place | None:
    words = text.split()
    if len(words) < 4 or not words[0][:1].isalpha():
        return None
    x, y, z = (real(word) for word in words[1:4])
    symbol = words[0][:20]
    symbol = symbol if symbol in ATOMIC_NUMBERS else symbol[:2].rstrip("_-.0123456789").capitalize()
    if x is None or y is None or z is None or symbol not in ATOMIC_NUMBERS:
        return None
    return symbol, x, y, z


def _input_frame(folder: Path) -> Frame | None:
    """The atoms of the input, where it has them in Å: the ANI file begins after the first move."""
    try:
        text = (folder / INPUT).read_text(encoding="utf-8", errors="replace")[:MAX_INPUT]
        document = fdf.read(text.replace("\0", ""))
    except (OSError, FdfError):
        return None
    form = document.get("AtomicCoordinatesFormat")
    atoms = document.get("AtomicCoordinatesAndAtomicSpecies")
    labels = document.get("ChemicalSpeciesLabel")
    if atoms is None or labels is None or form is None:
        return None
    if fdf.normalise(form.value) not in ("ang", "notscaledcartesianang"):
        return None
    species: dict[str, str] = {}
    for words in map(fdf.split, labels.rows or ()):
        number = integer(words[1]) if len(words) > 1 else None
        if number is None or not 0 < number <= len(SYMBOLS):
            return None
        species[words[0]] = SYMBOLS[number - 1]
    places = [_row(fdf.split(row), species) for row in atoms.rows or ()]
    return None if None in places else tuple(place for place in places if place)


def _row(words: Sequence[str], species: dict[str, str]) -> Place | None:
    if len(words) < 4 or words[3] not in species:
        return None
    x, y, z = (real(word) for word in words[:3])
    if x is None or y is None or z is None:
        return None
    return species[words[3]], x, y, z


def _cell(output: Path, place: int) -> Cell | None:
    """The three rows behind the head that stands at that byte."""
    rows = [reals(text) for _, text in islice(lines(output, place, MAX_CELL), 1, 4)]
    vectors = tuple(tuple(v for v in row if v is not None) for row in rows)
    return vectors if len(vectors) == 3 and all(len(v) == 3 for v in vectors) else None
