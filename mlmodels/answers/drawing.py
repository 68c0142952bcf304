"""How the answer of a model is shown: by its content type, its shape and its output schema.

Pure. Whatever came is drawn somehow, at worst as the text that it is; nothing here raises.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

from mlmodels.answers.documents import Drawing
from mlmodels.answers.parts import (
    MOST_COLUMNS,
    MOST_ROWS,
    MOST_SERIES,
    MOST_TEXT,
    Column,
    Drawn,
    Part,
    Picture,
    Table,
    Text,
    figure,
)
from mlmodels.content import mended
from mlmodels.inputs.arrays import NPY, npy_of, number_of
from mlmodels.inputs.reading import picture_type

#: What browsers show.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml"})
MOST_DRAWN = 4 * 1024 * 1024  # bytes; of more the beginning is shown, and the download
MOST_PICTURE = 8 * 1024 * 1024


def drawn(body: bytes, content_type: str, schema: Any = None) -> Drawn:
    kind = content_type.partition(";")[0].strip().lower()
    made = Drawn(kind, len(body))
    if kind in PICTURES or (kind in ("", "application/octet-stream") and picture_type(body)):
        return _with(made, _picture(body, kind))
    if kind == "application/x-npy" or body.startswith(NPY):
        return _npy(made, body, schema)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _with(made, [], note="These are bytes that no browser shows; download them.")
    raw, cut = text[:MOST_TEXT], len(text) > MOST_TEXT
    parts: list[Part] = []
    if len(body) > MOST_DRAWN:
        return _with(made, [], raw, cut, "The answer is too large to be drawn; download it.")
    if kind == "text/csv":
        parts = _csv(text)
    elif kind.endswith("json") or kind in ("", "text/plain", "application/octet-stream"):
        parts = _json(text, schema)
    if not parts and raw.strip():
        return _with(made, [Text("", raw)], "", cut)
    return _with(made, parts, raw, cut)


def _with(
    made: Drawn, parts: list[Part], raw: str = "", cut: bool = False, note: str = ""
) -> Drawn:
    return Drawn(made.content_type, made.size, tuple(parts), raw, cut, note)


def _picture(body: bytes, kind: str) -> list[Part]:
    media = kind if kind in PICTURES else picture_type(body)
    if len(body) > MOST_PICTURE or media not in PICTURES:
        return []
    return [Picture("", f"data:{media};base64,{base64.b64encode(body).decode()}")]


def _npy(made: Drawn, body: bytes, schema: Any) -> Drawn:
    try:
        value = npy_of(body)
    except ValueError as error:
        return _with(made, [], note=str(error))
    raw = json.dumps(value)
    return _with(made, Drawing(schema).of(value), raw[:MOST_TEXT], len(raw) > MOST_TEXT)


def _json(text: str, schema: Any) -> list[Part]:
    try:
        return Drawing(schema).of(mended(json.loads(text), text))
    except (ValueError, RecursionError):
        return []


def _csv(text: str) -> list[Part]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error:
        return []
    width = max((len(row) for row in rows), default=0)
    if not rows or width > MOST_COLUMNS:
        return []
    has_head = len(rows) > 1 and all(_number(cell) is None for cell in rows[0])
    names = rows[0] if has_head else [str(place + 1) for place in range(width)]
    names = [*names, *[""] * (width - len(names))]
    body = [[*row, *[""] * (width - len(row))] for row in (rows[1:] if has_head else rows)]
    values = [[_number(row[place]) for row in body] for place in range(width)]
    numeric = [
        all(v is not None or not r[p].strip() for v, r in zip(values[p], body, strict=True))
        and any(v is not None for v in values[p])
        for p in range(width)
    ]
    columns = tuple(Column(n, is_number=is_num) for n, is_num in zip(names, numeric, strict=True))
    shown = tuple(
        tuple(_cell(values[place][at], row[place], numeric[place]) for place in range(width))
        for at, row in enumerate(body[:MOST_ROWS])
    )
    table = Table("", columns, shown, max(0, len(body) - MOST_ROWS))
    drawn_columns = [place for place in range(width) if numeric[place]]
    if len(body) < 3 or not drawn_columns:
        return [table]
    first, *rest = drawn_columns
    x = (names[first], "", values[first]) if rest else ("Row", "", list(range(1, len(body) + 1)))
    series = [(names[place], "", values[place]) for place in (rest or [first])[:MOST_SERIES]]
    return [figure("table", "Columns", x, series), table]


def _cell(value: Any, text: str, is_number: bool) -> Any:
    return value if is_number and value is not None else text


def _number(text: str) -> int | float | None:
    try:
        return number_of(text)
    except ValueError:
        return None
