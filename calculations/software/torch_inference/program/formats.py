"""Tensors in safetensors and npz files: headers read and checked without numpy, rows read in
slices, nothing ever unpickled.

A file that is cut, padded, overlapping or of another shape than it says is refused before any of
its data is used.
"""

from __future__ import annotations

import ast
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What zipfile and its unpacker raise on archives that are cut, damaged, encrypted, or of a kind
#: unknown to it.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    RuntimeError,
)
MAX_HEADER = 16 * 2**20
MAX_NPY_HEADER = 64 * 1024
MAX_TENSORS = 100_000
MAX_RANK = 32
SIZES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
}
NPY_TYPES = {
    "<f8": "F64",
    "<f4": "F32",
    "<f2": "F16",
    "<i8": "I64",
    "<i4": "I32",
    "<i2": "I16",
    "|i1": "I8",
    "<u8": "U64",
    "<u4": "U32",
    "<u2": "U16",
    "|u1": "U8",
    "|b1": "BOOL",
}
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
ENCRYPTED = 1
MAX_RATIO = 1032  # what deflate can do at its best


class BadFile(ValueError):
    """A file that is not what it claims to be; the message says what is wrong with it."""


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies. `offset` counts from the file's beginning; of a compressed one, from the
    beginning of the unpacked `member`.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int
    member: str = ""

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * SIZES[self.dtype]


