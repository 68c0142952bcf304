"""The pages of a sweep of many runs: what they read and say does not grow with the runs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from calculations.models import Calculation, Dataset, Quantity, Run
from calculations.states import RunState
from calculations.views import tables, tabs
from tests.calculations.factories import draft

pytestmark = pytest.mark.django_db


def swept(person: Any, count: int) -> Calculation:
    """A sweep whose runs are all valid, but the last."""
    values = [float(i) for i in range(count)]
    made = draft(person, software="noop", sweep={"parameter": "value", "values": values})
    Calculation.objects.filter(pk=made.pk).update(state="valid", run_count=count)
    runs = Run.objects.bulk_create(
        Run(calculation=made, index=i, point=[value], state=RunState.VALID, main_value=value)
        for i, value in enumerate(values)
    )
    Run.objects.filter(pk=runs[-1].pk).update(state=RunState.NOT_VALID)
    place = {"calculation": made, "unit": "eV"}
    Quantity.objects.bulk_create(
        Quantity(run=run, name=name, label=name.title(), number=run.index + shift, **place)
        for run in runs
        for shift, name in enumerate(("gap", "width"))
    )
    columns = [{"name": "x", "label": "Of run", "unit": "", "values": []}]
    Dataset.objects.bulk_create(
        Dataset(
            calculation=made,
            run=run,
            name="some",
            label="Some",
            kind="table",
            columns=[{**columns[0], "values": [f"of run {run.index + 1}."]}],
        )
        for run in runs
    )
    return Calculation.objects.get(pk=made.pk)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabs, "MOST_RUNS", 9)


def test_of_many_runs_the_results_say_from_where_to_where(ada: Any) -> None:
    table = tables.summary(swept(ada, 12), 11)
    assert [head for head, _ in table.heads] == ["Unit", "Lowest", "Mean", "Highest", "Runs"]
    assert [row for _, row in table.rows] == [
        ["eV", "0", "5", "10", "11"],
        ["eV", "1", "6", "11", "11"],
    ]


def test_of_few_runs_the_results_show_each(ada: Any) -> None:
    made = swept(ada, 4)
    table = tables.quantity_table(made, list(made.runs.filter(state=RunState.VALID)))
    assert table is not None
    assert [(head["number"], row) for head, row in table.rows] == [
        (1, ["0", "1"]),
        (2, ["1", "2"]),
        (3, ["2", "3"]),
    ]


@pytest.mark.parametrize("tab", ["", "results/"])
def test_the_queries_of_a_page_do_not_grow_with_the_runs(
    few: None, ada: Any, client: Any, tab: str
) -> None:
    client.force_login(ada)
    counts = set()
    for runs in (70, 140):
        address = f"/calculations/{swept(ada, runs).pk}/{tab}"
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(address)
        assert answer.status_code == 200
        counts.add(len(captured))
    assert len(counts) == 1


def test_the_results_show_tables_of_one_run_alone(few: None, ada: Any, client: Any) -> None:
    client.force_login(ada)
    made = swept(ada, 12)
    page = client.get(f"/calculations/{made.pk}/results/").content.decode()
    assert "of 11 valid runs, each of them in CSV and JSON" in page
    assert "of run 11." in page
    assert "of run 10." not in page
    page = client.get(f"/calculations/{made.pk}/results/?run=3").content.decode()
    assert "of run 3." in page
    assert "of run 11." not in page
