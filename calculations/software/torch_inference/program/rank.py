"""One rank: takes partitions from the coordinator, computes, hands in predictions, and takes part
in the reduction. It ends as soon as the coordinator is gone.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
import traceback
from dataclasses import dataclass, replace
from typing import Any

from calculations.software.torch_inference.program import sums
from calculations.software.torch_inference.program.channel import (
    Connection,
    Lost,
    Message,
    Refused,
)
from calculations.software.torch_inference.program.collectives import Group, Postbox, bind
from calculations.software.torch_inference.program.formats import Tensor
from calculations.software.torch_inference.program.inference import (
    Done,
    Inference,
    device_of,
    load_network,
)
from calculations.software.torch_inference.program.measuring import cpu_s, own_mib, peak_mib
from calculations.software.torch_inference.program.partitions import Partition
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.work import CHANNEL, NCCL, Work

ORPHANED = 70  # exit code: the coordinator is gone
FAILED = 71
MEMORY_EVERY_S = 2.0
STATISTICS = (
    "partitions",
    "samples",
    "batches",
    "wall_s",
    "cpu_s",
    "load_s",
    "compute_s",
    "write_s",
    "communicate_s",
    "wait_s",
    "model_s",
    "peak_mib",
    "gpu_peak_mib",
    "model_mib",
    "data_mib",
)


@dataclass(frozen=True)
class Place:
    """Which rank this is: its number, its node, and its number on that node."""

    rank: int
    node: int
    local: int


class Rank:
    """`network` is what the host has loaded already, None where nothing had to be."""

    def __init__(
        self,
        place: Place,
        work: Work,
        connection: Connection,
        address: str,
        network: Any = None,
        weights: str = "",
    ) -> None:
        self.place, self.work, self.connection = place, work, connection
        self.address, self.weights = address, weights
        self._network = network
        self._inference: Inference | None = None
        self._group: Group | None = None
        self._inbox: queue.Queue[tuple[Message, bytes]] = queue.Queue()
        self._postbox = Postbox(connection.send)
        self._totals = [0.0] * len(sums.NAMES)
        self._spent = dict.fromkeys(STATISTICS, 0.0)
        self._batches = 0
        self._at = -1
        self._since = time.perf_counter()

    def run(self) -> None:
        """Raises Lost, Refused."""
        self._send(
            {
                "t": "hello",
                "role": "rank",
                "rank": self.place.rank,
                "node": self.place.node,
                "pid": os.getpid(),
            }
        )
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()
        handlers = {"form": self._form, "work": self._begin, "take": self._take}
        while True:
            message, _ = self._inbox.get()
            kind = message["t"]
            if kind == "leave":
                return
            if kind == "reduce":
                self._reduce(message)
            else:
                handlers[kind](message)

    # What the coordinator wants

    def _form(self, message: Message) -> None:
        """Meet the others of a generation: that everybody is there is the barrier."""
        self.leave_group()
        began = time.perf_counter()
        try:
            if message["backend"] != CHANNEL:
                self._group = Group(
                    message["backend"],
                    self._postbox,
                    generation=message["generation"],
                    position=message["members"].index(self.place.rank),
                    size=len(message["members"]),
                    timeout_s=message["timeout_s"],
                    device=self._device(message["backend"]),
                )
                self._group.barrier()
        except Problem:
            raise
        except Exception as error:
            self._failed(message, error)
            return
        finally:
            self._spent["communicate_s"] += time.perf_counter() - began
        self._send({"t": "formed", "generation": message["generation"]})

    def _begin(self, message: Message) -> None:
        self._since = time.perf_counter()
        self._next()

    def _next(self) -> None:
        self._asked = time.perf_counter()
        self._send({"t": "next"})

    def _take(self, message: Message) -> None:
        self._spent["wait_s"] += time.perf_counter() - self._asked
        described = message["partition"]
        if described is None:
            return
        partition = partition_of(described)
        self._at = partition.index
        done = self._ready().run(partition)
        bits = self.work.model.bits(partition.tensors) * partition.samples
        found = sums.of_partition(done.predictions, done.truth, batches=done.batches, bits=bits)
        self._totals = [a + b for a, b in zip(self._totals, found)]
        self._commit(partition, done, found)
        self._at = -1
        self._next()

    def _commit(self, partition: Partition, done: Done, found: list[float]) -> None:
        spent = self._spent
        spent["partitions"] += 1
        spent["samples"] += partition.samples
        spent["batches"] += done.batches
        spent["load_s"] += done.load_s
        spent["compute_s"] += done.compute_s
        spent["data_mib"] = max(spent["data_mib"], partition.size / 2**20)
        began = time.perf_counter()
        body = done.predictions.tobytes()
        known = done.truth is not None
        if known:
            body += done.truth.tobytes()
        self._send(
            {
                "t": "commit",
                "partition": partition.index,
                "sums": found,
                "known": known,
                "load_s": done.load_s,
                "compute_s": done.compute_s,
                "statistics": self._statistics(),
            },
            body,
        )
        spent["write_s"] += time.perf_counter() - began

    def _reduce(self, message: Message) -> None:
        """Add up with the others; `adopted` is what ranks that are gone had handed in before."""
        began = time.perf_counter()
        own = [a + b for a, b in zip(self._totals, message.get("adopted") or self._zeros())]
        try:
            if self._group is None:
                total, rows = own, [self._statistics()]
            else:
                total, rows = self._group.reduce(own), self._group.gather(self._statistics())
        except Exception as error:
            self._failed(message, error)
            return
        finally:
            self._spent["communicate_s"] += time.perf_counter() - began
        self._send(
            {
                "t": "reduced",
                "generation": message["generation"],
                "total": total,
                "statistics": rows,
            }
        )

    def _zeros(self) -> list[float]:
        return [0.0] * len(sums.NAMES)

    # Helpers

    def _ready(self) -> Inference:
        if self._inference is None:
            began = time.perf_counter()
            if self._network is None:
                self._network = load_network(self.work.model, self.work, self.weights or None)
            held = [*self._network.parameters(), *self._network.buffers()]
            self._spent["model_mib"] = sum(t.numel() * t.element_size() for t in held) / 2**20
            self._inference = Inference(
                self.work, self._network, self.place.local, self._batch_done
            )
            self._spent["model_s"] += time.perf_counter() - began
        return self._inference

    def _batch_done(self) -> None:
        self._batches += 1

    def _statistics(self) -> list[float]:
        gpu = self._inference.peak_gpu_mib() if self._inference else 0.0
        found = {
            **self._spent,
            "wall_s": time.perf_counter() - self._since,
            "cpu_s": cpu_s(),
            "peak_mib": peak_mib(),
            "gpu_peak_mib": gpu,
        }
        return [round(float(found[name]), 6) for name in STATISTICS]

    def _failed(self, message: Message, error: Exception) -> None:
        self.leave_group()
        why = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        self._send({"t": "failed", "generation": message["generation"], "why": why})

    def _device(self, backend: str) -> Any:
        return device_of(self.work, self.place.local) if backend == NCCL else None

    def leave_group(self) -> None:
        if self._group is not None:
            self._group.close()
            self._group = None

    def _send(self, message: Message, body: bytes = b"") -> None:
        self.connection.send(message, body)

    # Threads

    def _read(self) -> None:
        try:
            while True:
                for message, body in self.connection.receive():
                    if message["t"] == "stored":
                        self._postbox.answered(message, body)
                    else:
                        self._inbox.put((message, body))
        except (Lost, Refused):
            os._exit(ORPHANED)

    def _beat(self) -> None:
        """Say every moment how far it is, whatever the other thread does."""
        every, measured = max(0.2, min(1.0, self.work.patience / 5)), 0.0
        with contextlib.suppress(Lost):
            while True:
                time.sleep(every)
                beat: Message = {"t": "beat", "batches": self._batches, "partition": self._at}
                if time.monotonic() - measured > MEMORY_EVERY_S:
                    beat["own_mib"], measured = own_mib(), time.monotonic()
                self._send(beat)


def probe(
    work: Work, address: tuple[str, int], token: bytes, network: Any, message: Message
) -> int:
    """Measure how many samples a second one rank does, and tell; return the exit code."""
    connection = Connection(address, token)
    connection.send({"t": "hello", "role": "probe"})
    try:
        partition = partition_of(message["partition"])
        first = min(partition.samples, work.batch_size)
        some = min(partition.samples, 3 * work.batch_size)
        inference = Inference(work, network, 0, lambda: None)
        inference.run(replace(partition, samples=first))  # what comes first is slower
        began = time.perf_counter()
        inference.run(replace(partition, samples=some))
        connection.send({"t": "rate", "samples_per_s": some / (time.perf_counter() - began)})
    except Problem as problem:
        tell(connection, problem)
        return FAILED
    return 0


def partition_of(described: Message) -> Partition:
    tensors = {
        name: Tensor(t["dtype"], tuple(t["shape"]), t["offset"], t["size"], t["member"])
        for name, t in described["tensors"].items()
    }
    return Partition(
        described["index"], described["name"], described["samples"], described["path"], tensors
    )


def main(
    place: Place, work: Work, address: tuple[str, int], token: bytes, network: Any, weights: str
) -> int:
    """Be a rank; return the exit code."""
    bind(address[0] if _is_local(address[0]) else own_address(address))
    try:
        connection = Connection(address, token)
    except (OSError, Refused) as error:
        print(f"rank {place.rank} cannot join: {error}", file=sys.stderr, flush=True)
        return FAILED
    rank = Rank(place, work, connection, address[0], network, weights)
    try:
        rank.run()
        rank.leave_group()
        return 0
    except (Lost, Refused):
        return ORPHANED
    except Problem as problem:
        tell(connection, problem)
        return FAILED
    except BaseException as error:
        traceback.print_exc()
        words = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        tell(
            connection,
            Problem(
                "rank_failed",
                f"Rank {place.rank} failed: {words}.",
                "Look at standard error; its traceback is there.",
            ),
        )
        return FAILED


def tell(connection: Connection, problem: Problem) -> None:
    """Hand a problem in, and wait until it has been taken."""
    with contextlib.suppress(Lost):
        connection.send({"t": "problem", **problem.to_json()})


def _is_local(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def own_address(address: tuple[str, int]) -> str:
    """Return the address of this machine from which another one is reached."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(address)
        return probe.getsockname()[0]
