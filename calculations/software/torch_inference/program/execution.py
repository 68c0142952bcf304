"""One execution from its input to its results: hosts are started, ranks watched, what they hand in
is kept. Runs in one thread without torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program import hosting, planning, results
from calculations.software.torch_inference.program.channel import Message, new_token
from calculations.software.torch_inference.program.conversion import converted
from calculations.software.torch_inference.program.coordinator import Coordinator
from calculations.software.torch_inference.program.hub import Caller, Hub
from calculations.software.torch_inference.program.measuring import begun
from calculations.software.torch_inference.program.partitions import Partition, partitions_of
from calculations.software.torch_inference.program.predictions import Predictions
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.store import Store
from calculations.software.torch_inference.program.weights import weights_of
from calculations.software.torch_inference.program.work import START_S, Work

TICK_S = 0.2
SAY_EVERY_S = 1.0
LEAVE_S = 5.0
BROKEN = "its connection broke"


class Execution:
    """The coordinator's ports, and all that lies behind them."""

    def __init__(self, work: Work, folder: Path) -> None:
        self.work, self.folder = work, folder
        self.began = begun()
        self.token = new_token()
        self.store = Store()
        self.hosts: dict[int, Caller] = {}
        self.about_hosts: dict[int, Message] = {}
        self.ranks: dict[int, Caller] = {}
        self.pids: dict[int, int] = {}
        self.spawned: list[Message] = []
        self.coordinator: Any = None
        self.partitions: list[Partition] = []
        self.predictions: Any = None
        self.computed: list[Message] = []
        self.rate = 0.0
        self._lost: dict[int, dict[str, Any]] = {}  # by pid
        self._samples = 0
        self._said = 0.0
        self._closing = False
        self._started: hosting.Started | None = None

    def clock(self) -> float:
        """Seconds since this process began."""
        return time.monotonic() - self.began

    def run(self) -> None:
        """Raises Problem."""
        work = self.work
        if work.device == "cuda" and not work.gpus:
            raise Problem(
                "no_gpu",
                "The device is a GPU, and the run asks for none.",
                "Ask for as many GPUs as ranks in the resources, or choose the device CPU.",
            )
        nodes = hosting.hosts_of(work)
        self.hub = Hub(hosting.address_of(work), self.token, self._heard, self._gone)
        try:
            self._started = hosting.start(work, self.hub, self.token, self.folder)
            names = [field.name for field in work.model.fields]
            self.partitions = partitions_of(
                work, self.folder, lambda paths: converted(paths, work.site.cache_dir, names)
            )
            self.weights = weights_of(work, self.folder)
            self.say(f"{len(self.partitions)} partitions, {self.samples} samples")
            self._wait(lambda: len(self.hosts) == nodes and self._ready(), START_S, "hosts")
            hosting.forget_rendezvous(self.folder)
            ranks, deadline = self._world(nodes)
            self._plan(ranks, nodes, deadline)
            self._compute(ranks, nodes)
            results.write(self)
        finally:
            self.close()

    def node_of(self, rank: int) -> int:
        return planning.node_of(rank, len(self.shares), len(self.about_hosts))

    @property
    def samples(self) -> int:
        return sum(partition.samples for partition in self.partitions)

    def say(self, words: str) -> None:
        print(f"[{self.clock():8.2f} s] {words}", flush=True)

    # Before the ranks begin

    def _ready(self) -> bool:
        return all("torch" in about for about in self.about_hosts.values())

    def _wait(self, until: Any, seconds: float, for_what: str) -> None:
        limit = self.clock() + seconds
        while not until():
            self.hub.turn(TICK_S)
            self._check_hosts()
            if self.clock() > limit:
                raise Problem(
                    "rendezvous_failed",
                    f"Not all {for_what} came together within {seconds:g} s.",
                    "Look at standard error; check that the nodes reach one another at private "
                    "addresses.",
                    *self.hub.refused[-5:],
                )

    def _check_hosts(self) -> None:
        code = self._started.ended() if self._started else None
        if code is not None:
            raise Problem(
                "host_failed",
                f"A process that starts ranks ended with exit code {code}.",
                "Look at standard error; often memory has run out.",
            )

    def _world(self, nodes: int) -> tuple[int, dict[str, Any] | None]:
        """Return the number of ranks, and how it was chosen where a deadline decides."""
        work = self.work
        if work.ranks_by != "deadline":
            return work.ranks, None
        if not self.samples:
            return 1, {"deadline_s": work.deadline, "ranks": 1, "kept": True, "weighed": []}
        self._spawn(0, [[0, 0]], probe=True)
        self._wait(lambda: self.rate, 600.0, "measurements")
        chosen = planning.cheapest(
            [p.samples for p in self.partitions],
            min(work.most_ranks, 4096),
            self.rate,
            self.clock(),
            work.deadline,
        )
        self.say(f"{chosen['ranks']} ranks are cheapest for a deadline of {work.deadline:g} s")
        return chosen["ranks"], chosen

    def _plan(self, ranks: int, nodes: int, deadline: dict[str, Any] | None) -> None:
        self.shares = planning.spread(len(self.partitions), ranks)
        self.plan = results.plan_document(self, ranks, deadline)
        self.plan_sha256 = planning.write_plan(self.folder, self.plan)

    # The work

    def _compute(self, ranks: int, nodes: int) -> None:
        self.predictions = Predictions(self.folder, self.partitions)
        described = [asdict(partition) for partition in self.partitions]
        self.coordinator = coordinator = Coordinator(
            self.shares,
            described,
            self,
            backend=self.work.backend,
            patience_s=self.work.patience,
            start_s=START_S,
            clock=self.clock,
        )
        for node in range(nodes):
            places = [rank for rank in range(ranks) if self.node_of(rank) == node]
            self._spawn(node, [[rank, local] for local, rank in enumerate(places)])
        while not coordinator.done:
            self.hub.turn(TICK_S)
            coordinator.tick()
        self.say(f"reduced by generation {coordinator.generation}")

    def _spawn(self, node: int, places: Sequence[Sequence[int]], *, probe: bool = False) -> None:
        message: Message = {
            "t": "spawn",
            "node": node,
            "places": places,
            "work": asdict(self.work),
            "weights": self.weights,
            "preload": bool(self.samples),
        }
        if probe:
            message.update(probe=True, partition=asdict(self.partitions[0]))
        self.hub.send(self.hosts[node], message)

    # What callers say

    def _heard(self, caller: Caller, message: Message, body: bytes) -> None:
        kind = message.get("t")
        if self._closing:
            return
        if kind == "hello":
            self._hello(caller, message)
        elif kind == "store":
            self.store.ask(message, body, lambda m, b: self.hub.send(caller, m, b))
        elif kind == "problem" and caller.about.get("role") != "rank":
            raise Problem.from_json(message)
        elif kind == "rate":
            self.rate = float(message["samples_per_s"])
        elif kind == "spawned":
            self.pids.update(dict(message["pids"]))
            self.spawned.append(message)
        elif kind == "exited":
            self._exited(message)
        elif caller.about.get("role") == "host":
            self.about_hosts[caller.about["node"]].update(message)
        elif self.coordinator is not None and caller is self.ranks.get(caller.about.get("rank")):
            self.coordinator.heard(caller.about["rank"], message, body)

    def _hello(self, caller: Caller, message: Message) -> None:
        caller.about = message
        if message["role"] == "host" and self.coordinator is None:
            node = message["node"] = len(self.about_hosts)
            self.hosts[node], self.about_hosts[node] = caller, dict(message)
        elif message["role"] == "rank" and self.coordinator is not None:
            number = message["rank"]
            before = self.ranks.get(number)
            if before is not None and before.open:
                self.hub.drop(caller)
                return
            self.ranks[number] = caller
            if not self.coordinator.joined(number):
                self.hub.drop(caller)
        elif message["role"] != "probe":
            self.hub.drop(caller)

    def _exited(self, message: Message) -> None:
        number, code, pid = message["rank"], message["code"], message["pid"]
        words = f"signal {-code}" if code < 0 else f"exit code {code}"
        why = f"its process ended with {words}"
        if pid in self._lost:
            if self._lost[pid]["why"].startswith(BROKEN):
                self._lost[pid]["why"] = why
        elif self.coordinator is not None and self.pids.get(number) == pid:
            self.coordinator.lost(number, why)

    def _gone(self, caller: Caller, why: str) -> None:
        role = caller.about.get("role")
        if self._closing:
            return
        if role == "host" and (self.coordinator is None or not self.coordinator.done):
            self._host_gone(caller, why)
        elif self.coordinator is not None and self.ranks.get(caller.about.get("rank")) is caller:
            self.coordinator.lost(caller.about["rank"], f"{BROKEN}: {why}")

    def _host_gone(self, caller: Caller, why: str) -> None:
        node = caller.about["node"]
        self.hosts.pop(node, None)
        if not self.hosts or self.coordinator is None:
            raise Problem(
                "host_failed",
                f"The process that starts the ranks of node {node + 1} is gone: {why}.",
                "Often memory has run out: ask for more, or for fewer ranks.",
            )
        for rank, other in list(self.ranks.items()):
            if other.about.get("node") == node:
                self.coordinator.lost(rank, f"node {node + 1} is gone")

    # The coordinator's ports

    def send(self, rank: int, message: Message) -> None:
        self.hub.send(self.ranks[rank], message)

    def end(self, rank: int, why: str) -> None:
        caller = self.ranks.get(rank)
        if caller is not None:
            self.hub.drop(caller)
        self._lost[self.pids.pop(rank, 0)] = self.coordinator.lost_ranks[-1]
        for host in list(self.hosts.values()):
            self.hub.send(host, {"t": "kill", "rank": rank})

    def replace(self, rank: int) -> None:
        self.say(f"no rank is left: rank {rank} is started again")
        self._spawn(min(self.hosts), [[rank, 0]])

    def committed(self, partition: int, message: Message, body: bytes) -> None:
        self.predictions.put(partition, body, known=bool(message["known"]))
        samples = self.partitions[partition].samples
        self._samples += samples
        self.computed.append(
            {
                "partition": partition,
                "rank": message["rank"],
                "samples": samples,
                "load_s": message["load_s"],
                "compute_s": message["compute_s"],
                "at_s": round(self.clock(), 4),
            }
        )
        if self.clock() - self._said > SAY_EVERY_S or self._samples == self.samples:
            self._said = self.clock()
            self.say(f"progress {self._samples} of {self.samples} samples")

    def abandon(self) -> None:
        self.store.abandon()

    def said(self, words: str) -> None:
        self.say(words)

    # The end

    def close(self) -> None:
        """Let everything go that was started."""
        self._closing = True
        for host in list(self.hosts.values()):
            self.hub.send(host, {"t": "leave"})
        hosting.forget_rendezvous(self.folder)
        if self.predictions is not None:
            self.predictions.close()
        if self._started is not None:
            self._started.stop(self.hub, LEAVE_S)
        self.hub.close()
