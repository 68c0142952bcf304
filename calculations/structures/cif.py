"""Crystallographic information files: words with their lines, and the space groups of ASE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from calculations.software.structure import MAX_ATOMS, StructureError
from calculations.structures.found import Found, at, element, finish, number

BARE = re.compile(r"\S+")
ENDS = {quote: re.compile(quote + r"(?=\s|$)") for quote in "'\""}
UNCERTAIN = re.compile(r"\(\d*\)$")
NOTHING = ("?", ".")
FULL = 0.999
SAME_SITE = 1e-3  # in shares of the cell, as ASE and most programs have it
MAX_IMAGES = 100_000
MAX_OPERATIONS = 192
OPERATIONS = (
    "_space_group_symop_operation_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
)
LENGTHS = tuple(f"_cell_length_{axis}" for axis in "abc")
ANGLES = tuple(f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma"))
FRACTIONS = tuple(f"_atom_site_fract_{axis}" for axis in "xyz")


@dataclass(frozen=True, slots=True)
class Word:
    """`text` without its quotes; `quoted` words are never keys."""

    text: str
    line: int
    quoted: bool = False


@dataclass(slots=True)
class Block:
    name: str
    tags: dict[str, list[Word]] = field(default_factory=dict)

    def words(self, *names: str) -> list[Word]:
        return next((self.tags[name] for name in names if name in self.tags), [])


def read(text: str) -> Found:
    blocks = [block for block in _blocks(text) if block.words(*FRACTIONS, "_atom_site_cartn_x")]
    if not blocks:
        raise StructureError("holds no atoms: a CIF lists them with _atom_site_fract_x, _y and _z")
    block = blocks[-1]
    notes = []
    if len(blocks) > 1:
        notes.append(f"It holds {len(blocks)} structures; the last, {block.name}, is taken.")
    _refuse_partial(block)
    cell = _cell(block)
    sites = _symbols(block)
    places = _places(block, cell)
    if len(sites) != len(places):
        raise StructureError("has not as many symbols as coordinates in its list of atoms")
    kinds, shares = _expanded(block, places)
    positions = shares @ cell
    structure = finish(
        [sites[kind][0] for kind in kinds],
        positions.tolist(),
        cell.tolist(),
        comment=block.name,
        lines=[sites[kind][1] for kind in kinds],
    )
    if len(structure.atoms) != len(sites):
        made = f"{len(structure.atoms)} atoms out of {len(sites)} sites"
        notes.append(f"The symmetry makes {made}.")
    return Found(structure, "cif", tuple(notes))


def _words(text: str) -> Iterator[Word]:
    """Yield every word; text between lines that begin with a semicolon is one."""
    kept: list[str] | None = None
    begun = 0
    for line, raw in enumerate(text.splitlines(), start=1):
        if kept is not None:
            if raw.startswith(";"):
                yield Word("\n".join(kept).strip(), begun, True)
                kept = None
            else:
                kept.append(raw)
        elif raw.startswith(";"):
            kept, begun = [raw[1:]], line
        else:
            yield from _words_of(raw, line)
    if kept is not None:
        raise at(begun, "the text that begins here is never ended by a line with a semicolon")


def _words_of(raw: str, line: int) -> Iterator[Word]:
    """A quoted word ends at its quote before a blank; where none comes, the quote is a letter."""
    place, open_ended = 0, set()
    while (begin := BARE.search(raw, place)) is not None:
        sign, place = raw[begin.start()], begin.end()
        if sign == "#":
            return
        end = None
        if sign in ENDS and sign not in open_ended:
            end = ENDS[sign].search(raw, begin.start() + 1)
            if end is None:
                open_ended.add(sign)
        if end is None:
            yield Word(begin.group(), line)
        else:
            yield Word(raw[begin.start() + 1 : end.start()], line, True)
            place = end.end()


def _blocks(text: str) -> list[Block]:
    blocks, heads, in_head = [Block("")], [], False
    key: Word | None = None
    row = 0
    for word in _words(text):
        small = "" if word.quoted else word.text.lower()
        if small.startswith(("data_", "loop_", "_", "save_")):
            _refuse_open(key, heads, row, in_head)
            if small.startswith("data_"):
                blocks.append(Block(word.text[5:]))
            in_head = small == "loop_" or (in_head and small.startswith("_"))
            if small.startswith("_") and in_head:
                heads.append(small)
                blocks[-1].tags.setdefault(small, [])
                key = None
            else:
                heads, key = [], word if small.startswith("_") else None
            row = 0
        elif key is not None:
            blocks[-1].tags[key.text.lower()] = [word]
            key = None
        elif heads:
            in_head = False
            blocks[-1].tags[heads[row % len(heads)]].append(word)
            row += 1
        else:
            raise at(word.line, f"{word.text[:30]!r} belongs to no key; a key begins with _")
    _refuse_open(key, heads, row, in_head)
    return blocks


def _refuse_open(key: Word | None, heads: Sequence[str], row: int, in_head: bool) -> None:
    if key is not None:
        raise at(key.line, f"{key.text[:60]} has no value")
    if heads and not in_head and row % len(heads):
        raise StructureError(
            f"the list of {heads[0][:60]} ends in the middle of a row of {len(heads)} columns"
        )


def _value(word: Word) -> float:
    return number(UNCERTAIN.sub("", word.text), word.line)


def _symbols(block: Block) -> list[tuple[str, int]]:
    """Return symbol and line of each site: of its type, or the letters that begin its label."""
    types = block.words("_atom_site_type_symbol")
    found = []
    for word in types or block.words("_atom_site_label"):
        letters = re.match(r"[A-Za-z]{1,2}", word.text)
        two = letters.group() if letters else word.text
        if letters and not types and not two[1:].islower():
            two = two[:1]
        try:
            symbol = element(two, word.line)
        except StructureError:
            symbol = element(two[:1] if letters else two, word.line)
        found.append((symbol, word.line))
    return found


def _cell(block: Block) -> Any:
    """Return the vectors (Å) in the usual setting: a along x, b in the plane of x and y."""
    from ase.geometry import cellpar_to_cell

    values = []
    for name in (*LENGTHS, *ANGLES):
        words = block.words(name)
        if not words or words[0].text in NOTHING:
            raise StructureError(
                f"{name} is missing; a CIF needs the lengths and angles of its cell"
            )
        value = _value(words[0])
        if not 0 < value < (180 if name in ANGLES else 1e4):
            raise at(words[0].line, f"{name} is {value:g}, which no cell can have")
        values.append(value)
    try:
        return cellpar_to_cell(values)
    except (ValueError, AssertionError, ArithmeticError):
        line = block.words(ANGLES[0])[0].line
        raise at(line, "the angles of the cell do not fit together") from None


def _refuse_partial(block: Block) -> None:
    labels = block.words("_atom_site_label", "_atom_site_type_symbol")
    for place, word in enumerate(block.words("_atom_site_occupancy")):
        if word.text not in NOTHING and _value(word) < FULL:
            site = labels[place].text[:20] if place < len(labels) else f"{place + 1}"
            raise at(
                word.line,
                f"site {site} is occupied to {word.text[:10]}: a calculation needs whole atoms. "
                "Choose one ordered arrangement and write it out",
            )


def _places(block: Block, cell: Any) -> Any:
    """Return the sites in shares of the cell's vectors."""
    import numpy as np

    names = FRACTIONS
    if not block.words(*FRACTIONS):
        names = tuple(f"_atom_site_cartn_{axis}" for axis in "xyz")
    columns = [block.words(name) for name in names]
    if len({len(column) for column in columns}) != 1:
        raise StructureError("lists its atoms without all of x, y and z")
    for column in columns:
        for word in column:
            if word.text in NOTHING:
                raise at(word.line, "a coordinate is not known (? or .); remove the atom")
    found = np.array([[_value(word) for word in column] for column in columns], float).T
    return found if names is FRACTIONS else found @ np.linalg.inv(cell)


