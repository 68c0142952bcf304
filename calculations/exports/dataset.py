"""A filtered set of runs as data for training models: Parquet, and JSON Lines with the same rows.

Both are written piece by piece, in the same memory for ten runs and for a hundred thousand.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

from calculations.exports.base import Asked, OfSet, Progress
from calculations.exports.card import SCHEMA, card
from calculations.exports.columns import Column, Type, columns_of
from calculations.exports.rows import Row, rows
from calculations.exports.runset import MOST_RUNS, RunSet
from labportal.common.errors import InvalidInput

ROWS_OF_GROUP = 5000
BYTES_OF_GROUP = 32 * 1024 * 1024
CARD = b"labportal_card"
README, DATA = "README.json", "data.jsonl"


class Pieces:
    """The rows of a set in pieces, counted, told to `progress`."""

    def __init__(self, chosen: RunSet, columns: list[Column], progress: Progress) -> None:
        self.total, self.count = chosen.count(), 0
        if self.total > MOST_RUNS:
            raise InvalidInput(
                f"The set holds {self.total} runs; at most {MOST_RUNS} fit into one file. Narrow "
                "it by a filter."
            )
        self._pieces, self._progress = rows(chosen, columns), progress
        progress(0, self.total)

    def __iter__(self) -> Iterator[list[Row]]:
        for piece in self._pieces:
            yield piece
            self.count += len(piece)
            self._progress(min(self.count, self.total), self.total)


class Parquet(OfSet):
    """The card stands in the file's own metadata under `labportal_card`, a column's unit and label
    in those of the column.
    """

    name = "dataset-parquet"
    label = "Data set, Parquet"
    help = "Typed columns with units, for pandas, polars and training; the card is inside."
    content_type = "application/vnd.apache.parquet"
    ending = "parquet"

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        chosen: RunSet = asked.about
        columns = columns_of(chosen)
        schema = schema_of(columns)
        pieces = Pieces(chosen, columns, progress)
        with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
            batches: list[Any] = []
            for piece in pieces:
                batches.append(pa.RecordBatch.from_pylist(piece, schema=schema))
                if (
                    sum(batch.num_rows for batch in batches) >= ROWS_OF_GROUP
                    or sum(batch.nbytes for batch in batches) >= BYTES_OF_GROUP
                ):
                    writer.write_table(pa.Table.from_batches(batches, schema))
                    batches = []
            if batches:
                writer.write_table(pa.Table.from_batches(batches, schema))
            written = json.dumps(card(chosen, columns, count=pieces.count), ensure_ascii=False)
            writer.add_key_value_metadata({CARD: written.encode()})


def schema_of(columns: list[Column]) -> Any:
    import pyarrow as pa

    numbers = pa.list_(pa.float64())
    types = {
        Type.TEXT: pa.string(),
        Type.INTEGER: pa.int64(),
        Type.NUMBER: pa.float64(),
        Type.TRUTH: pa.bool_(),
        Type.TIME: pa.timestamp("us", tz="UTC"),
        Type.TEXTS: pa.list_(pa.string()),
        Type.NUMBERS: numbers,
        Type.TRUTHS: pa.list_(pa.bool_()),
        Type.VECTORS: pa.list_(numbers),
    }
    fields = [
        pa.field(
            column.name,
            types[column.type],
            metadata={"unit": column.unit, "label": column.label, "origin": column.origin},
        )
        for column in columns
    ]
    return pa.schema(fields, metadata={"labportal_schema": SCHEMA})


class JsonLines(OfSet):
    name = "dataset-jsonl"
    label = "Data set, JSON Lines"
    help = "The same rows, one JSON object a line, zipped with a card that explains them."
    content_type = "application/zip"
    ending = "jsonl.zip"

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        chosen: RunSet = asked.about
        columns = columns_of(chosen)
        pieces = Pieces(chosen, columns, progress)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=4) as archive:
            with archive.open(DATA, "w", force_zip64=True) as data:
                for piece in pieces:
                    data.write("".join(map(line_of, piece)).encode())
            told = card(chosen, columns, count=pieces.count)
            archive.writestr(README, json.dumps(told, ensure_ascii=False, indent=1))


def line_of(row: Row) -> str:
    written = json.dumps(row, ensure_ascii=False, allow_nan=False, default=_moment)
    return f"{written}\n"


def _moment(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    raise TypeError(f"{type(value).__name__} has no form in JSON")
