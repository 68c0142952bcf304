"""Reads partitions in slices of many batches, straight into tensors: no sample is ever touched by
itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from calculations.software.torch_inference.program.formats import BadFile, TensorFile
from calculations.software.torch_inference.program.networks import Field, Network
from calculations.software.torch_inference.program.partitions import REMEDY, Partition
from calculations.software.torch_inference.program.problem import Problem

ROWS = 4096  # of a slice, about: 84 MB of the redshift network's input
BLOCK = 256  # rows that are made up at once, so that what is made does not hang on slices
AHEAD = 2


@dataclass
class Slice:
    """Rows `start` to `stop` of a partition; `truth` None where nobody knows it."""

    start: int
    stop: int
    inputs: list[Any]
    truth: Any
    load_s: float


def slice_rows(batch_size: int) -> int:
    """Whole batches, so that a partition is always cut into the same ones."""
    return batch_size * max(1, ROWS // batch_size)


def slices(
    network: Network, partition: Partition, rows: int, seed: int, *, pinned: bool = False
) -> Iterator[Slice]:
    """Yield a partition's slices in order. Raises Problem where the file is not what it was."""
    if not partition.path:
        yield from _made_up(network, partition, rows, seed)
        return
    try:
        with TensorFile(_path(partition), partition.tensors) as file:
            for start in range(0, partition.samples, rows):
                stop, began = min(start + rows, partition.samples), time.perf_counter()
                inputs = [_tensor(file, field, start, stop, pinned) for field in network.inputs]
                truth = None
                if network.target.name in partition.tensors:
                    truth = _tensor(file, network.target, start, stop, False).reshape(-1)
                yield Slice(start, stop, inputs, truth, time.perf_counter() - began)
    except (BadFile, OSError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise Problem("bad_partition", f"{partition.name} {words}.", REMEDY) from None


def ahead(source: Iterator[Slice]) -> Iterator[Slice]:
    """Yield what `source` yields, read by a thread while the device computes."""
    waiting: queue.Queue[Any] = queue.Queue(AHEAD)
    over = threading.Event()

    def read() -> None:
        try:
            for item in source:
                if not _put(waiting, item, over):
                    return
            _put(waiting, None, over)
        except BaseException as error:
            _put(waiting, error, over)

    threading.Thread(target=read, daemon=True).start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()


def _put(waiting: queue.Queue[Any], item: Any, over: threading.Event) -> bool:
    while not over.is_set():
        try:
            waiting.put(item, timeout=0.2)
            return True
        except queue.Full:
            continue
    return False


def _path(partition: Partition) -> Any:
    from pathlib import Path

    return Path(partition.path)


def _tensor(file: TensorFile, field: Field, start: int, stop: int, pinned: bool) -> Any:
    import torch

    about = file.tensors[field.name]
    dtype = torch.float64 if about.dtype == "F64" else torch.float32
    shape = (stop - start, *about.shape[1:])
    tensor = torch.frombuffer(file.rows(field.name, start, stop), dtype=dtype).reshape(shape)
    return tensor.pin_memory() if pinned else tensor


def _made_up(network: Network, partition: Partition, rows: int, seed: int) -> Iterator[Slice]:
    for start in range(0, partition.samples, rows):
        stop, began = min(start + rows, partition.samples), time.perf_counter()
        blocks = [
            _block(network, partition, first, seed)
            for first in range(start - start % BLOCK, stop, BLOCK)
        ]
        skipped = start % BLOCK
        joined = [_cut(parts, skipped, stop - start) for parts in zip(*blocks)]
        yield Slice(start, stop, joined[:-1], joined[-1], time.perf_counter() - began)


def _block(network: Network, partition: Partition, first: int, seed: int) -> list[Any]:
    """Return BLOCK rows of each input and of the truth, decided by the seed and their place."""
    import torch

    generator = torch.Generator()
    generator.manual_seed((seed * 1_000_003 + partition.index) * 1_000_003 + first)
    made = []
    for field in network.inputs:
        dtype = torch.float64 if field.dtypes[0] == "F64" else torch.float32
        made.append(torch.randn((BLOCK, *field.shape), generator=generator, dtype=dtype))
    return [*made, torch.rand(BLOCK, generator=generator)]


def _cut(parts: tuple[Any, ...], skipped: int, length: int) -> Any:
    import torch

    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole[skipped : skipped + length]
