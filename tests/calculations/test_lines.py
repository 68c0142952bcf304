"""Chains along one axis of a grid: each line on its own, some runs cancelled or run again."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation
from calculations.services import lifecycle
from calculations.services.sweeps import axes_of, plan_of
from labportal.common.errors import InvalidInput, WrongMoment
from tests.calculations.factories import draft, submitted
from tests.calculations.outcomes import end_runs, states_of
from tests.clusters.factories import cluster

pytestmark = pytest.mark.django_db
GRID = {
    "axes": [
        {"parameter": "value", "from": 0, "to": 2, "points": 3},
        {"parameter": "seconds", "values": [1, 2]},
    ],
    "mode": "chain",
    "along": 0,
    "carry": ["state.txt"],
}


@pytest.fixture
def metis() -> Any:
    return cluster()


@pytest.fixture
def grid(ada: Any) -> Calculation:
    """Runs 1, 3, 5 are one line and 2, 4, 6 the other."""
    return submitted(ada, sweep=GRID, walltime_s=60)


def test_each_line_begins_on_its_own(grid: Calculation) -> None:
    assert states_of(grid) == ["queued", "queued", "waiting", "waiting", "waiting", "waiting"]
    runs = list(grid.runs.order_by("index"))
    assert [run.point for run in runs[:3]] == [[0.0, 1.0], [0.0, 2.0], [1.0, 1.0]]
    assert [runs.index(r.predecessor) if r.predecessor else None for r in runs] == [
        None,
        None,
        0,
        1,
        2,
        3,
    ]
    assert runs[2].parameters == {"value": 1.0, "seconds": 1.0}


def test_a_chain_may_go_backward(ada: Any) -> None:
    made = draft(ada, sweep={**GRID, "direction": "backward"})
    runs = plan_of(made)
    assert [run.point[0] for run in runs if run.predecessor_index is None] == [2.0, 2.0]
    assert runs[2].point == (1.0, 1.0)


def test_a_broken_run_stops_only_its_own_line(grid: Calculation, metis: Any) -> None:
    end_runs(grid, metis, {1: "not_valid", 2: "valid"})
    assert states_of(grid) == ["not_valid", "valid", "skipped", "queued", "skipped", "waiting"]
    skipped = grid.runs.get(index=4)
    assert skipped.reason.startswith("run 1 is not valid")
    end_runs(grid, metis, {4: "valid"})
    end_runs(grid, metis, {6: "valid"})
    grid.refresh_from_db()
    assert grid.state == "not_valid"


def test_only_the_broken_line_is_run_again_while_the_other_goes_on(
    grid: Calculation, ada: Any, metis: Any
) -> None:
    end_runs(grid, metis, {1: "failed"})
    lifecycle.retry(grid, actor=ada, numbers=[1])
    assert states_of(grid) == ["queued", "queued", "waiting", "waiting", "waiting", "waiting"]
    assert grid.state == "queued"


def test_a_chosen_run_brings_what_it_continues(grid: Calculation, ada: Any, metis: Any) -> None:
    end_runs(grid, metis, {1: "valid", 2: "failed"})
    end_runs(grid, metis, {3: "not_valid"})
    assert states_of(grid) == ["valid", "failed", "not_valid", "skipped", "skipped", "skipped"]
    lifecycle.retry(grid, actor=ada, numbers=[5])
    assert states_of(grid) == ["valid", "failed", "queued", "skipped", "waiting", "skipped"]
    assert Calculation.objects.get().state == "queued"


def test_the_whole_is_run_again_from_the_last_valid_run_of_each_line(
    grid: Calculation, ada: Any, metis: Any
) -> None:
    end_runs(grid, metis, {1: "valid", 2: "failed"})
    end_runs(grid, metis, {3: "not_valid"})
    lifecycle.retry(grid, actor=ada)
    assert states_of(grid) == ["valid", "queued", "queued", "waiting", "waiting", "waiting"]


def test_what_is_valid_or_on_its_way_is_not_run_again(
    grid: Calculation, ada: Any, metis: Any
) -> None:
    end_runs(grid, metis, {1: "valid"})
    for number in (1, 2, 4):
        with pytest.raises(WrongMoment, match=f"Run {number} of"):
            lifecycle.retry(grid, actor=ada, numbers=[number])
    with pytest.raises(InvalidInput, match="no run 9"):
        lifecycle.retry(grid, actor=ada, numbers=[9])


def test_one_run_is_cancelled_with_the_rest_of_its_line(grid: Calculation, ada: Any) -> None:
    lifecycle.cancel(grid, actor=ada, numbers=[3])
    assert states_of(grid) == ["queued", "queued", "cancelled", "waiting", "skipped", "waiting"]
    assert grid.state == "queued"
    with pytest.raises(WrongMoment, match="ended"):
        lifecycle.cancel(grid, actor=ada, numbers=[3, 5])


def test_what_is_needed_for_names_has_labels(grid: Calculation) -> None:
    assert [(axis.name, axis.label, axis.values) for axis in axes_of(grid)] == [
        ("value", "Value", (0.0, 1.0, 2.0)),
        ("seconds", "Seconds of sleep", (1.0, 2.0)),
    ]
