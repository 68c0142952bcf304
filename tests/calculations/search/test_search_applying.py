"""What a search finds: calculations, runs, structures and quantities, in any unit."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from hypothesis import HealthCheck, given, settings

from calculations.models import Calculation, Quantity, Run, Structure
from calculations.search import apply, fulltext, parse
from labportal.common.errors import InvalidInput
from tests.calculations.factories import draft
from tests.calculations.search.test_search_parsing import ANYTHING
from tests.factories import default_project

pytestmark = pytest.mark.django_db


def structure(person: Any, formula: str, *elements: str, **more: Any) -> Structure:
    made = {"name": formula, "content": "", "atom_count": 3, "fingerprint": formula, **more}
    return Structure.objects.create(
        project=default_project(), created_by=person, formula=formula, elements=elements, **made
    )


@pytest.fixture
def found(ada: Any, max: Any) -> dict[str, Calculation]:
    """Water with a gap of 8 eV and one of 4 eV, silicon with 0.05 Ha, and a failed draft."""
    water = structure(ada, "H2O", "H", "O", tags=["molecule"])
    silicon = structure(ada, "Si2", "Si", atom_count=2)
    made = {
        "wide": done(ada, "Water, wide", 8.0, structure=water, software="siesta"),
        "narrow": done(ada, "Water_5.fdf again", 4.0, structure=water),
        "bulk": done(max, "Silicon", 0.05, unit="Ha", structure=silicon, standing="validated"),
        "failed": draft(ada, name="Broken"),
    }
    Calculation.objects.filter(pk=made["failed"].pk).update(state="failed")
    cache.clear()
    return made


def done(person: Any, name: str, gap: float, *, unit: str = "eV", **columns: Any) -> Calculation:
    made = draft(person, name=name)
    Calculation.objects.filter(pk=made.pk).update(state="valid", **columns)
    run = Run.objects.create(calculation=made, index=0, state="valid")
    values = {"calculation": made, "run": run, "label": "Gap"}
    Quantity.objects.create(name="gap", number=gap, unit=unit, **values)
    return made


CASES = {
    "valid": "wide narrow bulk",
    "-valid": "failed",
    "failed": "failed",
    "siesta": "wide",
    "by ada": "wide narrow failed",
    "validated": "bulk",
    "unvalidated": "wide narrow failed",
    "water": "wide narrow",
    "H2O": "wide narrow",
    "formula:Si": "bulk",
    "element:O": "wide narrow",
    "atoms<3": "bulk",
    "tag:molecule": "wide narrow",
    "gap>5": "wide",
    "gap>1 eV": "wide narrow bulk",
    "gap 1..2 eV": "bulk",
    "gap>0.1 Ha": "wide narrow",
    "gap>200 kJ/mol": "wide narrow",
    "-gap>5 eV": "narrow bulk failed",
    "has:gap": "wide narrow bulk",
    "all valid water runs with a gap above 5 eV": "wide",
    "wat": "wide narrow",
    "fdf": "narrow",
    '"water wide"': "wide",
    '"wid"': "",
    "created:today": "wide narrow bulk failed",
    "created<2026-01-01": "",
    "runs>1": "",
    "project:lab": "wide narrow bulk failed",
    "cluster:metis": "",
}


@pytest.mark.parametrize(("text", "names"), CASES.items())
def test_calculations(found: dict[str, Calculation], ada: Any, text: str, names: str) -> None:
    rows = apply(parse(text, user=ada), Calculation.objects.all())
    by_key = {made.pk: name for name, made in found.items()}
    assert {by_key[row.pk] for row in rows} == set(names.split())


@pytest.mark.parametrize("common", [0, 1000])
@pytest.mark.parametrize("model", [Calculation, Run, Structure, Quantity])
def test_common_words_and_rare_ones_find_the_same(
    found: Any, ada: Any, monkeypatch: pytest.MonkeyPatch, model: Any, common: int
) -> None:
    rows = {}
    for text in ("water", '"water wide"', "fdf", "silicon gap>1 eV", "water,silicon", "-water"):
        query = parse(text, user=ada)
        rows[text] = set(apply(query, model.objects.all()))
        monkeypatch.setattr(fulltext, "COMMON", common)
        assert set(apply(query, model.objects.all())) == rows[text]
        monkeypatch.undo()
    assert rows["water"]


def test_what_most_of_the_newest_hold_is_common(found: Any, ada: Any) -> None:
    for number in range(fulltext.COMMON):
        draft(ada, name=f"Copper {number}")
    assert fulltext.is_common(fulltext.holding("", "copper"), Calculation)
    assert not fulltext.is_common(fulltext.holding("", "water"), Calculation)


def test_the_words_of_a_name_follow_it(ada: Any) -> None:
    made = draft(ada, name="Carbon")
    Calculation.objects.filter(pk=made.pk).update(name="Boron", description="a nitride")
    for text, is_found in (("carbon", False), ("boron", True), ("nitride", True)):
        rows = apply(parse(text, user=ada), Calculation.objects.all())
        assert rows.exists() is is_found


def test_a_number_finds_the_calculation_and_those_of_a_structure(found: Any, ada: Any) -> None:
    wide = Calculation.objects.get(pk=found["wide"].pk)
    for text in (wide.number, str(wide.pk)):
        assert wide in apply(parse(text, user=ada), Calculation.objects.all())
    same = apply(parse(f"S-{wide.structure_id}", user=ada), Calculation.objects.all())
    assert set(same) == {wide, found["narrow"]}


def test_runs_structures_and_quantities(found: Any, ada: Any) -> None:
    query = parse("valid water gap>5 eV", user=ada)
    assert apply(query, Run.objects.all()).get().calculation == found["wide"]
    assert apply(query, Quantity.objects.all()).get().number == 8.0
    assert apply(query, Structure.objects.all()).get().formula == "H2O"
    assert not apply(parse("water failed", user=ada), Structure.objects.all()).exists()


def test_an_incompatible_unit_is_refused_with_the_stored_one(found: Any, ada: Any) -> None:
    with pytest.raises(InvalidInput, match=r"gap is stored in \S+, and kg is something else"):
        parse("gap>5 kg", user=ada)


def test_an_unknown_quantity_is_refused_with_those_that_there_are(found: Any, ada: Any) -> None:
    with pytest.raises(InvalidInput, match="did you mean gap"):
        parse("gapp>5", user=ada)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=ANYTHING)
def test_whatever_is_understood_can_be_asked(ada: Any, text: str) -> None:
    try:
        query = parse(text, user=ada)
    except InvalidInput:
        return
    for model in (Calculation, Run, Structure, Quantity):
        list(apply(query, model.objects.all())[:3])
