"""Results across calculations: columns in any unit, order, conditions, pages, who sees what."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from calculations.findings import rows as finding
from calculations.findings.asking import (
    Asked,
    Unreadable,
    read,
    read_column,
    read_condition,
)
from calculations.findings.catalogue import DEFAULTS, Kind, Level, catalogue
from calculations.models import Calculation, Quantity, Run, SavedFilter
from calculations.units import factor
from tests.calculations.factories import draft
from tests.calculations.rest import api
from tests.calculations.test_pages import as_person, page, post
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db

HARTREE = 27.211386245988


def valid(person: Any, *energies: float, unit: str = "eV", name: str = "Water", **more: Any):
    """A valid calculation with a run for each energy, and a gap of ten times the run's number."""
    made = draft(person, name=name, **more)
    Calculation.objects.filter(pk=made.pk).update(state="valid", run_count=len(energies))
    for index, energy in enumerate(energies):
        run = Run.objects.create(calculation=made, index=index, state="valid")
        add(made, run, "total_energy", energy, unit)
        add(made, run, "gap", 10.0 * (index + 1), "eV")
    made.refresh_from_db()
    cache.clear()
    return made


def add(calculation: Any, run: Any, name: str, value: float, unit: str) -> None:
    label = name.replace("_", " ").capitalize()
    Quantity.objects.create(
        calculation=calculation, run=run, name=name, label=label, number=value, unit=unit
    )


def ask(person: Any, text: str = "") -> finding.Page:
    asked = _asked(person, text)
    assert not asked.problems, asked.problems
    return finding.page(person, asked, after=QueryDict(text).get("after", ""))


def _asked(person: Any, text: str) -> Asked:
    query = QueryDict(text)
    return read(query.dict(), query.getlist("where"), catalogue(person))


def values(found: finding.Page) -> list[Any]:
    return [row.values[0] for row in found.rows]


def test_a_single_run_speaks_for_its_calculation_a_sweep_only_by_what_is_of_all_runs(ada):
    valid(ada, -1.0)
    sweep = valid(ada, -2.0, -3.0)
    add(sweep, None, "total_energy", -9.0, "eV")
    assert values(ask(ada, "columns=total_energy")) == [-9.0, -1.0]
    assert values(ask(ada, "columns=total_energy&per=run")) == [-2.0, -3.0, -1.0]


def test_the_same_quantity_in_other_units_is_one_column(ada):
    valid(ada, -27.0)
    valid(ada, -1.0, unit="Ha")
    found = ask(ada, "columns=total_energy:eV&sort=total_energy")
    assert values(found) == [pytest.approx(-HARTREE), -27.0]
    assert values(ask(ada, "columns=total_energy:Ha&sort=-total_energy")) == [
        pytest.approx(-27.0 / HARTREE),
        -1.0,
    ]


def test_what_cannot_be_turned_into_the_unit_is_left_out(ada):
    valid(ada, -27.0)
    valid(ada, -1.0, unit="a.u.")
    assert values(ask(ada, "columns=total_energy:eV")) == [None, -27.0]
    assert values(ask(ada, "columns=total_energy:eV&sort=total_energy")) == [-27.0]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("total_energy<-1.5 eV", [-2.0, -3.0]),
        ("total_energy>=-2 eV", [-2.0, -1.0]),
        ("total_energy=-3", [-3.0]),
        (f"total_energy<={-2 / HARTREE} Ha", [-2.0, -3.0]),
        ("gap>15", [-3.0]),
    ],
)
def test_conditions_hold_in_any_unit(ada, where, left):
    valid(ada, -1.0)
    valid(ada, -2.0, -3.0)
    query = f"columns=total_energy&per=run&where={where.replace('+', '%2B')}"
    assert values(ask(ada, query)) == left


def test_all_conditions_must_be_met(ada):
    valid(ada, -1.0, -2.0, -3.0)
    query = "columns=total_energy&per=run&where=gap>15&where=total_energy>-2.5"
    assert values(ask(ada, query)) == [-2.0]


@pytest.mark.parametrize("sort", ["", "total_energy", "-total_energy"])
@pytest.mark.parametrize("per", ["run", "calculation"])
def test_pages_hold_each_row_once_in_order(ada, sort, per):
    for number in range(7):
        valid(ada, float(number % 3))
    query = f"columns=total_energy&sort={sort}&per={per}"
    seen: list[Any] = []
    after = ""
    for _ in range(10):
        kinds = catalogue(ada)
        asked = read(dict(part.split("=") for part in query.split("&")), [], kinds)
        found = finding.page(ada, asked, after=after, size=3)
        seen += [(row.calculation.pk, row.values[0]) for row in found.rows]
        after = found.after
        if not after:
            break
    assert len({pk for pk, _ in seen}) == len(seen) == 7
    if sort:
        ordered = sorted((value for _, value in seen), reverse=sort.startswith("-"))
        assert [value for _, value in seen] == ordered
    else:
        assert [pk for pk, _ in seen] == sorted((pk for pk, _ in seen), reverse=True)


