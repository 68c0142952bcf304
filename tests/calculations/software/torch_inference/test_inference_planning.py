"""Who does what, and how many ranks are cheapest for a deadline."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.torch_inference.program.planning import (
    cheapest,
    node_of,
    spread,
    write_plan,
)


@given(count=st.integers(0, 500), ranks=st.integers(1, 200))
def test_each_partition_has_one_rank_and_shares_differ_by_one_at_most(
    count: int, ranks: int
) -> None:
    shares = spread(count, ranks)
    assert [index for share in shares for index in share] == list(range(count))
    sizes = [len(share) for share in shares]
    assert len(sizes) == ranks
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


def test_shares_are_those_of_the_published_system() -> None:
    assert spread(5, 2) == [[0, 1, 2], [3, 4]]
    assert spread(2, 4) == [[0], [1], [], []]


@given(ranks=st.integers(1, 300), nodes=st.integers(1, 20))
def test_neighbours_share_a_node_and_nodes_are_filled_evenly(ranks: int, nodes: int) -> None:
    places = [node_of(rank, ranks, nodes) for rank in range(ranks)]
    assert places == sorted(places)
    assert set(places) <= set(range(nodes))
    used = [places.count(node) for node in set(places)]
    assert max(used) - min(used) <= 1


SAMPLES = [1000] * 8


def test_few_ranks_are_cheapest_where_there_is_time() -> None:
    assert cheapest(SAMPLES, 8, 100.0, 5.0, 1000.0)["ranks"] == 1
    assert cheapest(SAMPLES, 8, 100.0, 5.0, 60.0)["ranks"] == 2
    assert cheapest(SAMPLES, 8, 100.0, 5.0, 20.0)["ranks"] == 8


def test_a_deadline_that_nobody_keeps_is_said_and_the_quickest_is_taken() -> None:
    chosen = cheapest(SAMPLES, 4, 100.0, 5.0, 10.0)
    assert (chosen["ranks"], chosen["kept"]) == (4, False)


def test_ranks_beyond_the_partitions_are_never_taken() -> None:
    assert cheapest([1000], 8, 100.0, 1.0, 5.0)["ranks"] == 1


@given(
    samples=st.lists(st.integers(1, 5000), min_size=1, max_size=40),
    most=st.integers(1, 30),
    rate=st.floats(1, 1000),
    deadline=st.floats(1, 1000),
)
def test_no_cheaper_number_of_ranks_keeps_the_deadline(
    samples: list[int], most: int, rate: float, deadline: float
) -> None:
    chosen = cheapest(samples, most, rate, 2.0, deadline)
    mine = next(item for item in chosen["weighed"] if item["ranks"] == chosen["ranks"])
    for other in chosen["weighed"]:
        if chosen["kept"] and other["seconds"] <= deadline:
            assert mine["cost"] <= other["cost"]
        if not chosen["kept"]:
            assert mine["seconds"] <= other["seconds"]


def test_a_plan_is_written_once(tmp_path: Path) -> None:
    digest = write_plan(tmp_path, {"world_size": 2})
    path = tmp_path / "plan.json"
    assert len(digest) == 64
    assert json.loads(path.read_text()) == {"world_size": 2}
    assert not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    with pytest.raises(FileExistsError):
        write_plan(tmp_path, {"world_size": 3})
