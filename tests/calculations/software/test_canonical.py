"""The digest of results: the same after whatever storing does to them, another after any change."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.canonical import (
    MAX_LABEL,
    MAX_TEXT,
    not_finite,
    results_sha256,
    stored_value,
)


def results(value: Any = -1.5, *, values: Any = (1.0, 2.0), **of_quantity: Any) -> dict[str, Any]:
    quantity = {"name": "gap", "label": "Gap", "value": value, "unit": "eV", **of_quantity}
    column = {"name": "energy", "label": "Energy", "unit": "eV", "values": list(values)}
    dataset = {"name": "scf", "label": "SCF", "kind": "series", "columns": [column]}
    return {"quantities": [quantity], "datasets": [dataset]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (results(2), results(2.0)),
        (results(-0.0), results(0.0)),
        (results(values=[1, 2]), results(values=[1.0, 2.0])),
        (results(values=[1e22]), results(values=[10**22])),
        (results(values=[math.nan, 1]), results(values=[None, 1])),
        (results("x" * 501), results("x" * 500)),
        (results(label="é" * 200), results(label="é" * MAX_LABEL)),
        (results("a\0b"), results("ab")),
        (results(math.inf), {**results(), "quantities": []}),
    ],
)
def test_what_storing_makes_alike_has_one_digest(one: Any, other: Any) -> None:
    assert results_sha256(one) == results_sha256(other)


@pytest.mark.parametrize(
    "other",
    [
        results(-1.5000000000000002),
        results(-1.5, unit="Ha"),
        results(-1.5, name="gaps"),
        results(True),
        results("-1.5"),
        results(values=[1.0, 2.0000000000000004]),
        results(values=[2.0, 1.0]),
        results(values=[1.0, None]),
        {**results(), "datasets": []},
    ],
)
def test_any_other_change_has_another(other: Any) -> None:
    assert results_sha256(results()) != results_sha256(other)


def test_truth_is_no_number() -> None:
    assert results_sha256(results(True)) != results_sha256(results(1))
    assert stored_value(True) is True


def test_the_order_does_not_count() -> None:
    one = results()
    two = {**one, "quantities": [*one["quantities"], *results(3.0, name="a")["quantities"]]}
    assert results_sha256(two) == results_sha256({**two, "quantities": two["quantities"][::-1]})


def test_a_number_beyond_all_floats_is_left_out() -> None:
    assert stored_value(10**400) is None
    assert results_sha256(results(10**400)) == results_sha256({**results(), "quantities": []})


@given(
    st.one_of(st.floats(), st.integers(), st.booleans(), st.text(max_size=MAX_TEXT + 20)),
    st.lists(st.one_of(st.none(), st.floats(), st.integers(), st.text()), max_size=5),
)
def test_it_survives_json(value: Any, values: list[Any]) -> None:
    document = results(value, values=values)
    try:
        there = json.loads(json.dumps(document, allow_nan=True))
    except ValueError:
        return
    assert results_sha256(there) == results_sha256(document)


def test_what_is_not_finite_is_named() -> None:
    assert not_finite(results(math.nan, values=[1.0, -math.inf])) == ["gap", "scf.energy"]
    assert not_finite(results()) == []
