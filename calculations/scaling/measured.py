"""Runs of the same work, put together by their number of ranks."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from calculations.scaling.law import Law, law_of


@dataclass(frozen=True, slots=True)
class Work:
    """What must be alike for times to be compared; `gpus`: each rank has one."""

    samples: int
    partitions: int
    batch_size: int
    threads: int
    number_format: str
    gpus: bool
    cluster: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One valid run. `ready_s`: until all ranks were ready; `reduced_s`: until the reduced result;
    `ended_s`: until the end; all from the start of the program. `work_s`: barrier to reduced
    result; `straggling`: the slowest rank by the median one.
    """

    calculation: int
    run: int  # from 1
    work: Work
    ranks: int
    ready_s: float
    work_s: float
    reduced_s: float
    ended_s: float
    peak_mib: float
    straggling: float | None = None
    idle_ranks: int = 0
    lost_ranks: int = 0
    moved_partitions: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of repeated measurements, and from where to where they go."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        known = list(values)
        return cls(statistics.median(known), min(known), max(known))


class Point:
    """All runs of one work at one number of ranks."""

    def __init__(self, ranks: int, runs: list[Measured]) -> None:
        self.ranks, self.runs = ranks, runs

    @cached_property
    def ready_s(self) -> Spread:
        return self._over(lambda run: run.ready_s)

    @cached_property
    def work_s(self) -> Spread:
        return self._over(lambda run: run.work_s)

    @cached_property
    def reduced_s(self) -> Spread:
        return self._over(lambda run: run.reduced_s)

    @cached_property
    def ended_s(self) -> Spread:
        return self._over(lambda run: run.ended_s)

    @property
    def peak_mib(self) -> float:
        """The most of all runs: memory is asked for by the worst."""
        return max(run.peak_mib for run in self.runs)

    @cached_property
    def straggling(self) -> Spread | None:
        known = [run.straggling for run in self.runs if run.straggling is not None]
        return Spread.of(known) if known else None

    def _over(self, take: Callable[[Measured], float]) -> Spread:
        return Spread.of(take(run) for run in self.runs)


class Series:
    """One work at several numbers of ranks. Speed-up is against the smallest of them."""

    def __init__(self, work: Work, runs: Iterable[Measured]) -> None:
        self.work = work
        self.label = ""
        by_ranks: dict[int, list[Measured]] = {}
        for run in runs:
            by_ranks.setdefault(run.ranks, []).append(run)
        self.points = [Point(ranks, found) for ranks, found in sorted(by_ranks.items())]

    @property
    def base(self) -> Point:
        return self.points[0]

    @property
    def run_count(self) -> int:
        return sum(len(point.runs) for point in self.points)

    def speed_up(self, point: Point) -> float:
        """Of the whole, from the start of the program to the reduced result."""
        return self.base.reduced_s.median / point.reduced_s.median

    def work_speed_up(self, point: Point) -> float | None:
        """Of what lies between the ranks' start and the reduced result; None without work."""
        seconds = point.work_s.median
        return self.base.work_s.median / seconds if seconds > 0 else None

    def efficiency(self, point: Point) -> float:
        """Of each rank's time, how much is of use."""
        return self.speed_up(point) * self.base.ranks / point.ranks

    @cached_property
    def law(self) -> Law | None:
        return law_of([(run.ranks, run.ready_s) for point in self.points for run in point.runs])


def series_of(runs: Iterable[Measured]) -> list[Series]:
    """Runs by their work, in the order of their first runs; labels say what differs."""
    by_work: dict[Work, list[Measured]] = {}
    for run in runs:
        by_work.setdefault(run.work, []).append(run)
    found = [Series(work, rows) for work, rows in by_work.items()]
    for one in found:
        one.label = _label(one.work, [other.work for other in found])
    return found


WORDS: tuple[tuple[str, Callable[[Work], str]], ...] = (
    ("samples", lambda w: f"{w.samples:,} samples"),
    ("partitions", lambda w: f"{w.partitions:,} partitions"),
    ("batch_size", lambda w: f"batch {w.batch_size}"),
    ("threads", lambda w: f"{w.threads} thread{'s' if w.threads != 1 else ''} a rank"),
    ("number_format", lambda w: w.number_format),
    ("gpus", lambda w: "GPU" if w.gpus else "CPU"),
    ("cluster", lambda w: w.cluster),
)


def _label(work: Work, all_works: list[Work]) -> str:
    differing = [
        words(work)
        for name, words in WORDS
        if len({getattr(other, name) for other in all_works}) > 1
    ]
    # Where the samples tell, the partitions into which they are cut need not.
    if len(differing) > 1 and len({w.samples for w in all_works}) == len(all_works):
        return differing[0]
    return ", ".join(differing)


def work_words(work: Work) -> str:
    """2,048 samples in 8 partitions, batch 128, …"""
    said = [words(work) for name, words in WORDS if name != "partitions"]
    said[0] += f" in {work.partitions:,} partitions"
    return ", ".join(filter(None, said))
