"""Structures in SIESTA's fdf, read with the plug-in's own reader, so that errors name lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calculations.software.siesta import fdf
from calculations.software.siesta.fdf import Document, Entry, FdfError
from calculations.software.structure import ATOMIC_NUMBERS, SYMBOLS, Structure, StructureError
from calculations.structures.found import Found, at, finish, number, numbers

BOHR = 0.529177210903  # Å
UNITS = {"ang": 1.0, "angstrom": 1.0, "bohr": BOHR, "nm": 10.0}
ATOMS = "AtomicCoordinatesAndAtomicSpecies"
STRUCTURAL = (
    ATOMS,
    "ChemicalSpeciesLabel",
    "LatticeConstant",
    "LatticeVectors",
    "LatticeParameters",
    "AtomicCoordinatesFormat",
    "AtomicCoordinatesOrigin",
)
NOT_APPLIED = ("Zmatrix", "SuperCell")

Rows = list[tuple[int, list[str]]]


def read(text: str) -> Found:
    try:
        document = fdf.read(text)
    except FdfError as error:
        raise StructureError(str(error)) from None
    notes = _refuse_files(document)
    for label in NOT_APPLIED:
        if entry := document.get(label):
            raise at(entry.line, f"{label} is not read here; write out all atoms in {ATOMS}")
    species = _species(document)
    constant = _constant(document)
    cell = _cell(document, constant)
    place = _places(document, constant, cell)
    symbols, positions, lines, ghosts = [], [], [], 0
    for line, words in _rows(_needed(document, ATOMS)):
        x, y, z = numbers(words, 3, line, "an atom")
        kind = words[3] if len(words) > 3 else ""
        if kind not in species:
            raise at(line, f"species {kind[:20]!r} is not listed in ChemicalSpeciesLabel")
        if species[kind] is None:
            ghosts += 1
            continue
        symbols.append(species[kind])
        positions.append(place([x, y, z]))
        lines.append(line)
    _check_count(document, len(symbols) + ghosts)
    if ghosts:
        notes.append(f"{ghosts} ghost atoms, which are orbitals without an atom, are left out.")
    name = document.get("SystemName")
    structure = finish(
        [s for s in symbols if s], positions, cell, comment=name.value if name else "", lines=lines
    )
    return Found(structure, "fdf", tuple(notes))


def _refuse_files(document: Document) -> list[str]:
    """Files that are named inside are never read: what matters must stand in the text itself."""
    notes = []
    present = document.get(ATOMS) is not None
    for entry in document:
        if entry.include:
            words = f"the file {entry.include[:60]!r} is named, and only this text is read"
            if not present or entry.key in {fdf.normalise(label) for label in STRUCTURAL}:
                raise at(entry.line, f"{words}; write its lines here instead")
            notes.append(f"Line {entry.line}: {words}.")
    return notes


def _needed(document: Document, label: str) -> Entry:
    entry = document.get(label)
    if entry is None or entry.rows is None:
        raise StructureError(f"has no block {label}; write %block {label} … %endblock {label}")
    return entry


def _rows(entry: Entry) -> Rows:
    return [
        (line, fdf.split(row)) for line, row in zip(entry.row_lines, entry.rows or (), strict=True)
    ]


def _species(document: Document) -> dict[str, str | None]:
    """Return {number in the list: symbol}, None for ghosts."""
    found: dict[str, str | None] = {}
    for line, words in _rows(_needed(document, "ChemicalSpeciesLabel")):
        if len(words) < 3:
            raise at(line, "a species needs its number, its atomic number and a label")
        atomic = int(number(words[1], line))
        if atomic > len(SYMBOLS) or atomic == 0 or -atomic > len(SYMBOLS):
            raise at(line, f"{words[1][:20]!r} is no atomic number; mixed atoms are not read here")
        found[words[0]] = SYMBOLS[atomic - 1] if atomic > 0 else None
    return found


def _unit(words: Sequence[str], line: int) -> float:
    unit = words[1].lower() if len(words) > 1 else "bohr"
    if unit not in UNITS:
        raise at(line, f"{unit[:20]!r} is no unit of length; known are Ang, Bohr and nm")
    return UNITS[unit]


def _constant(document: Document) -> float | None:
    entry = document.get("LatticeConstant")
    if entry is None:
        return None
    words = entry.words
    if not words:
        raise at(entry.line, "LatticeConstant needs a length, such as 5.43 Ang")
    return number(words[0], entry.line) * _unit(words, entry.line)


def _cell(document: Document, constant: float | None) -> list[list[float]] | None:
    vectors, lengths = document.get("LatticeVectors"), document.get("LatticeParameters")
    entry = vectors or lengths
    if vectors and lengths:
        raise at(lengths.line, f"the cell stands already in line {vectors.line}; keep one of them")
    if constant is None:
        if entry is not None:
            raise at(entry.line, f"{entry.label} needs LatticeConstant beside it")
        return None
    if vectors is not None:
        rows = _rows(vectors)
        if len(rows) != 3:
            raise at(vectors.line, f"LatticeVectors needs three rows, and has {len(rows)}")
        found = [numbers(words, 3, line, "a vector") for line, words in rows]
    elif lengths is not None:
        found = _of_lengths(lengths)
    else:
        found = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    return [[constant * value for value in vector] for vector in found]


def _of_lengths(entry: Entry) -> list[list[float]]:
    from ase.geometry import cellpar_to_cell

    rows = _rows(entry)
    if not rows:
        raise at(entry.line, "LatticeParameters needs three lengths and three angles")
    line, words = rows[0]
    values = numbers(words, 6, line, "LatticeParameters")
    try:
        return [list(map(float, vector)) for vector in cellpar_to_cell(values)]
    except (ValueError, AssertionError, ArithmeticError):
        raise at(line, "the angles of the cell do not fit together") from None


def _places(
    document: Document, constant: float | None, cell: list[list[float]] | None
) -> Callable[[list[float]], list[float]]:
    """Return what turns the numbers of a row into Å."""
    entry = document.get("AtomicCoordinatesFormat")
    said = fdf.normalise(entry.value if entry else "Bohr")
    line = entry.line if entry else 0
    origin = [0.0, 0.0, 0.0]
    moved = document.get("AtomicCoordinatesOrigin")
    if moved is not None and moved.rows:
        first, words = _rows(moved)[0]
        origin = numbers(words, 3, first, "AtomicCoordinatesOrigin")
    if said in ("fractional", "scaledbylatticevectors"):
        if cell is None:
            raise at(line, "fractional coordinates need a cell; add LatticeConstant")
        return lambda row: [
            sum((row[n] + origin[n]) * cell[n][axis] for n in range(3)) for axis in range(3)
        ]
    scale = {
        "ang": 1.0,
        "notscaledcartesianang": 1.0,
        "bohr": BOHR,
        "notscaledcartesianbohr": BOHR,
    }.get(said)
    if said == "scaledcartesian":
        if constant is None:
            raise at(line, "ScaledCartesian needs LatticeConstant")
        scale = constant
    if scale is None:
        known = "Ang, Bohr, ScaledCartesian and Fractional"
        raise at(line, f"AtomicCoordinatesFormat {said[:40]!r} is unknown; known are {known}")
    return lambda row: [(value + shift) * scale for value, shift in zip(row, origin, strict=True)]


def _check_count(document: Document, count: int) -> None:
    entry = document.get("NumberOfAtoms")
    if entry is not None and entry.words and entry.words[0] != str(count):
        promised = entry.words[0][:20]
        raise at(entry.line, f"NumberOfAtoms is {promised}, but {count} stand in {ATOMS}")


def write(structure: Structure) -> str:
    """Write the structural part of an input: atoms in Å, the cell with a constant of 1 Å."""
    species = {symbol: str(i) for i, symbol in enumerate(structure.species, start=1)}
    labels = tuple(f"{species[s]} {ATOMIC_NUMBERS[s]} {s}" for s in structure.species)
    entries = [
        Entry("SystemName", structure.formula),
        Entry("NumberOfAtoms", str(len(structure.atoms))),
        Entry("NumberOfSpecies", str(len(species))),
        Entry("ChemicalSpeciesLabel", rows=labels),
    ]
    if structure.cell is not None:
        rows = tuple(" ".join(f"{x + 0.0:.10f}" for x in vector) for vector in structure.cell)
        entries += [Entry("LatticeConstant", "1.0 Ang"), Entry("LatticeVectors", rows=rows)]
    atoms = tuple(
        " ".join(f"{x + 0.0:.10f}" for x in atom.position) + f" {species[atom.symbol]}"
        for atom in structure.atoms
    )
    return fdf.write([*entries, Entry("AtomicCoordinatesFormat", "Ang"), Entry(ATOMS, rows=atoms)])
