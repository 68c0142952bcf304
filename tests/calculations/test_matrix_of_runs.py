"""The matrix of a sweep: which cells it has, which value they show, what a changed run says."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from calculations.matrix import HEATS, heat, matrix_of
from calculations.models import Calculation, Quantity, Run
from calculations.services import extension
from tests.calculations.factories import submitted
from tests.calculations.outcomes import end_runs
from tests.calculations.rest import api
from tests.clusters.factories import cluster

pytestmark = pytest.mark.django_db
GRID = {
    "axes": [
        {"parameter": "value", "values": [2, 0, 1]},
        {"parameter": "seconds", "values": [1, 2]},
        {"parameter": "program", "values": ["true", "sleep"]},
    ]
}


@pytest.fixture
def ada_browses(ada: Any, client: Client) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def metis() -> Any:
    return cluster()


@pytest.fixture
def grid(ada: Any, metis: Any) -> Calculation:
    made = submitted(ada, sweep=GRID, walltime_s=60)
    end_runs(made, metis, {1: "valid", 2: "valid", 3: "not_valid"})
    for number in (1, 2, 3):
        run = made.runs.get(index=number - 1)
        Quantity.objects.create(
            calculation=made, run=run, name="gap", label="Gap", unit="eV", number=float(number)
        )
    return made


def test_two_axes_are_drawn_and_the_third_is_fixed(grid: Calculation) -> None:
    found = matrix_of(grid, {})
    assert found.look == "table"
    assert (found.down.label, found.across.label) == ("Value", "Seconds of sleep")
    assert [head for head, _ in found.rows] == ["0", "1", "2"], "numbers rise, however asked"
    assert found.heads == ["1", "2"]
    assert [one.label for one in found.fixed] == ["Program"]
    assert len(found.cells) == 6
    assert found.total == 12


def test_the_axes_and_the_fixed_value_can_be_chosen(grid: Calculation) -> None:
    found = matrix_of(grid, {"down": "2", "across": "0", "at1": "1"})
    assert [head for head, _ in found.rows] == ["succeeds", "sleeps"]
    assert found.heads == ["0", "1", "2"]
    assert all("2 s" in cell.where for cell in found.cells)


@pytest.mark.parametrize(
    "asked",
    [
        {"down": "9"},
        {"down": "x", "across": "-1"},
        {"at2": "99"},
        {"of": "nothing"},
        {"down": "1", "across": "1"},
    ],
)
def test_nonsense_in_the_address_is_borne(grid: Calculation, asked: dict[str, str]) -> None:
    assert matrix_of(grid, asked).cells


def test_a_chosen_quantity_is_shown_of_valid_runs_alone(grid: Calculation) -> None:
    found = matrix_of(grid, {"of": "gap"})
    values = {cell.number: cell.value for cell in found.cells}
    assert values[1] == 1.0
    assert values[3] is None, "run 3 is not valid"
    assert found.quantity.unit == "eV"
    assert [q.name for q in found.quantities if q.chosen] == ["gap"]


def test_points_that_are_not_there_leave_a_gap(ada: Any, metis: Any) -> None:
    made = submitted(ada, sweep={"axes": GRID["axes"][:2]}, walltime_s=60)
    made.runs.filter(index=0).delete()
    found = matrix_of(made, {})
    assert sum(cell is None for _, cells in found.rows for cell in cells) == 1


def test_one_axis_is_a_line_in_rising_order(ada: Any) -> None:
    made = submitted(ada, sweep={"parameter": "value", "values": [3, 1, 2]}, walltime_s=60)
    extension.extend(made, [{"parameter": "value", "values": [0]}], actor=ada)
    found = matrix_of(made, {})
    assert found.look == "cards"
    assert [cell.where for cell in found.cells] == ["0", "1", "2", "3"]
    assert not found.fixed


def test_runs_that_know_no_place_are_listed(grid: Calculation) -> None:
    grid.runs.update(point=[])
    found = matrix_of(grid, {})
    assert len(found.cells) == 12
    assert found.cells[4].where == "run 5"


def test_shades_go_from_the_least_to_the_largest() -> None:
    assert [heat(v, (0.0, 1.0)) for v in (0.0, 0.5, 1.0)] == [1, 5, HEATS]
    assert heat(3.0, (3.0, 3.0)) == 1
    assert heat(None, (0.0, 1.0)) == 0


def test_the_interface_tells_the_cells_of_some_runs(grid: Calculation, ada: Any) -> None:
    path = f"/api/v1/calculations/{grid.pk}/cells/"
    found = api(ada).get(path, {"of": "gap", "runs": "1,3"}).json()["cells"]
    assert [(cell["number"], cell["state"], cell["value"]) for cell in found] == [
        (1, "valid", 1.0),
        (3, "not_valid", None),
    ]
    assert found[1]["why"]
    assert len(api(ada).get(path).json()["cells"]) == 12
    assert api(ada).get(path, {"runs": "../"}).status_code == 400


def test_the_page_costs_the_same_for_few_and_for_many_runs(
    ada: Any, ada_browses: Client, django_assert_max_num_queries: Any
) -> None:
    for count in (4, 400):
        sweep = {"parameter": "value", "from": 0, "to": 1, "points": count}
        made = submitted(ada, sweep=sweep, walltime_s=1)
        Run.objects.filter(calculation=made).update(state="valid", main_value=0.5)
        with django_assert_max_num_queries(24):
            assert ada_browses.get(made.get_absolute_url()).status_code == 200


def test_the_page_adds_points_after_showing_them(grid: Calculation, ada_browses: Client) -> None:
    path = f"/calculations/{grid.pk}/extend/"
    assert "Further values" in ada_browses.get(path).content.decode()
    text = ada_browses.post(path, {"values0": "5", "verb": "check"}).content.decode()
    assert "4 runs, at most" in text
    assert grid.runs.count() == 12
    wrong = ada_browses.post(path, {"values0": "nan", "verb": "add"})
    assert wrong.status_code == 400
    assert "finite" in wrong.content.decode()
    ada_browses.post(path, {"values0": "5", "verb": "add"})
    assert grid.runs.count() == 16


def test_chosen_runs_are_repeated_from_the_page(grid: Calculation, ada_browses: Client) -> None:
    ada_browses.post(f"/calculations/{grid.pk}/retry/", {"runs": "3"})
    assert grid.runs.get(index=2).state == "queued"
    ada_browses.post(f"/calculations/{grid.pk}/cancel/", {"runs": "4-5"})
    assert grid.runs.get(index=4).state == "cancelled"
    answer = ada_browses.post(f"/calculations/{grid.pk}/retry/", {"runs": "x"}, follow=True)
    assert "names no runs" in answer.content.decode()
