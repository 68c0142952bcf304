"""Writes tables of plain numbers as Parquet with the standard library alone: required columns,
plain encoding, gzip.

https://parquet.apache.org/docs/file-format/; the headers are Thrift's compact protocol.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

MAGIC = b"PAR1"
INT32, FLOAT = 1, 4
GZIP, PLAIN, RLE = 2, 0, 3
WIDTH = 4  # bytes of a value, of both types
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12

Group = tuple[int, Mapping[str, bytes]]


def write_table(
    target: BinaryIO,
    columns: Mapping[str, int],
    groups: Iterable[Group],
    about: Mapping[str, str],
) -> int:
    """Write columns {name: INT32 or FLOAT}; each group is (rows, {name: little-endian values}).
    Return the number of rows.
    """
    target.write(MAGIC)
    place, written, total = len(MAGIC), [], 0
    for rows, values in groups:
        chunks = []
        for name, kind in columns.items():
            page = _page(rows, bytes(values[name]))
            target.write(page)
            chunks.append(_chunk(name, kind, rows, len(values[name]), len(page), place))
            place += len(page)
        size = sum(len(column) for column in values.values())
        written.append(
            _struct((1, _LIST, _list(_STRUCT, chunks)), (2, _I64, size), (3, _I64, rows))
        )
        total += rows
    footer = _footer(columns, written, total, about)
    target.write(footer + struct.pack("<I", len(footer)) + MAGIC)
    return total


def _page(rows: int, values: bytes) -> bytes:
    if len(values) != rows * WIDTH:
        raise ValueError(f"{len(values)} bytes are no {rows} values")
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(values) + packer.flush()
    data = _struct((1, _I32, rows), (2, _I32, PLAIN), (3, _I32, RLE), (4, _I32, RLE))
    header = _struct(
        (1, _I32, 0), (2, _I32, len(values)), (3, _I32, len(packed)), (5, _STRUCT, data)
    )
    return header + packed


def _chunk(name: str, kind: int, rows: int, plain: int, packed: int, place: int) -> bytes:
    header = packed - plain  # sizes count the page's header on both sides
    about = _struct(
        (1, _I32, kind),
        (2, _LIST, _list(_I32, [_zigzag(PLAIN), _zigzag(RLE)])),
        (3, _LIST, _list(_BINARY, [_text(name)])),
        (4, _I32, GZIP),
        (5, _I64, rows),
        (6, _I64, max(plain, plain + min(header, 0))),
        (7, _I64, packed),
        (9, _I64, place),
    )
    return _struct((2, _I64, place), (3, _STRUCT, about))


def _footer(
    columns: Mapping[str, int], groups: Sequence[bytes], rows: int, about: Mapping[str, str]
) -> bytes:
    schema = [_struct((4, _BINARY, _text("schema")), (5, _I32, len(columns)))]
    schema += [
        _struct((1, _I32, kind), (3, _I32, 0), (4, _BINARY, _text(name)))
        for name, kind in columns.items()
    ]
    pairs = [_struct((1, _BINARY, _text(k)), (2, _BINARY, _text(v))) for k, v in about.items()]
    return _struct(
        (1, _I32, 1),
        (2, _LIST, _list(_STRUCT, schema)),
        (3, _I64, rows),
        (4, _LIST, _list(_STRUCT, groups)),
        (5, _LIST, _list(_STRUCT, pairs)),
        (6, _BINARY, _text("labportal")),
    )


def _struct(*fields: tuple[int, int, int | bytes]) -> bytes:
    """Fields in rising order; a number stands for itself, bytes are encoded already."""
    encoded, last = b"", 0
    for number, kind, value in fields:
        encoded += bytes([(number - last) << 4 | kind])
        encoded += value if isinstance(value, bytes) else _zigzag(value)
        last = number
    return encoded + b"\0"


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    size = len(items)
    head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint(size)
    return head + b"".join(items)


def _text(text: str) -> bytes:
    content = text.encode()
    return _varint(len(content)) + content


def _zigzag(number: int) -> bytes:
    return _varint((number << 1) ^ (number >> 63))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