def test_what_others_keep_private_is_not_there(ada, eve):
    secret = ProjectFactory(private=True, members=[ada])
    valid(ada, -1.0, project=secret)
    valid(ada, -2.0)
    add(Calculation.objects.get(project=secret), None, "hidden", 1.0, "eV")
    cache.clear()
    assert values(ask(eve, "columns=total_energy&per=run")) == [-2.0]
    assert "hidden" not in catalogue(eve)
    assert api(eve).get(reverse("api-result-list"), {"columns": "hidden"}).status_code == 400


def test_what_is_not_valid_or_was_retracted_is_no_result(ada):
    bad = valid(ada, -1.0)
    Calculation.objects.filter(pk=bad.pk).update(state="not_valid")
    Run.objects.filter(calculation=bad).update(state="not_valid")
    gone = valid(ada, -2.0)
    Calculation.objects.filter(pk=gone.pk).update(standing="retracted")
    for per in ("run", "calculation"):
        for sort in ("", "total_energy"):
            assert values(ask(ada, f"columns=total_energy&per={per}&sort={sort}")) == []


def test_points_pair_two_quantities_of_the_same_row(ada):
    valid(ada, -1.0, -2.0)
    asked = read({"per": "run", "x": "gap", "y": "total_energy:Ha"}, [], catalogue(ada))
    dots, more = finding.points(ada, asked)
    assert sorted((dot.x, dot.y) for dot in dots) == [
        (10.0, pytest.approx(-1 / HARTREE)),
        (20.0, pytest.approx(-2 / HARTREE)),
    ]
    assert not more
    assert {dot.run for dot in dots} == {1, 2}


def test_points_are_cut_and_say_so(ada, monkeypatch):
    monkeypatch.setattr(finding, "MOST_POINTS", 2)
    valid(ada, -1.0, -2.0, -3.0)
    asked = read({"per": "run", "x": "gap", "y": "total_energy"}, [], catalogue(ada))
    dots, more = finding.points(ada, asked)
    assert (len(dots), more) == (2, True)


KINDS = {
    "gap": Kind("gap", "Gap", ("eV",), True, 3, 3),
    "version": Kind("version", "Version", ("",), False, 3, 3),
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gap", "write one such as"),
        ("gap > 5 Å", "cannot be given in"),
        ("gap > five", "is not a number"),
        ("gap > nan", "is not a number"),
        ("nonsense > 5", "no quantity"),
        ("version = 5", "no bounds"),
    ],
)
def test_a_condition_that_cannot_be_read_says_why(text, words):
    with pytest.raises(Unreadable, match=words):
        read_condition(text, KINDS)


def test_a_column_in_an_impossible_unit_says_which_is_possible():
    with pytest.raises(Unreadable, match="use eV"):
        read_column("gap:Bohr", KINDS)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=30))
def test_no_address_ends_in_an_error(where, columns, sort):
    asked = read({"columns": columns, "sort": sort, "x": columns}, [where], KINDS)
    again = read({"columns": ",".join(c.token for c in asked.columns)}, [], KINDS)
    assert [c.token for c in again.columns] == [c.token for c in asked.columns]


@given(st.sampled_from(["eV", "Ha", "Ry", "kJ/mol"]), st.sampled_from(["eV", "Ha", "Ry"]))
def test_units_turn_back(one, other):
    assert factor(one, other) * factor(other, one) == pytest.approx(1.0)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_unit_ends_in_an_error(one, other):
    found = factor(one, other)
    assert found is None or (found > 0 and factor(other, one) == pytest.approx(1 / found))


def test_the_page_shows_numbers_with_units_and_leads_to_them(ada):
    made = valid(ada, -465.123456, name="Water in a box")
    text = page(as_person(ada), "analyses", columns="total_energy")
    assert "Water in a box" in text
    assert f"/calculations/{made.pk}/results/" in text
    assert "465.12346" in text


def test_the_page_opens_with_what_its_rows_have(ada):
    sweep = valid(ada, -1.0, -2.0, -3.0)
    add(sweep, None, "polarizability", 5.2, "a.u.")
    cache.clear()
    assert [column.kind.name for column in _asked(ada, "").columns] == ["polarizability"]
    assert values(ask(ada)) == [5.2]
    assert values(ask(ada, "per=run")) == [-1.0, -2.0, -3.0]


