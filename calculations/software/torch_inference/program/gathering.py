"""An execution whose ranks are functions of a cloud, seen by who started it: the plan before they
begin, and what they left, reduced and written as every run of this program writes it.

Without torch. A rank that is missing or failed ends it with a Problem; nothing is made up for it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from calculations.software.torch_inference.program import results, sums
from calculations.software.torch_inference.program.partitions import Partition
from calculations.software.torch_inference.program.predictions import Predictions
from calculations.software.torch_inference.program.problem import Problem
from calculations.software.torch_inference.program.rank import STATISTICS
from calculations.software.torch_inference.program.work import Work

BACKEND = "gathered from functions"
MOST_NAMED = 8
IDLE = [0.0] * len(STATISTICS)


@dataclass
class Functions:
    """What `results` asks of an execution. `place` is what stands in place of a node's name;
    `began_at` (Unix time) is when the ranks were asked for.
    """

    work: Work
    folder: Path
    partitions: Sequence[Partition]
    shares: Sequence[Sequence[int]]
    place: str
    began_at: float = 0.0
    plan: Mapping[str, Any] = field(default_factory=dict)
    plan_sha256: str = ""

    def __post_init__(self) -> None:
        self.about_hosts: dict[int, dict[str, Any]] = {0: {"node": 0, "host": self.place}}
        self.hub = SimpleNamespace(refused=[])
        self.spawned: list[dict[str, Any]] = []
        self.computed: list[dict[str, Any]] = []
        self.coordinator: Any = None
        self.predictions: Any = None
        self.lines: list[str] = []

    @property
    def samples(self) -> int:
        return sum(partition.samples for partition in self.partitions)

    @property
    def busy_ranks(self) -> list[int]:
        """Those that have anything to do; only for them is a function called."""
        return [rank for rank, share in enumerate(self.shares) if share]

    def node_of(self, rank: int) -> int:
        return 0

    def clock(self) -> float:
        return max(0.0, time.time() - self.began_at)

    def say(self, words: str) -> None:
        self.lines.append(f"[{self.clock():8.2f} s] {words}")

    def make_plan(self, deadline: Mapping[str, Any] | None) -> dict[str, Any]:
        return {
            **results.plan_document(self, len(self.shares), deadline),
            "collectives": BACKEND,
            "launch": "function",
        }

    def gather(
        self,
        documents: Mapping[int, Mapping[str, Any]],
        body_of: Callable[[int], bytes],
        about: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]],
    ) -> None:
        """Reduce what the ranks left and write the results into the folder. `body_of` fetches a
        partition's predictions; `about` tells what the functions have used. Raises Problem.
        """
        self._refuse_failed(documents)
        found = [documents[rank] for rank in self.busy_ranks]
        self.predictions = Predictions(self.folder, self.partitions)
        try:
            rows = self._take(found, body_of)
            self._describe(found, rows)
            results.write(self, about(found))
        finally:
            self.predictions.close()

    def _refuse_failed(self, documents: Mapping[int, Mapping[str, Any]]) -> None:
        failed = [r for r in self.busy_ranks if (documents.get(r) or {}).get("problem")]
        if failed:
            problem = Problem.from_json(documents[failed[0]]["problem"])
            told = [
                f"rank {rank}: {documents[rank]['problem'].get('message', '')}" for rank in failed
            ]
            evidence = (*problem.evidence, *told[:20])
            raise Problem(problem.code, problem.message, problem.remedy, *evidence)
        missing = [rank for rank in self.busy_ranks if rank not in documents]
        if missing:
            named = ", ".join(map(str, missing[:MOST_NAMED]))
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            raise Problem(
                "ranks_missing",
                f"{len(missing)} of {len(self.busy_ranks)} ranks left no result: {named}{more}.",
                "Look at the functions' log (CloudWatch): they were ended from outside, often for "
                "want of memory or time. Take more memory or more ranks, then submit again.",
            )
        strange = [
            r for r in self.busy_ranks if documents[r].get("plan_sha256") != self.plan_sha256
        ]
        if strange:
            raise Problem(
                "plan_changed",
                f"Rank {strange[0]} has worked by another plan than this execution's.",
                "Nothing else may write below the portal's prefix of the bucket; submit again.",
            )

    def _take(
        self, documents: Sequence[Mapping[str, Any]], body_of: Callable[[int], bytes]
    ) -> dict[int, list[float]]:
        """Put predictions in their places; return the sums of each partition. Raises Problem."""
        rows: dict[int, list[float]] = {}
        try:
            for document in documents:
                rank = int(document["rank"])
                for item in document["partitions"]:
                    index = int(item["partition"])
                    if index not in self.shares[rank]:
                        raise ValueError(f"rank {rank} was not given partition {index}")
                    self.predictions.put(index, body_of(index), known=bool(item["known"]))
                    rows[index] = [float(value) for value in item["sums"]]
                    self.computed.append(self._computed(rank, item))
            absent = sorted({i for share in self.shares for i in share} - rows.keys())
            if absent:
                raise ValueError(f"nobody has handed in partition {absent[0]}")
        except (KeyError, TypeError, ValueError) as error:
            raise Problem(
                "incomplete",
                "What the ranks left is not whole.",
                "Submit the run again; nothing else may write into its folder of the bucket.",
                str(error)[:300],
            ) from None
        return rows

    def _computed(self, rank: int, item: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "partition": int(item["partition"]),
            "rank": rank,
            "samples": int(item["samples"]),
            "load_s": item["load_s"],
            "compute_s": item["compute_s"],
            "at_s": round(max(0.0, float(item["at"]) - self.began_at), 4),
        }

    def _describe(
        self, documents: Sequence[Mapping[str, Any]], rows: dict[int, list[float]]
    ) -> None:
        """Stand in for the coordinator of ranks that talk with one another."""
        began = min((d["began_at"] for d in documents), default=self.began_at)
        ended = max((d["ended_at"] for d in documents), default=self.began_at)
        started, worked = max(0.0, began - self.began_at), max(0.0, ended - self.began_at)
        told = {int(d["rank"]): d["statistics"] for d in documents}
        first = documents[0] if documents else {}
        self.about_hosts[0].update(
            torch=first.get("torch"),
            machine=first.get("machine"),
            import_s=max((d.get("import_s", 0.0) for d in documents), default=0.0),
            gpus=0,
            gpu_models=[],
        )
        peaks = [d["statistics"][STATISTICS.index("peak_mib")] for d in documents]
        report = {
            "generations": 1,
            "lost_ranks": [],
            "moved_partitions": 0,
            "collectives": BACKEND,
            "collective_failures": [],
            "retries": sum(int(d.get("retry", 0)) for d in documents),
        }
        total = sums.added(d["total"] for d in documents)
        self.coordinator = SimpleNamespace(
            found=rows,
            total=total,
            backend=BACKEND,
            statistics={rank: told.get(rank, IDLE) for rank in range(len(self.shares))},
            marks={
                "joined": started,
                "started": started,
                "worked": worked,
                "reduced": max(worked, self.clock()),
            },
            peak_mib=sum(peaks),
            lost_ranks=[],
            report=lambda: report,
        )


def rate(documents: Sequence[Mapping[str, Any]]) -> float | None:
    """Samples per second of a function, from its start to its end: what may be foreseen of the
    next run. None where nothing was done.
    """
    names = {name: STATISTICS.index(name) for name in ("samples", "wall_s")}
    found = [
        row[names["samples"]] / row[names["wall_s"]]
        for row in (d["statistics"] for d in documents)
        if row[names["samples"]] and row[names["wall_s"]] > 0
    ]
    return statistics.median(found) if found else None
