"""Calculations side by side: alignment, units, differences, overlaid charts, who sees what."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from calculations.comparison.asked import Asked, read
from calculations.comparison.overlay import overlaid
from calculations.comparison.table import Line, sections
from calculations.models import Calculation, Dataset, Quantity, Run
from labportal.common.errors import InvalidInput
from tests.calculations.factories import draft
from tests.calculations.recorded import water_sweep
from tests.calculations.rest import api
from tests.calculations.test_pages import as_person, page
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

HARTREE = 27.211386245988


def valid(person: Any, name: str, energy: float, unit: str = "eV", **columns: Any) -> Calculation:
    made = draft(person, name=name)
    Calculation.objects.filter(pk=made.pk).update(state="valid", **columns)
    run = Run.objects.create(calculation=made, index=0, state="valid")
    values = {"calculation": made, "run": run}
    Quantity.objects.create(
        name="total_energy", label="Total energy", number=energy, unit=unit, **values
    )
    return Calculation.objects.get(pk=made.pk)


def line(name: str, *calculations: Calculation, reference: int = 0) -> Line:
    key = calculations[reference].pk
    compared = sections(list(calculations), key)
    return next(one for section in compared for one in section.lines if one.name == name)


def test_parameters_that_differ_come_with_their_difference(ada: Any) -> None:
    one, two = valid(ada, "One", 1.0), valid(ada, "Two", 1.0)
    Calculation.objects.filter(pk=two.pk).update(parameters={**one.parameters, "value": 2.5})
    two.refresh_from_db()
    found = line("value", one, two)
    assert found.differs and found.cells[1].words == "2.5"
    assert found.cells[1].difference.startswith("+")
    same = next(s for s in sections([one, two], one.pk) if s.name == "parameters").same
    assert "value" not in {known.name for known in same}


def test_what_only_one_program_has_is_told_apart(ada: Any) -> None:
    one, two = valid(ada, "One", 1.0), valid(ada, "Two", 1.0)
    Calculation.objects.filter(pk=two.pk).update(parameters={**two.parameters, "own": 1})
    two.refresh_from_db()
    section = next(s for s in sections([one, two], one.pk) if s.name == "parameters")
    assert [known.name for known in section.partial] == ["own"]
    assert "own" not in {known.name for known in [*section.differing, *section.same]}


def test_results_stand_in_the_unit_of_the_reference(ada: Any) -> None:
    one, two = valid(ada, "One", -465.8), valid(ada, "Two", -17.0, "Ha")
    found = line("total_energy", one, two)
    assert found.unit == "eV" and found.cells[1].value == pytest.approx(-17.0 * HARTREE)
    assert found.cells[1].delta == pytest.approx(-17.0 * HARTREE + 465.8)
    assert found.cells[1].difference.startswith("+") and found.cells[0].difference == ""
    turned = line("total_energy", one, two, reference=1)
    assert turned.unit == "Ha" and turned.cells[0].difference.startswith("−")


def test_what_cannot_be_converted_keeps_its_unit_and_has_no_difference(ada: Any) -> None:
    one, two = valid(ada, "One", -465.8), valid(ada, "Two", 3.0, "kg")
    cell = line("total_energy", one, two).cells[1]
    assert (cell.unit, cell.words, cell.delta, cell.difference) == ("kg", "3", None, "")


def test_a_result_that_one_lacks_is_told_apart_from_zero(ada: Any) -> None:
    one, two = valid(ada, "One", -465.8), draft(ada, name="Draft")
    cell = line("total_energy", one, two).cells[1]
    assert (cell.words, cell.value, cell.delta) == ("–", None, None)


def test_a_calculation_of_software_that_is_gone_is_compared(ada: Any) -> None:
    one = valid(ada, "One", -465.8)
    two = valid(ada, "Gone", -460.0, software="gone")
    assert "not installed" in line("software", one, two).cells[1].words
    assert line("total_energy", one, two).cells[1].delta == pytest.approx(5.8)
    assert page(as_person(ada), "calculation-compare", id=[one.pk, two.pk])


def test_sweeps_are_laid_over_each_other_against_their_axis(ada: Any, root: Any) -> None:
    one = water_sweep(ada, root)
    two = copy_of(one)
    figures = overlaid([one, two])
    field = [f for f in figures if "field" in f["x"]["label"].lower()]
    assert field
    for figure in field:
        names = [series["label"].split()[0] for series in figure["y"]]
        assert names == [one.number, two.number]
        assert figure["y"][0]["values"] and len(figure["y"][0]["x"]) > 1


def copy_of(source: Calculation) -> Calculation:
    """The same with all that was found, under another number."""
    made = Calculation.objects.get(pk=source.pk)
    made.pk, made.name = None, "Again"
    made._state.adding = True
    made.save()
    runs = {}
    for run in source.runs.order_by("index"):
        old = run.pk
        run.pk, run._state.adding = None, True
        run = Run(
            calculation=made,
            index=run.index,
            point=run.point,
            state=run.state,
            main_value=run.main_value,
            parameters=run.parameters,
        )
        run.save()
        runs[old] = run
    for row in Dataset.objects.filter(calculation=source):
        row.run = runs[row.run_id] if row.run_id else None
        row.pk, row.calculation, row.analysis = None, made, None
        row._state.adding = True
        row.save()
    return made


def test_the_page_says_what_differs_and_works_without_scripts(ada: Any) -> None:
    one, two = valid(ada, "Wide", -465.8), valid(ada, "Narrow", -465.0)
    text = page(as_person(ada), "calculation-compare", id=[one.pk, two.pk])
    assert "Total energy" in text and "+0.8" in text and "as reference" in text
    address = f"id={one.pk}&amp;id={two.pk}&amp;ref={two.pk}"
    assert address in text


def test_one_adds_by_number_and_is_told_what_is_wrong(ada: Any, eve: Any) -> None:
    one, two = valid(ada, "Wide", -465.8), valid(ada, "Narrow", -465.0)
    browser, address = as_person(ada), reverse("calculation-compare")
    answer = browser.get(address, {"id": one.pk, "add": two.number})
    assert answer.status_code == 302 and answer.url == f"{address}?id={one.pk}&id={two.pk}"
    wrong = browser.get(address, {"id": one.pk, "add": "water"})
    assert wrong.status_code == 400 and "write C-12 or 12" in wrong.content.decode()
    missing = browser.get(address, {"id": one.pk, "add": "C-999999"})
    assert missing.status_code == 400 and "no calculation C-999999" in missing.content.decode()


def test_related_ones_are_offered(ada: Any) -> None:
    one = valid(ada, "Wide", -465.8)
    two = valid(ada, "Copy", -465.0, copied_from=one)
    assert f"id={one.pk}&amp;id={two.pk}" in page(as_person(ada), "calculation-compare", id=one.pk)


def test_what_is_not_ones_own_to_see_is_not_there(ada: Any, eve: Any) -> None:
    private = ProjectFactory(private=True, members=[ada])
    one, two = valid(ada, "One", 1.0), valid(ada, "Two", 1.0, project=private)
    address = reverse("calculation-compare")
    assert as_person(ada).get(address, {"id": [one.pk, two.pk]}).status_code == 200
    assert as_person(eve).get(address, {"id": [one.pk, two.pk]}).status_code == 404
    for name in ("api-comparison", "api-comparison-csv"):
        assert api(eve).get(reverse(name), {"id": [one.pk, two.pk]}).status_code == 404


def test_queries_are_as_many_for_two_as_for_twelve(ada: Any) -> None:
    many = [valid(ada, f"Number {n}", float(n)) for n in range(12)]
    browser = as_person(ada)

    def count(rows: list[Calculation]) -> int:
        cache.clear()
        with CaptureQueriesContext(connection) as queries:
            page(browser, "calculation-compare", id=[one.pk for one in rows])
        return len(queries)

    count(many[:2])
    assert count(many[:2]) == count(many)


def test_the_interface_gives_values_differences_and_charts(ada: Any) -> None:
    one, two = valid(ada, "One", -465.8), valid(ada, "=Two", -17.0, "Ha")
    answer = api(ada).get(reverse("api-comparison"), {"id": [one.pk, two.pk]}).json()
    lines = {x["name"]: x for section in answer["sections"] for x in section["lines"]}
    assert lines["total_energy"]["values"][1] == pytest.approx(-17.0 * HARTREE)
    assert lines["total_energy"]["differences"][0] == 0.0
    table = api(ada).get(reverse("api-comparison-csv"), {"id": [one.pk, two.pk]})
    assert "total_energy,Total energy,eV,-465.8" in table.content.decode()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"id": "1"}, "at least 2"),
        ({"id": "x"}, "write C-12"),
        ({"id": [str(n) for n in range(1, 30)]}, "At most 20"),
    ],
)
def test_the_interface_refuses_by_field(ada: Any, asked: dict[str, Any], words: str) -> None:
    answer = api(ada).get(reverse("api-comparison"), asked)
    assert answer.status_code == 400 and words in str(answer.json())


def test_the_address_is_the_state() -> None:
    asked = read(["3", "C-1", "2", "3"], {"ref": "2"})
    assert asked == Asked((3, 1, 2), 2)
    assert asked.query() == "id=3&id=1&id=2&ref=2"
    assert asked.before(1).ids == (1, 3, 2)
    assert asked.without(2) == Asked((3, 1), 3)
    with pytest.raises(InvalidInput):
        read(["1" * 30], {})


def test_the_list_leads_to_the_comparison_of_the_chosen(ada: Any) -> None:
    one, two = valid(ada, "One", 1.0), valid(ada, "Two", 2.0)
    answer = as_person(ada).post(
        reverse("calculation-bulk"), {"verb": "compare", "id": [one.pk, two.pk]}
    )
    assert answer.url == f"{reverse('calculation-compare')}?id={one.pk}&id={two.pk}"