def test_a_sweep_is_shown_among_many_single_runs_by_what_it_is_known_by(ada):
    sweep = valid(ada, -1.0, -2.0)
    add(sweep, None, "polarizability", 5.2, "a.u.")
    Calculation.objects.filter(pk=sweep.pk).update(main_label="Polarizability")
    for number in range(3):
        single = valid(ada, -1.0)
        for name in "abcdef":
            add(single, single.runs.get(), name, float(number), "eV")
    cache.clear()
    names = [column.kind.name for column in _asked(ada, "").columns]
    assert len(names) == DEFAULTS
    assert {"total_energy", "polarizability"} <= set(names)
    assert len(ask(ada).rows) == 4


def test_other_rows_are_asked_for_without_the_columns_that_they_lack(ada):
    sweep = valid(ada, -1.0, -2.0)
    add(sweep, None, "polarizability", 5.2, "a.u.")
    valid(ada, -4.0)
    cache.clear()
    asked = _asked(ada, "per=run&columns=gap,total_energy&sort=gap&x=gap&y=total_energy")
    assert asked.at(Level.CALCULATION).query() == (
        "columns=gap%2Ctotal_energy&sort=gap&x=gap&y=total_energy"
    )
    whole = _asked(ada, "columns=polarizability&sort=polarizability&x=polarizability")
    assert whole.at(Level.RUN).query() == "per=run"


@pytest.mark.parametrize(
    ("query", "words", "leads"),
    [
        ({"columns": "gap", "formula": "He"}, "fits these filters", ""),
        ({"columns": "gap"}, "in any of these columns", "?per=calculation"),
        ({}, "No valid calculation has numbers of its own", "?per=run"),
    ],
)
def test_a_page_without_rows_says_why_and_leads_to_some(ada, query, words, leads):
    valid(ada, -1.0, -2.0)
    text = page(as_person(ada), "analyses", **query)
    assert words in text
    assert f'href="{reverse("analyses")}{leads}"' in text


def test_the_page_without_results_says_what_it_is_for(ada):
    cache.clear()
    assert "No results yet" in page(as_person(ada), "analyses")


def test_a_condition_of_the_form_becomes_part_of_the_address(ada):
    valid(ada, -1.0)
    browser = as_person(ada)
    answer = browser.get(
        reverse("analyses"), {"quantity": "gap", "sign": ">=", "bound": "5 eV", "per": "run"}
    )
    assert answer.status_code == 302
    assert "where=gap%3E%3D5+eV" in answer.url
    assert "Gap ≥ 5 eV" in browser.get(answer.url).text


def test_what_cannot_be_read_is_told_on_the_page_and_refused_by_the_interface(ada):
    valid(ada, -1.0)
    assert "is no condition" in page(as_person(ada), "analyses", where="nonsense")
    refused = api(ada).get(reverse("api-result-list"), {"where": "nonsense"})
    assert refused.status_code == 400
    assert api(ada).get(reverse("api-result-list"), {"limit": "0"}).status_code == 400


def test_the_interface_gives_the_same_rows_as_json_and_csv(ada):
    made = valid(ada, -1.0, name="=1+1")
    query = {"columns": "total_energy:Ha,gap", "per": "run"}
    found = api(ada).get(reverse("api-result-list"), query).json()
    assert found["columns"][0] == {"name": "total_energy", "label": "Total energy", "unit": "Ha"}
    row = found["results"][0]
    assert (row["calculation"], row["run_index"]) == (made.pk, 0)
    assert row["values"] == {"total_energy": pytest.approx(-1 / HARTREE), "gap": 10.0}
    text = api(ada).get(reverse("api-result-csv"), query).content.decode()
    assert text.splitlines()[0] == "Calculation,Name,Run,Total energy / Ha,Gap / eV"
    assert "'=1+1" in text


def test_a_view_is_saved_and_stands_beside_no_other_pages(ada):
    valid(ada, -1.0)
    browser = as_person(ada)
    query = "per=run&columns=gap&sort=-gap"
    post(browser, "calculation-filter-save", name="Gaps", query=query, page="analyses")
    saved = SavedFilter.objects.get()
    assert saved.page == "analyses"
    assert saved.query.startswith(query)
    assert "Gaps" in browser.get(f"{reverse('analyses')}?{saved.query}").text
    assert "Gaps" not in page(browser, "calculation-list")


def test_the_page_costs_the_same_however_many_rows_there_are(ada):
    browser = as_person(ada)

    def queries(**query: str) -> int:
        browser.get(reverse("analyses"), query)
        with CaptureQueriesContext(
            connection,
        ) as seen:
            browser.get(reverse("analyses"), query)
        return len(seen)

    valid(ada, -1.0)
    valid(ada, -1.0, -2.0)
    for query in ({"per": "run"}, {"sort": "-total_energy", "where": "gap>1"}):
        few = queries(**query)
        for _ in range(12):
            valid(ada, -1.0)
        assert queries(**query) == few
