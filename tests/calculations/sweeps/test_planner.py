"""Any sweep that is accepted makes each of its points once, and each chain begins somewhere."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.registry import get_software
from calculations.sweeps.planner import chain_depth, count_of, plan, points_of
from calculations.sweeps.ranges import MAX_RUNS, range_of
from calculations.sweeps.reading import InvalidSweep, asked_form, read_sweep

SIESTA = get_software("siesta")
PARAMETERS = SIESTA.check({})

numbers = st.floats(-4, 4, allow_nan=False).map(lambda x: round(x, 6) + 0.0)
FIELD = st.fixed_dictionaries(
    {
        "parameter": st.just("field"),
        "direction": st.sampled_from([[0, 0, 1], [1, 1, 0], "0 1 0"]),
        "values": st.lists(numbers, min_size=1, max_size=6, unique=True),
    }
)
CHARGE = st.fixed_dictionaries(
    {
        "parameter": st.just("charge"),
        "values": st.lists(numbers, min_size=1, max_size=5, unique=True),
    }
)
CUTOFF = st.fixed_dictionaries(
    {
        "parameter": st.just("mesh_cutoff"),
        "from": st.floats(20, 200),
        "to": st.floats(201, 3000),
        "points": st.integers(1, 8),
        "spacing": st.sampled_from(["linear", "log"]),
    }
)
ROTATION = st.fixed_dictionaries(
    {
        "parameter": st.just("rotation"),
        "values": st.lists(st.integers(-180, 180), min_size=1, max_size=4, unique=True),
        "axis": st.sampled_from([[0, 0, 1], [1, 2, 3]]),
        "about": st.sampled_from(["centre", "mass", [0, 0, 1.5]]),
        "atoms": st.sampled_from(["all", "2-3", "1"]),
    }
)
axes = st.lists(
    st.sampled_from([FIELD, CHARGE, CUTOFF, ROTATION]), min_size=1, max_size=4, unique=True
).flatmap(lambda chosen: st.tuples(*chosen))


@st.composite
def sweeps(draw: Any) -> dict[str, Any]:
    chosen = list(draw(axes))
    if draw(st.booleans()):
        return {"axes": chosen, "mode": "independent"}
    return {
        "axes": chosen,
        "mode": "chain",
        "along": draw(st.integers(0, len(chosen) - 1)),
        "direction": draw(st.sampled_from(["forward", "backward"])),
    }


def read(said: dict[str, Any]) -> dict[str, Any]:
    return read_sweep(SIESTA, said, find=lambda _: [])


@settings(max_examples=60, deadline=None)
@given(sweeps())
def test_each_point_is_made_once(said: dict[str, Any]) -> None:
    sweep = read(said)
    points = [point for point, _ in points_of(sweep)]
    assert len(points) == len(set(points)) == count_of(sweep)
    assert count_of(sweep) == math.prod(len(axis["values"]) for axis in sweep["axes"])


@settings(max_examples=60, deadline=None)
@given(sweeps())
def test_every_run_reaches_the_start_of_its_line(said: dict[str, Any]) -> None:
    sweep = read(said)
    points = points_of(sweep)
    along = sweep.get("along")
    for index, (point, before) in enumerate(points):
        steps = 0
        while before is not None:
            assert before < index, "a run is numbered after the one that it continues"
            other, earlier = points[before]
            differing = [
                i for i, pair in enumerate(zip(point, other, strict=True)) if len(set(pair)) > 1
            ]
            assert differing == [along], "it differs on the axis of the chain alone"
            index, point, before, steps = before, other, earlier, steps + 1
        assert steps < chain_depth(sweep)
        if along is not None:
            values = sweep["axes"][along]["values"]
            assert point[along] == values[0 if sweep["direction"] == "forward" else -1]


@settings(max_examples=60, deadline=None)
@given(sweeps())
def test_what_is_stored_can_be_asked_for_again(said: dict[str, Any]) -> None:
    sweep = read(said)
    again = {**sweep, "axes": [asked_form(axis) for axis in sweep["axes"]]}
    assert read(again) == sweep
    assert read(sweep) == sweep


@settings(max_examples=25, deadline=None)
@given(sweeps())
def test_the_runs_hold_what_their_points_say(said: dict[str, Any]) -> None:
    sweep = read(said)
    try:
        runs = plan(SIESTA, PARAMETERS, sweep)
    except InvalidSweep as error:
        assert "closer than" in str(error), "only atoms that meet are a reason"
        return
    names = [axis["parameter"] for axis in sweep["axes"]]
    for run in runs:
        place = dict(zip(names, run.point, strict=True))
        if "field" in place:
            size = math.hypot(*(run.parameters[f"field_{axis}"] for axis in "xyz"))
            assert size == pytest.approx(abs(place["field"]), abs=1e-9)
        if "charge" in place:
            assert run.parameters["charge"] == place["charge"]
        assert ("structure" in run.parameters) == ("rotation" in place)


@given(
    st.floats(1e-3, 1e3),
    st.floats(1.001, 1e3),
    st.integers(2, 50),
    st.sampled_from(["linear", "log"]),
)
def test_a_range_is_recognised(first: float, factor: float, points: int, spacing: str) -> None:
    said = {"parameter": "mesh_cutoff", "from": 20.0, "to": 20 + factor, "points": points}
    values = read({**said, "spacing": spacing})["axes"][0]["values"]
    found = range_of(values)
    assert found is not None
    assert found[:3] == (20.0, 20 + factor, points)


@pytest.mark.parametrize("points", [10**6, 10**9, "1e300", "inf", "nan", 0, -3, 2.5, None, True])
def test_impossible_numbers_of_points_are_refused_at_once(points: Any) -> None:
    with pytest.raises(InvalidSweep) as caught:
        read({"parameter": "charge", "from": 0, "to": 1, "points": points})
    assert set(caught.value.errors) == {"sweep.points"}


@pytest.mark.parametrize(
    ("axis", "field", "words"),
    [
        ({"values": [1, 1.0]}, "values", "twice"),
        ({"values": [float("inf")]}, "values", "finite"),
        ({"values": "1 x"}, "values", "not a number"),
        ({"values": [900]}, "values", "largest"),
        ({"values": [True]}, "values", "true or false"),
        ({"values": [None]}, "values", "empty"),
        ({"values": []}, "values", "at least one"),
        ({"values": "1 " * 30_000}, "values", "too long"),
        ({"from": 2, "to": 1, "points": 3}, "to", "swap"),
        ({"from": 1, "to": 1, "points": 3}, "to", "equals"),
        ({"from": 0, "to": 1, "points": 3, "spacing": "log"}, "from", "above 0"),
        ({"from": 1, "to": 2, "points": 3, "spacing": "cubic"}, "spacing", "neither"),
        ({"from": "nan", "to": 2, "points": 3}, "from", "finite"),
        ({"from": 10**400, "to": 2, "points": 3}, "from", "number"),
    ],
)
def test_bad_values_are_named_with_the_remedy(axis: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidSweep) as caught:
        read({"axes": [{"parameter": "charge", **axis}]})
    assert set(caught.value.errors) == {f"sweep.axes.0.{field}"}
    assert words in caught.value.errors[f"sweep.axes.0.{field}"]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"axes": []}, "sweep.axes"),
        ({"axes": [{"parameter": "charge", "values": [1]}] * 5}, "sweep.axes"),
        ({"axes": [{"parameter": "charge", "values": [1]}] * 2}, "sweep.axes.1.parameter"),
        ({"axes": "charge"}, "sweep.axes"),
        ({"axes": [1]}, "sweep.axes"),
        ({"axes": [{"parameter": ["x"]}]}, "sweep.axes.0.parameter"),
        ({"axes": [{"parameter": "structure", "structures": [1]}]}, "sweep.axes.0.structures"),
        ({"axes": [{"parameter": "structure"}]}, "sweep.axes.0.structures"),
        (
            {"axes": [{"parameter": "rotation", "values": [1], "axis": [0, 0, 0]}]},
            "sweep.axes.0.axis",
        ),
        (
            {"axes": [{"parameter": "rotation", "values": [1], "atoms": "3-1"}]},
            "sweep.axes.0.atoms",
        ),
        (
            {"axes": [{"parameter": "rotation", "values": [1], "about": "home"}]},
            "sweep.axes.0.about",
        ),
        (
            {"axes": [{"parameter": "field", "values": [1], "direction": "up"}]},
            "sweep.axes.0.direction",
        ),
        (
            {"axes": [{"parameter": "field", "values": [9], "direction": "1 0 0"}]},
            "sweep.axes.0.values",
        ),
        ({"axes": [{"parameter": "spin", "values": ["up"]}]}, "sweep.axes.0.values"),
        ({"parameter": "charge", "values": [1], "mode": "chain", "along": 1}, "sweep.along"),
        ({"parameter": "charge", "values": [1], "mode": "chain", "along": "x"}, "sweep.along"),
        ({"parameter": "charge", "values": [1], "mode": "chain", "carry": ["../x"]}, "sweep.carry"),
        ({"parameter": "charge", "values": [1], "mode": "chain", "carry": [1]}, "sweep.carry"),
    ],
)
def test_what_cannot_be_planned_names_its_field(said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSweep) as caught:
        read(said)
    assert list(caught.value.errors) == [field]


def test_a_grid_beyond_the_limit_is_refused_before_it_is_made() -> None:
    many = {"from": 1, "to": 2, "points": MAX_RUNS}
    said = [{"parameter": name, **many} for name in ("charge", "field_x", "field_y", "field_z")]
    with pytest.raises(InvalidSweep, match=r"1,000,000,000,000 runs; at most 1,000"):
        read({"axes": said})


def test_the_field_and_its_component_do_not_vary_together() -> None:
    field = {"parameter": "field", "direction": [1, 0, 0], "values": [0, 1]}
    with pytest.raises(InvalidSweep, match="field_x, which field varies already"):
        read({"axes": [field, {"parameter": "field_x", "values": [0, 1]}]})
