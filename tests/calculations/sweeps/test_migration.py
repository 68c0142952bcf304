"""Sweeps that were stored before there were axes."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from calculations.models import Calculation, Run
from calculations.services.sweeps import axes_of
from tests.calculations.factories import draft

migration = import_module("calculations.migrations.0012_sweep_axes")
APPS: Any = SimpleNamespace(
    get_model=lambda app, name: {"Calculation": Calculation, "Run": Run}[name]
)

pytestmark = pytest.mark.django_db
CHAIN = {"parameter": "value", "values": [0.5, 2.0], "mode": "chain", "carry": ["state.txt"]}


def old(actor: Any, sweep: dict[str, Any], runs: int = 2) -> Calculation:
    made = draft(actor)
    Calculation.objects.filter(pk=made.pk).update(sweep=sweep)
    Run.objects.bulk_create(
        Run(calculation=made, index=i, parameters={"value": sweep["values"][i]})
        for i in range(runs)
    )
    return made


def test_a_chain_becomes_one_axis_and_its_runs_learn_their_place(ada: Any) -> None:
    made = old(ada, CHAIN)
    migration.forward(APPS, None)
    made.refresh_from_db()
    assert made.sweep == {
        "axes": [{"parameter": "value", "values": [0.5, 2.0]}],
        "mode": "chain",
        "along": 0,
        "direction": "forward",
        "carry": ["state.txt"],
    }
    assert [run.point for run in made.runs.order_by("index")] == [[0.5], [2.0]]
    assert axes_of(made)[0].values == (0.5, 2.0)


def test_it_may_run_twice_and_backwards(ada: Any) -> None:
    chain, side = old(ada, CHAIN), old(ada, {**CHAIN, "mode": "independent"}, runs=0)
    migration.forward(APPS, None)
    migration.forward(APPS, None)
    migration.backward(APPS, None)
    chain.refresh_from_db()
    side.refresh_from_db()
    assert chain.sweep == CHAIN
    assert side.sweep == {"parameter": "value", "values": [0.5, 2.0], "mode": "independent"}
