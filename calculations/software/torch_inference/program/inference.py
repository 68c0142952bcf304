"""A network on one device: partitions in, predictions out, slice by slice and batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from calculations.software.torch_inference.program.networks import Network
from calculations.software.torch_inference.program.partitions import Partition
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.slices import ahead, slice_rows, slices
from calculations.software.torch_inference.program.work import Work

CPU, CUDA = "cpu", "cuda"


@dataclass
class Done:
    """A partition's predictions (float32) and truth (None where unknown), and what it took."""

    predictions: Any
    truth: Any
    batches: int
    load_s: float
    compute_s: float


class Inference:
    """`batch_done` is called after each batch, so that others see it going on."""

    def __init__(
        self, work: Work, network: Any, local: int, batch_done: Callable[[], None]
    ) -> None:
        """Raises Problem where the device is not there, or too small for the network."""
        import torch

        self.work, self.network_spec = work, work.model
        self.batch_done = batch_done
        self.device = device_of(work, local)
        self.dtype = torch.bfloat16 if work.precision == "bf16" else torch.float32
        with _named_failures():
            network = network.to(device=self.device, dtype=self.dtype)
        self.network = torch.compile(network) if work.compile else network

    def run(self, partition: Partition) -> Done:
        """Raises Problem."""
        import torch

        predictions = torch.empty(partition.samples, dtype=torch.float32)
        truths: list[Any] = []
        batches, load_s, compute_s = 0, 0.0, 0.0
        on_gpu = self.device.type == CUDA
        source = slices(
            self.network_spec,
            partition,
            slice_rows(self.work.batch_size),
            self.work.data_seed,
            pinned=on_gpu,
        )
        with torch.inference_mode(), _named_failures():
            for piece in ahead(source) if on_gpu else source:
                began = time.perf_counter()
                found = self._slice(piece.inputs)
                predictions[piece.start : piece.stop] = found
                compute_s += time.perf_counter() - began
                load_s += piece.load_s
                batches += -(-(piece.stop - piece.start) // self.work.batch_size)
                if piece.truth is not None:
                    truths.append(piece.truth.to(torch.float32))
        known = torch.cat(truths).numpy() if truths else None
        return Done(predictions.numpy(), known, batches, load_s, compute_s)

    def _slice(self, inputs: list[Any]) -> Any:
        """Return the answers of one slice, on the CPU."""
        import torch

        size = self.work.batch_size
        there = [self._there(tensor) for tensor in inputs]
        answers = []
        for first in range(0, there[0].shape[0], size):
            answer = self.network(*(tensor[first : first + size] for tensor in there))
            answers.append(answer.reshape(-1).float())
            self.batch_done()
        return torch.cat(answers).cpu()

    def _there(self, tensor: Any) -> Any:
        """Bring an input to the device; numbers that are not images keep their precision until the
        network casts them.
        """
        import torch

        if self.dtype is torch.bfloat16:
            return tensor.to(device=self.device, dtype=self.dtype, non_blocking=True)
        return tensor.to(device=self.device, non_blocking=True)

    def peak_gpu_mib(self) -> float:
        import torch

        return torch.cuda.max_memory_allocated(self.device) / 2**20 if self._on_gpu else 0.0

    @property
    def _on_gpu(self) -> bool:
        return self.device.type == CUDA


def load_network(network: Network, work: Work, weights: Any) -> Any:
    """Return the network on the CPU, with the run's weights; `weights` is a path or None. Raises
    Problem.
    """
    with _named_failures():
        return network.load(weights) if weights else network.build(work.weights_seed)


def device_of(work: Work, local: int) -> Any:
    """Return the device of the node's rank number `local`, set to the precision. Raises Problem."""
    import torch

    if work.device == CPU:
        torch.set_num_threads(max(1, work.threads))
        return torch.device(CPU)
    count = torch.cuda.device_count()
    if not count:
        raise Problem(
            "no_gpu",
            "A GPU was asked for, and torch finds none on this machine.",
            "Ask for GPUs in the resources, choose a cluster that has them, or the device CPU.",
            f"torch {torch.__version__}, CUDA {torch.version.cuda or 'not built in'}",
        )
    tf32 = work.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    device = torch.device(CUDA, local % count)
    torch.cuda.set_device(device)
    return device


class _named_failures:
    """Turns torch's lack of memory into a Problem."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, Problem):
            return
        words = str(error)
        gpu = type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in words
        if gpu or isinstance(error, MemoryError) or "can't allocate memory" in words:
            where = "The GPU" if gpu else "The machine"
            raise Problem(
                "out_of_gpu_memory" if gpu else "out_of_memory",
                f"{where} has not enough memory for this batch size.",
                "Lower the batch size, or take more memory.",
                words.splitlines()[0][:300],
            ) from None
