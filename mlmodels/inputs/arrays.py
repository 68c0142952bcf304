"""Numbers out of what people paste or upload: lists, tables, records, and numpy's .npy files.

Pure; raises ValueError with words for the person.
"""

from __future__ import annotations

import ast
import csv
import io
import itertools
import json
import math
import re
import struct
from collections.abc import Sequence
from typing import Any

from mlmodels.inputs.fields import Column, Kind

MOST_NUMBERS = 2_000_000
NPY = b"\x93NUMPY"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MOST_DIGITS = 300
BETWEEN = re.compile(r"[\s,;]+")
SHOWN = 40
#: numpy's letters of types as those of struct.
LETTERS = {
    "f4": "f",
    "f8": "d",
    "f2": "e",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "b1": "?",
}
HEADER_ENDS = {1: (8, "<H"), 2: (8, "<I"), 3: (8, "<I")}


def number_of(word: str, *, whole: bool = False) -> int | float:
    """Raises ValueError in words."""
    plain = word.strip()
    if not NUMBER.fullmatch(plain):
        raise ValueError(f"“{plain[:SHOWN]}” is no number.")
    if plain.lstrip("+-").isdecimal() and len(plain) <= MOST_DIGITS:
        return int(plain)
    value = float(plain)
    if not math.isfinite(value):
        raise ValueError(f"“{plain[:SHOWN]}” is no finite number.")
    if not whole:
        return value
    if not value.is_integer():
        raise ValueError(f"“{plain[:SHOWN]}” is no whole number.")
    return int(value)


def numbers_of(text: str, *, whole: bool = False) -> list[int | float]:
    """One after another, between spaces, commas or lines; a JSON list is taken as well."""
    plain = text.strip()
    if plain.startswith("["):
        return checked(json_of(plain), 1, whole=whole)
    return [number_of(word, whole=whole) for word in BETWEEN.split(plain.strip(",; ")) if word]


def table_of(text: str, *, whole: bool = False) -> list[list[int | float]]:
    """A row on each line; rows are of one length. A first line of names is passed over."""
    plain = text.strip()
    if plain.startswith("["):
        return checked(json_of(plain), 2, whole=whole)
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    if len(lines) > 1 and not any(_is_number(word) for word in _split(lines[0])):
        lines = lines[1:]
    rows = []
    for place, line in enumerate(lines, start=1):
        try:
            rows.append([number_of(word, whole=whole) for word in _split(line)])
        except ValueError as error:
            raise ValueError(f"Row {place}: {error}") from None
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise ValueError(f"Rows are of different lengths: {_listed(sorted(lengths))} numbers.")
    return rows


def _split(line: str) -> list[str]:
    return [word for word in BETWEEN.split(line.strip(",; ")) if word]


def _is_number(word: str) -> bool:
    try:
        number_of(word)
    except ValueError:
        return False
    return True


def records_of(text: str, columns: Sequence[Column]) -> list[dict[str, Any]]:
    """CSV whose first line names the columns, or a JSON list of objects. Empty cells are left out.

    Names that the schema does not know are refused, so that a typing error is not lost.
    """
    plain = text.strip()
    if plain.startswith("["):
        found = json_of(plain)
        if not all(isinstance(one, dict) for one in found):
            raise ValueError("Each entry of the list has to be an object.")
        return found
    rows = list(csv.reader(io.StringIO(plain), delimiter=_delimiter(plain), skipinitialspace=True))
    if not rows:
        return []
    names, known = [name.strip() for name in rows[0]], {one.name: one for one in columns}
    strange = [name for name in names if name not in known]
    if strange:
        raise ValueError(
            f"The first line has to name the columns ({_listed(list(known))}); "
            f"“{strange[0][:SHOWN]}” is none of them."
        )
    found = []
    for place, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(names):
            raise ValueError(f"Line {place} has {len(row)} cells, the first line {len(names)}.")
        try:
            found.append(
                {
                    name: _cell(known[name], cell)
                    for name, cell in zip(names, row, strict=False)
                    if cell.strip()
                }
            )
        except ValueError as error:
            raise ValueError(f"Line {place}: {error}") from None
    return found


def _delimiter(text: str) -> str:
    first = text.splitlines()[0] if text else ""
    return max((",", ";", "\t"), key=first.count)


