"""What Lambda and Step Functions allow, held against a plan before anything is started. Pure."""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.torch_inference.program.inference import CPU
from calculations.software.torch_inference.program.partitions import Partition
from calculations.software.torch_inference.program.planning import MARGIN, foreseen_s
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.slices import slice_rows
from calculations.software.torch_inference.program.work import Work

LEAST_MIB, MOST_MIB = 128, 10_240
LONGEST_S = 900
PAYLOAD = 256 * 1024  # bytes, of a state's input or output
CORE_MIB = 1769  # so much memory brings a whole core
START_S = 10.0  # of a cold machine: torch is imported, the weights are read
BASE_MIB = 450.0  # torch and the redshift network, before any data
FREE_MIB = 64.0  # of /tmp: the program
MOST_RANKS = 4096


@dataclass(frozen=True, slots=True)
class Function:
    """What a function has, and how fast one is expected to be."""

    memory_mib: int
    disk_mib: int
    timeout_s: int
    most_at_once: int
    samples_per_s: float

    @property
    def cores(self) -> int:
        return max(1, math.ceil(self.memory_mib / CORE_MIB))


def check_work(work: Work, function: Function) -> None:
    """Refuse what no plan would mend. Raises Problem."""
    if work.device != CPU:
        raise Problem(
            "no_gpu", "Lambda has no GPUs.", "Choose the device CPU, or a cluster that has GPUs."
        )
    if work.launch != "fork":
        raise Problem(
            "launch_not_here",
            "Here each rank is a function; no scheduler and no torchrun starts it.",
            "Leave “Ranks are started” at its default, or choose another cluster.",
        )
    if work.threads > function.cores:
        raise Problem(
            "too_many_threads",
            f"{work.threads} threads are asked for; a function of {function.memory_mib} MB has "
            f"{function.cores} {'core' if function.cores == 1 else 'cores'}.",
            "Ask for fewer threads, or deploy the function with more memory.",
        )
    if not LEAST_MIB <= function.memory_mib <= MOST_MIB:
        raise Problem(
            "function_memory",
            f"A function has from {LEAST_MIB} to {MOST_MIB} MB, not {function.memory_mib}.",
            "Correct the function's memory on the cluster's tab “Access”.",
        )


def check_plan(
    work: Work,
    function: Function,
    partitions: Sequence[Partition],
    shares: Sequence[Sequence[int]],
    *,
    weights_mib: float,
) -> None:
    """Refuse a plan of which a function could not keep its part. Raises Problem."""
    ranks = len(shares)
    if ranks > function.most_at_once:
        raise Problem(
            "function_concurrency",
            f"{ranks} ranks are asked for; {function.most_at_once} functions may run at once.",
            "Ask for fewer ranks, or have the account's limit raised (Service Quotas) and enter it "
            "on the cluster's tab “Access”.",
        )
    _check_time(function, [p.samples for p in partitions], ranks)
    largest = max((p for p in partitions), key=lambda p: p.size, default=None)
    if largest is None:
        return
    row = largest.size / max(1, largest.samples)
    slice_mib = min(largest.samples, slice_rows(work.batch_size)) * row / 2**20
    needed = BASE_MIB + 2 * slice_mib + weights_mib
    if needed > function.memory_mib:
        raise Problem(
            "function_memory",
            f"A rank needs about {needed:.0f} MB; a function has {function.memory_mib} MB.",
            "Deploy the function with more memory, or lower the batch size.",
        )
    held = (largest.size / 2**20 if largest.path else 0.0) + weights_mib + FREE_MIB
    if held > function.disk_mib:
        raise Problem(
            "function_disk",
            f"{largest.name} and the weights need {held:.0f} MB of a function's disk, which has "
            f"{function.disk_mib} MB.",
            "Deploy the function with more ephemeral storage (up to 10,240 MB), or cut the "
            "partitions smaller.",
        )


def _check_time(function: Function, samples: Sequence[int], ranks: int) -> None:
    allowed = min(function.timeout_s, LONGEST_S)
    foreseen = foreseen_s(samples, ranks, function.samples_per_s, START_S) * MARGIN
    if foreseen <= allowed:
        return
    enough = _enough(function, samples, allowed)
    if enough is None:
        remedy = "Cut the partitions smaller: one alone takes longer than that."
    elif enough > function.most_at_once:
        remedy = f"{enough} ranks would do, more than may run at once here: take less data."
    else:
        remedy = f"Ask for {enough} ranks or more."
    raise Problem(
        "function_time",
        f"The fullest rank would take about {foreseen:.0f} s at {function.samples_per_s:.0f} "
        f"samples/s; a function may take {allowed} s.",
        remedy,
    )


def _enough(function: Function, samples: Sequence[int], allowed: float) -> int | None:
    """Return the least number of ranks that keep the time, None where none does."""
    most = min(len(samples), MOST_RANKS)

    def fits(ranks: int) -> bool:
        return foreseen_s(samples, ranks, function.samples_per_s, START_S) * MARGIN <= allowed

    if not most or not fits(most):
        return None
    return 1 + bisect.bisect_left(range(1, most + 1), True, key=fits)


def check_payload(given: Mapping[str, Any]) -> None:
    """Raises Problem for an input of a state that Step Functions would refuse."""
    size = len(json.dumps(given).encode())
    if size > PAYLOAD:
        raise Problem(
            "function_payload",
            f"The input of a state would be {size / 1024:.0f} KiB; {PAYLOAD // 1024} KiB are "
            "allowed.",
            "Shorten the bucket's prefix on the cluster's tab “Access”.",
        )