def read_header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name. Raises BadFile and OSError."""
    readers = {".safetensors": check_safetensors, ".npz": _npz}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadFile(f"is no {' or '.join(readers)} file")
    return reader(path)


class TensorFile:
    """One open file; `rows` reads a slice along the first axis, into new memory each time."""

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.path = path
        self.tensors = tensors
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._unpacked: dict[str, bytearray] = {}

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._unpacked.clear()

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self, name: str, start: int, stop: int) -> bytearray:
        """Return the bytes of rows `start` to `stop`. Raises BadFile where the file has shrunk."""
        tensor = self.tensors[name]
        first, last = start * tensor.row_bytes, stop * tensor.row_bytes
        if tensor.member:
            return self._member(name, tensor)[first:last]
        target = bytearray(last - first)
        view, done = memoryview(target), 0
        while done < len(target):
            got = os.preadv(self._descriptor, [view[done:]], tensor.offset + first + done)
            if not got:
                raise BadFile(f"ends in the middle of {name}: it was cut while it was read")
            done += got
        return target

    def _member(self, name: str, tensor: Tensor) -> bytearray:
        if name not in self._unpacked:
            target = bytearray(tensor.size)
            view, done = memoryview(target), 0
            try:
                with zipfile.ZipFile(self.path) as archive, archive.open(tensor.member) as stream:
                    stream.read(tensor.offset)
                    while done < tensor.size:
                        got = stream.readinto(view[done:])
                        if not got:
                            break
                        done += got
            except DAMAGED as error:
                raise BadFile(f"{name} cannot be unpacked: {error}") from None
            if done < tensor.size:
                raise BadFile(f"ends in the middle of {name}")
            self._unpacked[name] = target
        return self._unpacked[name]


def check_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, whatever its name. Raises BadFile and OSError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(8)
        if len(head) < 8:
            raise BadFile(f"is {size} bytes long and cannot hold a header: it was cut")
        length = int.from_bytes(head, "little")
        if length > min(MAX_HEADER, size - 8):
            raise BadFile(f"says that its header is {length} bytes long, the file is {size}")
        text = stream.read(length)
    document = _json_object(text)
    document.pop("__metadata__", None)
    if len(document) > MAX_TENSORS:
        raise BadFile(f"names {len(document)} tensors; at most {MAX_TENSORS} are read")
    begin = 8 + length
    tensors = {name: _entry(name, entry, begin) for name, entry in document.items()}
    end = begin
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].offset, item[1].size)):
        if tensor.offset != end:
            raise BadFile(f"{name} does not begin where the tensor before it ends")
        end += tensor.size
    if end != size:
        raise BadFile(f"should be {end} bytes long and is {size}: it was cut or has been added to")
    return tensors


def _json_object(text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise BadFile("names something twice in its header")
        return found

    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=once)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise BadFile("has a header that is no JSON") from None
    if not isinstance(document, dict):
        raise BadFile("has a header that is no JSON object")
    return document


def _entry(name: str, entry: Any, begin: int) -> Tensor:
    try:
        dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise BadFile(f"does not say type, shape and place of {name}") from None
    if dtype not in SIZES:
        raise BadFile(f"{name} has the unknown type {dtype!r:.40}")
    numbers = [*shape, first, last] if isinstance(shape, list) else [None]
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise BadFile(f"{name} has a shape or a place that is no list of whole numbers")
    shape = _shape(name, shape)
    if last - first != math.prod(shape) * SIZES[dtype]:
        raise BadFile(f"{name} of {_words(shape)} {dtype} does not fit into {last - first} bytes")
    return Tensor(dtype, shape, begin + first, last - first)


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    if len(shape) > MAX_RANK or math.prod(shape) >= 2**62:
        raise BadFile(f"{name} has a shape that no tensor has")
    return tuple(shape)


def _words(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one value"


def _npz(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            members = archive.infolist()
            if len(members) > MAX_TENSORS:
                raise BadFile(f"holds {len(members)} files; at most {MAX_TENSORS} are read")
            tensors: dict[str, Tensor] = {}
            for info in members:
                name = info.filename[: -len(".npy")]
                if not info.filename.endswith(".npy") or not name:
                    raise BadFile(f"holds {info.filename!r:.60}, which is no array")
                if name in tensors:
                    raise BadFile(f"holds {name!r:.60} twice")
                tensors[name] = _npy(archive, info, raw)
            return tensors
    except DAMAGED as error:
        raise BadFile(f"is no whole npz file, it was cut or damaged: {error}") from None


def _npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, raw: Any) -> Tensor:
    name = info.filename[: -len(".npy")]
    if info.flag_bits & ENCRYPTED:
        raise BadFile(f"{name} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadFile(f"{name} is packed in a way that is not read here; use numpy.savez")
    if info.file_size > MAX_RATIO * info.compress_size + MAX_NPY_HEADER:
        raise BadFile(f"{name} claims to unpack to more than its {info.compress_size} bytes can")
    with archive.open(info) as stream:
        dtype, shape, begin = _npy_header(name, stream)
    size = math.prod(shape) * SIZES[dtype]
    if info.file_size != begin + size:
        raise BadFile(f"{name} of {_words(shape)} {dtype} does not fill its {info.file_size} bytes")
    if info.compress_type == zipfile.ZIP_DEFLATED:
        return Tensor(dtype, shape, begin, size, info.filename)
    raw.seek(info.header_offset)
    local = LOCAL_HEADER.unpack(raw.read(LOCAL_HEADER.size))
    if local[0] != b"PK\x03\x04":
        raise BadFile(f"{name} does not begin where the list of contents says")
    offset = info.header_offset + LOCAL_HEADER.size + local[-2] + local[-1]
    if info.compress_size != info.file_size or offset + info.file_size > archive.start_dir:
        raise BadFile(f"{name} reaches beyond the end of the file")
    return Tensor(dtype, shape, offset + begin, size)


def _npy_header(name: str, stream: Any) -> tuple[str, tuple[int, ...], int]:
    magic = stream.read(8)
    if magic[:6] != b"\x93NUMPY" or magic[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise BadFile(f"{name} is no numpy array")
    width = 2 if magic[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > MAX_NPY_HEADER:
        raise BadFile(f"{name} has a header of {length} bytes")
    try:
        found = ast.literal_eval(stream.read(length).decode("utf-8"))
        descr, fortran, shape = found["descr"], found["fortran_order"], found["shape"]
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        raise BadFile(f"{name} has a header that cannot be read") from None
    if not isinstance(descr, str) or descr not in NPY_TYPES:
        words = "Python objects" if "O" in str(descr) else repr(descr)[:40]
        raise BadFile(f"{name} holds {words}; arrays of plain little-endian numbers are read")
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise BadFile(f"{name} has a shape that is no list of whole numbers")
    if fortran and len(shape) > 1:
        raise BadFile(f"{name} is stored column by column; save it with numpy.ascontiguousarray")
    return NPY_TYPES[descr], _shape(name, shape), 8 + width + length
