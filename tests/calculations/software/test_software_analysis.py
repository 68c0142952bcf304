"""The shared mathematics of plug-ins: swept parameters, fitted lines, thinning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.analysis import (
    AXES,
    against_sweep,
    complete_pairs,
    linear_fit,
    swept_parameter,
    swept_parameters,
    thin,
)
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Quantity, Results


def run(energy=None, **parameters):
    quantities = () if energy is None else (Quantity("energy", "Energy", energy, "eV"),)
    return parameters, Results(quantities)


def test_the_swept_parameter_is_the_number_that_differs():
    runs = [run(cutoff=100.0, label="a", flag=True), run(cutoff=200.0, label="b", flag=False)]
    swept = swept_parameter(runs)
    assert (swept.name, swept.values) == ("cutoff", (100.0, 200.0))


def test_two_swept_parameters_are_a_grid():
    runs = [run(x=1, y=1), run(x=2, y=1), run(x=1, y=2)]
    assert swept_parameter(runs) is None
    assert [swept.name for swept in swept_parameters(runs)] == ["x", "y"]


@pytest.mark.parametrize("runs", [[], [run(x=1)], [run(x=1), run(x=1)], [run(x="a"), run(x="b")]])
def test_nothing_was_swept(runs):
    assert swept_parameter(runs) is None
    assert against_sweep(runs, ["energy"], name="e", label="E") is None


def test_a_sweep_becomes_a_series_in_rising_order():
    runs = [run(-2.0, n=3), run(-1.0, n=1), run(None, n=2)]
    form = [Parameter("n", "Number", Kind.INTEGER, unit="Ry")]
    table = against_sweep(runs, ["energy", "absent"], name="e", label="E", parameters=form)
    assert table.kind == "series"
    assert [column.name for column in table.columns] == ["swept", "energy"]
    assert (table.columns[0].label, table.columns[0].unit) == ("Number", "Ry")
    assert table.columns[0].values == (1, 2, 3)
    assert table.columns[1].values == (-1.0, None, -2.0)
    assert complete_pairs(table, "swept", "energy") == ([1.0, 3.0], [-1.0, -2.0])


def test_a_grid_becomes_a_table():
    runs = [run(1.0, x=2, y=1), run(2.0, x=1, y=2), run(3.0, x=1, y=1)]
    table = against_sweep(runs, ["energy"], name="e", label="E")
    assert table.kind == "table"
    assert [column.values for column in table.columns] == [(1, 1, 2), (1, 2, 1), (3.0, 2.0, 1.0)]


def test_a_line_is_found_exactly():
    fit = linear_fit([0, 1, 2, 3], [1, 3, 5, 7])
    assert (fit.slope, fit.intercept, fit.r2) == (2.0, 1.0, 1.0)
    assert fit.slope_error == pytest.approx(0.0, abs=1e-12)
    assert fit.at(10) == 21.0


def test_the_standard_error_is_that_of_the_textbook():
    fit = linear_fit([1, 2, 3, 4, 5], [2.0, 4.1, 5.9, 8.2, 9.8])
    assert fit.slope == pytest.approx(1.97)
    assert fit.slope_error == pytest.approx((0.091 / 3 / 10) ** 0.5)
    assert 0.99 < fit.r2 < 1.0


def test_two_points_have_no_error_and_one_no_line():
    assert linear_fit([0, 1], [0, 1]).slope_error is None
    assert linear_fit([0], [0]) is None
    assert linear_fit([1, 1], [0, 2]) is None
    assert linear_fit([0, float("nan")], [0, 2]) is None
    with pytest.raises(ValueError, match="2 values of x, 1 of y"):
        linear_fit([0, 1], [0])


@given(
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
    st.lists(st.integers(-50, 50), min_size=3, unique=True),
)
def test_any_line_is_found_again(slope, intercept, x):
    fit = linear_fit(x, [slope * value + intercept for value in x])
    assert fit.slope == pytest.approx(slope, abs=1e-6)
    assert fit.intercept == pytest.approx(intercept, abs=1e-5)


def test_axes_that_are_told_go_before_parameters_that_differ():
    def turned(angle, text):
        axis = {"name": "rotation", "label": "Rotation", "unit": "°", "value": angle}
        return {"structure": text, "tilt": angle / 7, AXES: [axis]}, run(-angle)[1]

    runs = [turned(30.0, "b"), turned(0.0, "a")]
    assert swept_parameter(runs).name == "rotation"
    table = against_sweep(runs, ["energy"], name="e", label="E")
    assert (table.columns[0].label, table.columns[0].unit) == ("Rotation", "°")
    assert table.columns[0].values == (0.0, 30.0)


def test_words_that_were_varied_stand_beside_the_numbers():
    axis = {"name": "functional", "label": "Functional", "unit": ""}
    runs = [({AXES: [{**axis, "value": v}]}, run(e)[1]) for v, e in (("PBE", 1.0), ("LDA", 2.0))]
    table = against_sweep(runs, ["energy"], name="e", label="E")
    assert (table.kind, table.columns[0].values) == ("table", ("LDA", "PBE"))
    assert swept_parameter(runs) is None


@given(st.lists(st.integers(), max_size=300), st.integers(2, 40))
def test_thinning_keeps_both_ends(items, limit):
    kept = thin(items, limit)
    assert len(kept) == min(len(items), limit)
    if items:
        assert (kept[0], kept[-1]) == (items[0], items[-1])