def _expanded(block: Block, places: Any) -> tuple[list[int], Any]:
    """Apply the symmetry: return which site each atom comes from, and where it lies."""
    import numpy as np

    rotations, translations = _operations(block)
    if len(places) * len(rotations) > MAX_IMAGES or len(places) > MAX_ATOMS:
        raise StructureError(
            f"{len(places)} sites under {len(rotations)} operations are too many; at most "
            f"{MAX_ATOMS} atoms are allowed"
        )
    if len(rotations) == 1:
        return list(range(len(places))), places
    kinds: list[int] = []
    kept = []
    for kind, place in enumerate(places):
        orbit = (rotations @ place + translations) % 1.0
        apart = orbit[:, None] - orbit[None, :]
        same = (np.abs(apart - np.round(apart)) < SAME_SITE).all(axis=2)
        first = orbit[same.argmax(axis=1) == np.arange(len(orbit))]
        kept.append(first)
        kinds += [kind] * len(first)
    return kinds, np.concatenate(kept)


def _operations(block: Block) -> tuple[Any, Any]:
    """Return rotations and translations: those that are listed, or those of the named group."""
    import warnings

    import numpy as np
    from ase.io.cif import CIFBlock
    from ase.spacegroup.spacegroup import parse_sitesym

    listed = block.words(*OPERATIONS)

    keys = [name for name in block.tags if name.startswith(("_symmetry", "_space_group"))]
    keys = [name for name in keys if name not in OPERATIONS]
    tags: dict[str, Any] = {}
    for name in keys:
        texts = [word.text for word in block.tags[name]]
        if texts and texts[0] not in NOTHING:
            tags[name] = texts[0]
    tags.pop("_symmetry_space_group_setting", None)  # ASE fails on most of its values
    line = block.tags[keys[0]][0].line if keys and block.tags[keys[0]] else 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if listed and listed[0].text not in NOTHING:
                return parse_sitesym([word.text for word in listed[:MAX_OPERATIONS]])
            group = CIFBlock(block.name, tags).get_spacegroup(True)
        rotations, translations = zip(*group.get_symop(), strict=True)
    except Exception:  # whatever ASE's many ways of failing on a hostile key are
        raise at(
            line,
            "the space group is not understood; list its operations with "
            "_symmetry_equiv_pos_as_xyz, or write out all atoms without symmetry",
        ) from None
    return np.array(rotations, float), np.array(translations, float)
