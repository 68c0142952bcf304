"""Predictions as a data set: JSON Lines as they are, CSV and Parquet with a column for each value
that inputs and answers name.

Written piece by piece, in the same memory for ten rows and for a million.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from django.db.models import QuerySet

from labportal.common.errors import InvalidInput
from mlmodels.content import read_json
from mlmodels.models import Prediction

AT_ONCE = 1000
MOST_COLUMNS = 400
MOST_DEPTH = 4
OWN = ("id", "at", "person", "version", "status", "ms", "inference_id", "subject")
#: Spreadsheets take text that begins so for a formula, and run it.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    label: str
    content_type: str
    ending: str
    write: Callable[[QuerySet[Prediction]], Iterator[bytes]]


def document_of(prediction: Prediction) -> Row:
    """A prediction as one JSON object; a body in the file store is named by its length alone."""
    return {
        "id": prediction.pk,
        "at": prediction.at.isoformat(),
        "person": prediction.user.username,
        "version": prediction.version.number if prediction.version else None,
        "status": prediction.status,
        "ms": prediction.ms,
        "inference_id": prediction.inference_id,
        "subject": prediction.subject,
        "input_type": prediction.input_type,
        "input": _value(prediction.input_type, prediction.input_text),
        "output_type": prediction.output_type,
        "output": _value(prediction.output_type, prediction.output_text),
        "input_is_file": bool(prediction.input_key),
        "output_is_file": bool(prediction.output_key),
    }


def json_lines(rows: QuerySet[Prediction]) -> Iterator[bytes]:
    for prediction in rows.iterator(AT_ONCE):
        yield json.dumps(document_of(prediction), ensure_ascii=False).encode() + b"\n"


def comma_separated(rows: QuerySet[Prediction]) -> Iterator[bytes]:
    columns = list(columns_of(rows))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for flat in flat_rows(rows):
        writer.writerow([_cell(flat.get(name)) for name in columns])
        if text.tell() > 1 << 16:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def parquet(rows: QuerySet[Prediction]) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet as writing

    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), str: pa.string()}
    columns = columns_of(rows)
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    with tempfile.TemporaryFile() as file:
        with writing.ParquetWriter(file, schema, compression="zstd") as writer:
            piece: list[Row] = []
            for flat in flat_rows(rows):
                piece.append({name: _typed(flat.get(name), kind) for name, kind in columns.items()})
                if len(piece) == AT_ONCE:
                    writer.write_batch(pa.RecordBatch.from_pylist(piece, schema=schema))
                    piece = []
            if piece:
                writer.write_batch(pa.RecordBatch.from_pylist(piece, schema=schema))
        file.seek(0)
        while chunk := cast(BinaryIO, file).read(1 << 16):
            yield chunk


def flat_rows(rows: QuerySet[Prediction]) -> Iterator[Row]:
    """`{"input": {"x": 1, "y": [2, 3]}}` becomes {"input.x": 1, "input.y.0": 2, "input.y.1": 3}."""
    for prediction in rows.iterator(AT_ONCE):
        document = document_of(prediction)
        flat = {name: document[name] for name in OWN}
        for part in ("input", "output"):
            _flatten(part, document[part], flat)
        yield flat


def columns_of(rows: QuerySet[Prediction]) -> dict[str, type]:
    """The columns of all rows with the type that holds each of their values. A first pass, so that
    the second may be written as it goes.
    """
    kinds: dict[str, type | None] = dict.fromkeys(OWN)
    for flat in flat_rows(rows):
        for name, value in flat.items():
            if name not in kinds and len(kinds) >= MOST_COLUMNS:
                raise InvalidInput(
                    f"These predictions have more than {MOST_COLUMNS} different values: export"
                    " them as JSON Lines.",
                    field="format",
                )
            kinds[name] = _wider(kinds.get(name), value)
    return {name: kind or str for name, kind in kinds.items()}


def _flatten(name: str, value: Any, into: Row, depth: int = 0) -> None:
    if isinstance(value, dict) and value and depth < MOST_DEPTH:
        for key, item in value.items():
            _flatten(f"{name}.{key}"[:200], item, into, depth + 1)
    elif isinstance(value, list) and 0 < len(value) <= 64 and depth < MOST_DEPTH:
        for index, item in enumerate(value):
            _flatten(f"{name}.{index}", item, into, depth + 1)
    elif isinstance(value, dict | list):
        into[name] = json.dumps(value, ensure_ascii=False)
    else:
        into[name] = value


def _value(content_type: str, text: str) -> Any:
    """JSON as what it says, other text as it is."""
    if "json" in content_type and "jsonlines" not in content_type:
        try:
            return read_json(text)
        except ValueError:
            return text or None
    return text or None


def _wider(kind: type | None, value: Any) -> type | None:
    """The narrowest type that holds what a column has had and this value; None: nothing yet."""
    if value is None:
        return kind
    mine = type(value) if type(value) in (bool, int, float) else str
    if mine is int and abs(value) >= 1 << 63:
        mine = float
    if kind is None or kind is mine:
        return mine
    return float if {kind, mine} == {int, float} else str


def _typed(value: Any, kind: type) -> Any:
    if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    if kind is float:
        return float(value)
    return json.dumps(value)


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULAS):
        return f"'{value}"
    return value


FORMATS = {
    each.name: each
    for each in (
        Format("jsonl", "JSON Lines", "application/jsonlines", "jsonl", json_lines),
        Format("csv", "CSV", "text/csv; charset=utf-8", "csv", comma_separated),
        Format("parquet", "Parquet", "application/vnd.apache.parquet", "parquet", parquet),
    )
}
