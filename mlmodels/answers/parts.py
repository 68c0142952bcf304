"""The pieces that an answer is drawn with: facts, tables, figures, pictures, text."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlmodels.inputs.fields import finite

MOST_ROWS = 200
MOST_COLUMNS = 30
MOST_POINTS = 5_000
MOST_SERIES = 6
MOST_TEXT = 20_000
MOST_PIXELS = 1_000_000
LEAST_ENLARGED = 160  # pixels; smaller maps are drawn with larger squares
COMPARABLE = 30.0  # series whose sizes differ by more are drawn apart


@dataclass(frozen=True, slots=True)
class Facts:
    """Named values: (label, value, unit)."""

    title: str
    rows: tuple[tuple[str, Any, str], ...]
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Column:
    label: str
    unit: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """`more`: rows that are not shown."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    more: int = 0
    kind: str = "table"

    @property
    def lines(self) -> list[list[tuple[Any, Column]]]:
        return [list(zip(row, self.columns, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Figure:
    """`document` is what static/js/plots.js draws."""

    title: str
    document: dict[str, Any]
    kind: str = "figure"


@dataclass(frozen=True, slots=True)
class Picture:
    """`url` is a data: address. `pixelated`: a map of numbers, whose squares stay squares."""

    title: str
    url: str
    note: str = ""
    pixelated: bool = False
    kind: str = "picture"


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    text: str
    kind: str = "text"


Part = Facts | Table | Figure | Picture | Text


@dataclass(frozen=True, slots=True)
class Drawn:
    """An answer as it is shown. `raw` is how it came, `cut` says that this is its beginning."""

    content_type: str
    size: int
    parts: tuple[Part, ...] = field(default_factory=tuple)
    raw: str = ""
    cut: bool = False
    note: str = ""

    @property
    def has_figures(self) -> bool:
        return any(isinstance(part, Figure) for part in self.parts)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_series(values: Any) -> bool:
    """A list of numbers, of which some may be missing."""
    return (
        isinstance(values, list)
        and any(is_number(value) for value in values)
        and all(value is None or is_number(value) for value in values)
    )


def thinned(values: Sequence[Any]) -> list[Any]:
    """At most MOST_POINTS, evenly taken; what no chart can place is a gap."""
    step = -(-len(values) // MOST_POINTS) or 1
    return [value if finite(value) is not None else None for value in values[::step]]


def figure(
    name: str,
    title: str,
    x: tuple[str, str, Sequence[Any]],
    series: Sequence[tuple[str, str, Sequence[Any]]],
    *,
    style: str = "line",
) -> Figure:
    """x and each series: (label, unit, values)."""
    units = {unit for _, unit, _ in series}
    y_label = f"Value / {unit}" if len(units) == 1 and (unit := next(iter(units))) else "Value"
    words = x[2] if style == "bars" else thinned(x[2])
    document = {
        "name": name,
        "title": title,
        "style": style,
        "x": {"label": x[0], "unit": x[1], "values": list(words)},
        "y": [
            {"name": label, "label": label, "unit": unit, "values": thinned(values)}
            for label, unit, values in series
        ],
    }
    if len(series) > 1:
        document["y_label"] = y_label
    return Figure(title, document)


def apart(series: list[tuple[str, str, list[Any]]]) -> list[list[tuple[str, str, list[Any]]]]:
    """Series that one axis can show together: of one unit and of about the same size."""
    groups: list[list[tuple[str, str, list[Any]]]] = []
    for one in series:
        for group in groups:
            first = group[0]
            sizes = sorted((_size(first[2]), _size(one[2])))
            together = first[1] == one[1] and sizes[1] <= COMPARABLE * max(sizes[0], 1e-300)
            if together and len(group) < MOST_SERIES:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _size(values: Sequence[Any]) -> float:
    return max((abs(value) for value in thinned(values) if value is not None), default=0.0)


def number_map(title: str, rows: Sequence[Sequence[float]]) -> Picture | None:
    """A rectangle of numbers as a grey picture, dark for low; None where it is too large."""
    height, width = len(rows), len(rows[0])
    if height * width > MOST_PIXELS:
        return None
    flat = [value for row in rows for value in row if finite(value) is not None]
    low, high = min(flat, default=0.0), max(flat, default=0.0)
    scale = 255.0 / ((high - low) or 1.0)
    lines = b"".join(
        b"\0"
        + bytes(round((value - low) * scale) if finite(value) is not None else 0 for value in row)
        for row in rows
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b"")):
        body += struct.pack(">I", len(data)) + name + data
        body += struct.pack(">I", zlib.crc32(name + data))
    note = f"{width} × {height}, from {low:.4g} (black) to {high:.4g} (white)"
    url = f"data:image/png;base64,{base64.b64encode(body).decode()}"
    return Picture(title, url, note, pixelated=max(width, height) < LEAST_ENLARGED)
