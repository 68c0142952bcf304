"""The course of an execution, told event by event: who joins, works, is lost or slow, and what the
others then do.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.torch_inference.program import sums
from calculations.software.torch_inference.program.coordinator import Coordinator, Phase
from calculations.software.torch_inference.program.planning import spread
from calculations.software.torch_inference.program.problem import Problem

PATIENCE_S = 10.0


class Course:
    """A coordinator whose ranks do what a test says; `sent` are the last messages to each."""

    def __init__(self, partitions: int, ranks: int, backend: str = "channel") -> None:
        self.now = 0.0
        self.sent: dict[int, list[dict[str, Any]]] = {rank: [] for rank in range(ranks)}
        self.ended: list[int] = []
        self.replaced: list[int] = []
        self.handed_in: list[int] = []
        self.abandoned = 0
        self.totals = {rank: [0.0] * len(sums.NAMES) for rank in range(ranks)}
        self.coordinator = Coordinator(
            spread(partitions, ranks),
            [{"index": index} for index in range(partitions)],
            self,
            backend=backend,
            patience_s=PATIENCE_S,
            start_s=60.0,
            clock=lambda: self.now,
        )

    # Ports

    def send(self, rank: int, message: dict[str, Any]) -> None:
        assert self.coordinator.members[rank].alive
        self.sent[rank].append(message)

    def end(self, rank: int, why: str) -> None:
        self.ended.append(rank)
        self.totals[rank] = [0.0] * len(sums.NAMES)
        self.sent[rank].clear()

    def replace(self, rank: int) -> None:
        self.replaced.append(rank)

    def committed(self, partition: int, message: dict[str, Any], body: bytes) -> None:
        self.handed_in.append(partition)

    def abandon(self) -> None:
        self.abandoned += 1

    def said(self, words: str) -> None:
        assert words

    # What ranks do

    def say(self, rank: int, **message: Any) -> None:
        self.coordinator.heard(rank, message, b"")

    def join(self, *ranks: int) -> None:
        for rank in ranks:
            assert self.coordinator.joined(rank)

    def obey(self, rank: int) -> bool:
        """Have a rank do the next thing that it was told; False where it was told nothing."""
        if not self.sent[rank]:
            return False
        message = self.sent[rank].pop(0)
        kind = message["t"]
        if kind == "form":
            self.say(rank, t="formed", generation=message["generation"])
        elif kind == "work":
            self.say(rank, t="next")
        elif kind == "take":
            self.commit(rank, message["partition"]["index"])
            self.say(rank, t="next")
        elif kind == "reduce":
            total = sums.added([self.totals[rank], message["adopted"] or [0.0] * len(sums.NAMES)])
            answer = {"generation": message["generation"], "statistics": [[float(rank)]]}
            self.say(rank, t="reduced", total=total, **answer)
        return True

    def commit(self, rank: int, partition: int) -> None:
        found = [float(partition + 1)] * len(sums.NAMES)
        self.totals[rank] = sums.added([self.totals[rank], found])
        self.say(
            rank, t="commit", partition=partition, sums=found, known=True, statistics=[float(rank)]
        )

    def run(self, *ranks: int) -> None:
        """Have these ranks obey until none has anything left to do."""
        busy = True
        while busy:
            busy = sum(self.obey(rank) for rank in ranks) > 0

    def told(self, rank: int) -> list[str]:
        return [message["t"] for message in self.sent[rank]]

    @property
    def expected(self) -> float:
        count = len(self.coordinator.described)
        return count * (count + 1) / 2


def test_all_partitions_are_done_once_and_the_sums_are_added_up() -> None:
    course = Course(partitions=7, ranks=3)
    course.join(0, 1)
    assert course.coordinator.phase is Phase.JOINING
    course.join(2)
    course.run(0, 1, 2)
    assert course.coordinator.done
    assert sorted(course.handed_in) == list(range(7))
    assert course.coordinator.total == [28.0] * len(sums.NAMES)
    assert (course.coordinator.generation, course.ended) == (0, [])


def test_ranks_without_partitions_do_no_harm() -> None:
    course = Course(partitions=1, ranks=4)
    course.join(0, 1, 2, 3)
    course.run(0, 1, 2, 3)
    assert course.coordinator.done
    assert course.coordinator.total[0] == 1.0


def test_an_execution_without_partitions_is_reduced_all_the_same() -> None:
    course = Course(partitions=0, ranks=2)
    course.join(0, 1)
    course.run(0, 1)
    assert course.coordinator.done
    assert course.coordinator.total == [0.0] * len(sums.NAMES)


def test_the_partitions_of_a_lost_rank_go_to_the_others_in_a_new_generation() -> None:
    course = Course(partitions=6, ranks=2)
    course.join(0, 1)
    course.obey(0), course.obey(1)  # form
    course.obey(1)  # work
    course.obey(1)  # hands its first partition in, takes the second
    course.coordinator.lost(1, "it was killed")
    assert course.ended == [1]
    course.run(0)
    assert course.coordinator.done
    assert sorted(course.handed_in) == list(range(6))
    assert course.coordinator.generation == 1
    assert course.coordinator.total[0] == course.expected  # with what the lost one had handed in
    assert course.coordinator.lost_ranks[0]["partitions"] == 2


def test_what_a_lost_rank_says_afterwards_is_not_heard() -> None:
    course = Course(partitions=4, ranks=2)
    course.join(0, 1)
    course.obey(0), course.obey(1), course.obey(1)
    taken = course.sent[1][0]["partition"]["index"]
    course.coordinator.lost(1, "it was silent")
    course.commit(1, taken)
    assert course.handed_in == []
    assert not course.coordinator.joined(1)


def test_a_rank_that_is_idle_takes_what_a_busy_one_has_not_begun() -> None:
    course = Course(partitions=6, ranks=2)
    course.join(0, 1)
    course.obey(0), course.obey(1)
    course.obey(0)  # takes its first and never ends it
    course.run(1)
    assert sorted(course.handed_in) == [1, 2, 3, 4, 5]
    assert course.coordinator.moved == 2
    course.run(0, 1)
    assert course.coordinator.done


def test_a_silent_rank_is_given_up_after_the_patience_and_not_before() -> None:
    course = Course(partitions=4, ranks=2)
    course.join(0, 1)
    course.run(0)
    course.now = PATIENCE_S
    course.say(0, t="beat", batches=0)
    course.coordinator.tick()
    assert course.ended == []
    course.now += 0.1
    course.coordinator.tick()
    assert course.ended == [1]


def test_a_rank_that_lives_but_ends_no_batch_is_slow_where_others_go_on() -> None:
    course = Course(partitions=4, ranks=2)
    course.join(0, 1)
    for _ in range(2):
        course.obey(0), course.obey(1)
    course.now = 5.0
    course.say(0, t="beat", batches=1)  # the longest batch: 5 s
    for now in (12.0, 19.9):
        course.now = now
        course.say(0, t="beat", batches=int(now))
        course.say(1, t="beat", batches=0)
        course.coordinator.tick()
    assert course.ended == []
    course.now = 20.1  # four times the longest batch
    course.say(0, t="beat", batches=50)
    course.say(1, t="beat", batches=0)
    course.coordinator.tick()
    assert course.ended == [1]
    assert "where the longest took" in course.coordinator.lost_ranks[0]["why"]


def test_the_only_rank_is_never_too_slow() -> None:
    course = Course(partitions=2, ranks=1)
    course.join(0)
    course.obey(0), course.obey(0)
    course.now = 1.0
    course.say(0, t="beat", batches=5)
    course.now = 1000.0
    course.say(0, t="beat", batches=5)
    course.coordinator.tick()
    assert course.ended == []


def test_ranks_that_never_join_are_left_behind() -> None:
    course = Course(partitions=4, ranks=3)
    course.join(0, 2)
    course.now = 60.1
    course.say(0, t="beat"), course.say(2, t="beat")
    course.coordinator.tick()
    assert course.ended == [1]
    course.run(0, 2)
    assert course.coordinator.done
    assert course.coordinator.total[0] == course.expected


def test_where_nobody_is_left_a_rank_is_started_again_some_times() -> None:
    course = Course(partitions=2, ranks=1)
    for _ in range(3):
        course.join(0)
        course.obey(0), course.obey(0)
        course.coordinator.lost(0, "out of memory")
    assert course.replaced == [0, 0, 0]
    course.join(0)
    with pytest.raises(Problem) as caught:
        course.coordinator.lost(0, "out of memory")
    assert caught.value.code == "ranks_lost"
    assert caught.value.evidence[-1] == "rank 0: out of memory"


def test_a_rank_that_is_lost_while_sums_are_added_up_restarts_the_collective() -> None:
    course = Course(partitions=3, ranks=3)
    course.join(0, 1, 2)
    while course.coordinator.phase is not Phase.REDUCING:
        for rank in range(3):
            course.obey(rank)
    course.sent[0] = [m for m in course.sent[0] if m["t"] == "reduce"]
    course.coordinator.lost(0, "it was killed")
    course.run(1, 2)
    assert course.coordinator.done
    assert course.coordinator.generation == 1
    assert course.abandoned == 1
    assert course.coordinator.total[0] == course.expected


def test_collectives_that_fail_again_and_again_are_done_by_the_runs_own_connection() -> None:
    course = Course(partitions=2, ranks=2, backend="gloo")
    course.join(0, 1)
    for generation in range(3):
        for rank in (0, 1):
            assert course.sent[rank].pop()["backend"] == "gloo"
            course.say(rank, t="failed", generation=generation, why="no route")
    assert course.sent[0][-1]["backend"] == "channel"
    course.run(0, 1)
    assert course.coordinator.done
    assert course.coordinator.total[0] == course.expected
    assert course.coordinator.report()["collective_failures"] == ["rank 1: no route"] * 3


def test_a_problem_that_a_rank_names_ends_the_execution() -> None:
    course = Course(partitions=2, ranks=2)
    course.join(0, 1)
    with pytest.raises(Problem, match="no GPU"):
        course.say(1, t="problem", code="no_gpu", message="no GPU", remedy="", evidence=[])


@settings(max_examples=60, deadline=None)
@given(
    partitions=st.integers(0, 12),
    ranks=st.integers(1, 6),
    seed=st.integers(0, 10_000),
    losses=st.integers(0, 5),
    backend=st.sampled_from(["channel", "gloo"]),
)
def test_whoever_is_lost_whenever_every_partition_counts_once(
    partitions: int, ranks: int, seed: int, losses: int, backend: str
) -> None:
    chance = Random(seed)  # noqa: S311
    course = Course(partitions, ranks, backend)
    coordinator = course.coordinator
    waiting = list(range(ranks))
    left = min(losses, ranks - 1)
    for _ in range(2000):
        if coordinator.done:
            break
        living = [member.rank for member in coordinator.living]
        if waiting and chance.random() < 0.3:
            rank = waiting.pop()
            if coordinator.members[rank].alive:
                course.join(rank)
        elif left and chance.random() < 0.05:
            left -= 1
            coordinator.lost(chance.choice(living), "it was killed")
        else:
            course.obey(chance.choice(living))
    assert coordinator.done
    assert sorted(course.handed_in) == list(range(partitions))
    if backend == "channel":
        assert math.isclose(coordinator.total[0], course.expected)