def _cell(column: Column, cell: str) -> Any:
    if column.kind is Kind.SWITCH:
        return truth(cell)
    if column.kind is Kind.TEXT:
        return cell
    return number_of(cell, whole=column.kind is Kind.INTEGER)


def truth(word: str) -> bool:
    plain = word.strip().lower()
    if plain in ("true", "yes", "1", "on"):
        return True
    if plain in ("false", "no", "0", "off"):
        return False
    raise ValueError(f"“{word[:SHOWN]}” is neither yes nor no.")


def json_of(text: str) -> Any:
    """Raises ValueError that names the line."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=number_of)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"This is no JSON: {error.msg.lower()} in line {error.lineno}, column {error.colno}."
        ) from None
    except RecursionError:
        raise ValueError("This is nested too deeply.") from None


def _refuse(word: str) -> Any:
    raise ValueError(f"JSON knows no {word}; leave such values out or write null.")


def checked(values: Any, depth: int, *, whole: bool = False) -> list[Any]:
    """The list if it is numbers, `depth` lists deep; whole numbers as such."""
    if not isinstance(values, list):
        raise ValueError("This has to be a list.")
    if depth > 1:
        return [checked(one, depth - 1, whole=whole) for one in values]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"“{str(value)[:SHOWN]}” is no number.")
        if whole and value != int(value):
            raise ValueError(f"“{value}” is no whole number.")
    return [int(value) for value in values] if whole else values


def npy_of(data: bytes) -> Any:
    """The nested list in a .npy file. Types of objects (pickles) are refused, of course."""
    if not data.startswith(NPY) or len(data) < 12:
        raise ValueError("This is no .npy file.")
    start, form = HEADER_ENDS.get(data[6], (0, ""))
    if not form:
        raise ValueError("This .npy file is of a version that is not known.")
    begin = start + struct.calcsize(form)
    (length,) = struct.unpack(form, data[start:begin])
    shape, letter, order, columns_first = _header(data[begin : begin + length])
    total = math.prod(shape)
    lists = math.prod(max(size, 1) for size in shape)  # also of a shape that holds no number
    if lists > MOST_NUMBERS:
        raise ValueError(f"The file holds {lists:,} numbers; at most {MOST_NUMBERS:,} fit here.")
    body = data[begin + length :]
    size = struct.calcsize(f"{order}{letter}")
    if len(body) != size * total:
        raise ValueError("The .npy file is cut: its numbers are fewer or more than it says.")
    values = list(struct.unpack(f"{order}{total}{letter}", body))
    if any(isinstance(value, float) and not math.isfinite(value) for value in values):
        raise ValueError("The file holds values that are not finite, which JSON cannot say.")
    if columns_first:
        values = _rows_first(values, shape)
    return _nested(values, shape)


def _header(raw: bytes) -> tuple[tuple[int, ...], str, str, bool]:
    try:
        said = ast.literal_eval(raw.decode("latin-1").strip())
        shape, kind = tuple(said["shape"]), said["descr"]
        columns_first = bool(said["fortran_order"])
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        raise ValueError("The head of this .npy file cannot be read.") from None
    if not isinstance(kind, str) or kind[1:] not in LETTERS or kind[0] not in "<>|=":
        raise ValueError(f"A .npy file of type {str(kind)[:SHOWN]} cannot be sent; use numbers.")
    if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 8:
        raise ValueError("The shape of this .npy file cannot be read.")
    return shape, LETTERS[kind[1:]], ">" if kind[0] == ">" else "<", columns_first


def _nested(values: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return values[0]
    if len(shape) == 1:
        return values
    size = math.prod(shape[1:])
    return [_nested(values[at * size : at * size + size], shape[1:]) for at in range(shape[0])]


def _rows_first(values: list[Any], shape: Sequence[int]) -> list[Any]:
    """Values whose first axis runs fastest, as Fortran has them, with the last one fastest."""
    steps = [math.prod(shape[:axis]) for axis in range(len(shape))]
    places = itertools.product(
        *(range(0, size * step, step) for size, step in zip(shape, steps, strict=True))
    )
    return [values[sum(place)] for place in places]


def _listed(values: Sequence[Any]) -> str:
    words = [str(value) for value in values[:12]]
    return ", ".join(words) + (" …" if len(values) > 12 else "")
