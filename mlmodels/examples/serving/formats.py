"""Bodies of calls and what they hold: JSON, CSV, npy and npz.

Whatever is wrong with a body is told as `Rejected`. numpy alone; nothing is ever unpickled.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .server import Rejected

if TYPE_CHECKING:
    from numpy import ndarray

MIB = 1024 * 1024
MOST_UNPACKED = 256 * MIB


def json_object(body: bytes) -> dict[str, Any]:
    """Return the object that a JSON body holds; NaN and infinities are no JSON."""
    try:
        document = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Rejected(400, f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Rejected(400, "the body has to be a JSON object")
    return document


def json_body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, allow_nan=False).encode()


def csv_rows(body: bytes) -> list[list[float]]:
    """Return rows of numbers; a first line of names is passed over."""
    try:
        lines = [line for line in csv.reader(io.StringIO(body.decode("utf-8-sig"))) if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise Rejected(400, f"the body is no CSV: {error}") from None
    if lines and not _are_numbers(lines[0]):
        lines = lines[1:]
    rows = []
    for place, line in enumerate(lines, start=1):
        if not _are_numbers(line):
            raise Rejected(400, f"row {place} of the CSV holds something else than numbers")
        rows.append([float(cell) for cell in line])
    return rows


def csv_body(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().encode()


def npy_array(body: bytes) -> ndarray:
    import numpy

    try:
        return numpy.load(io.BytesIO(body), allow_pickle=False, max_header_size=10_000)
    except (ValueError, EOFError, OSError) as error:
        raise Rejected(400, f"the body is no npy file of numbers: {error}") from None


def npz_arrays(body: bytes) -> dict[str, ndarray]:
    """Return the arrays of an npz file that unpacks to MOST_UNPACKED bytes at most."""
    import numpy

    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MOST_UNPACKED:
            raise Rejected(413, f"the npz file unpacks to {size} bytes; send it in smaller parts")
        with numpy.load(io.BytesIO(body), allow_pickle=False, max_header_size=10_000) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
        raise Rejected(400, f"the body is no npz file of numbers: {error}") from None


def array_of(value: Any, name: str, shape: Sequence[int | None], kind: str = "float64") -> ndarray:
    """Return numbers as an array of that shape; None stands for any length but zero."""
    import numpy

    said = " x ".join("n" if length is None else str(length) for length in shape)
    try:
        array = numpy.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError
        array = array.astype(kind)
    except (ValueError, TypeError, OverflowError):
        raise Rejected(400, f"{name} has to be {said} numbers, with rows of one length") from None
    fits = array.ndim == len(shape) and all(
        have == want if want is not None else have > 0
        for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        given = " x ".join(str(length) for length in array.shape) or "one number"
        raise Rejected(400, f"{name} has to be {said} numbers; it is {given}")
    if not numpy.isfinite(array).all():
        raise Rejected(400, f"{name} holds values that are no finite numbers")
    return array


def number_of(document: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise Rejected(400, f"{name} has to be a number from {low:g} to {high:g}")
    return float(value)


def _are_numbers(cells: Sequence[str]) -> bool:
    try:
        for cell in cells:
            float(cell)
    except ValueError:
        return False
    return True


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
