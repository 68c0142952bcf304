"""Keeps what ranks predict: put in its place as it comes in, handed out as Parquet at the end."""

from __future__ import annotations

import array
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program import parquet
from calculations.software.torch_inference.program.partitions import Partition

PREDICTIONS = "predictions.parquet"
RAW = (".predictions.f32", ".truth.f32")
WIDTH = 4
GROUP = 1_000_000  # rows, about


class Predictions:
    """Predictions and truth of all partitions, in their order, as float32 on disk."""

    def __init__(self, folder: Path, partitions: Sequence[Partition]) -> None:
        self.folder, self.partitions = folder, partitions
        self.begins, total = [], 0
        for partition in partitions:
            self.begins.append(total)
            total += partition.samples
        self.total = total
        self.known = any(partition.samples and _has_truth(partition) for partition in partitions)
        self._files = [os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600) for name in RAW]
        for file in self._files:
            os.ftruncate(file, total * WIDTH)

    def put(self, index: int, body: bytes, *, known: bool) -> None:
        """Raises ValueError where it is not one number for each sample."""
        size = self.partitions[index].samples * WIDTH
        if len(body) != size * (2 if known else 1):
            raise ValueError(f"{len(body)} bytes for {self.partitions[index].samples} samples")
        place = self.begins[index] * WIDTH
        _write(self._files[0], body[:size], place)
        _write(self._files[1], body[size:] or _nothing(size), place)

    def arrays(self) -> tuple[Any, Any]:
        """Return predictions and truth (NaN where unknown) as numpy arrays on the disk."""
        import numpy

        if not self.total:
            return numpy.empty(0, "<f4"), numpy.empty(0, "<f4")
        found = [numpy.memmap(self.folder / name, dtype="<f4", mode="r") for name in RAW]
        return found[0], found[1]

    def write_table(self, about: dict[str, str]) -> int:
        """Write the Parquet file; return its rows. `truth` is a column where any is known."""
        columns = {"partition": parquet.INT32, "row": parquet.INT32, "prediction": parquet.FLOAT}
        if self.known:
            columns["truth"] = parquet.FLOAT
        temporary = self.folder / (PREDICTIONS + ".new")
        with temporary.open("wb") as stream:
            rows = parquet.write_table(stream, columns, self._groups(), about)
        temporary.replace(self.folder / PREDICTIONS)
        return rows

    def close(self) -> None:
        for file in self._files:
            os.close(file)
        self._files = []
        for name in RAW:
            with contextlib.suppress(FileNotFoundError):
                (self.folder / name).unlink()

    def _groups(self) -> Iterator[parquet.Group]:
        waiting: list[int] = []
        rows = 0
        for partition in self.partitions:
            waiting.append(partition.index)
            rows += partition.samples
            if rows >= GROUP:
                yield self._group(waiting, rows)
                waiting, rows = [], 0
        if rows:
            yield self._group(waiting, rows)

    def _group(self, indexes: Sequence[int], rows: int) -> parquet.Group:
        partitions, places = array.array("i"), array.array("i")
        for index in indexes:
            samples = self.partitions[index].samples
            partitions.extend(array.array("i", [index]) * samples)
            places.extend(range(samples))
        place = self.begins[indexes[0]] * WIDTH
        values = {
            "partition": partitions.tobytes(),
            "row": places.tobytes(),
            "prediction": os.pread(self._files[0], rows * WIDTH, place),
        }
        if self.known:
            values["truth"] = os.pread(self._files[1], rows * WIDTH, place)
        return rows, values


def _has_truth(partition: Partition) -> bool:
    return any(name not in ("image", "magnitude") for name in partition.tensors)


def _write(file: int, data: bytes, place: int) -> None:
    view, done = memoryview(data), 0
    while done < len(view):
        done += os.pwrite(file, view[done:], place + done)


def _nothing(size: int) -> bytes:
    return b"\x00\x00\xc0\x7f" * (size // WIDTH)  # NaN
