"""The page and the interface of the search: groups, chips, refusals, pages, who sees what."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from calculations.models import Calculation
from tests.calculations.factories import draft
from tests.calculations.rest import api
from tests.calculations.search.test_search_applying import done, structure
from tests.calculations.test_pages import as_person, page
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def water(ada: Any) -> Calculation:
    return done(ada, "Water, wide", 8.0, structure=structure(ada, "H2O", "H", "O"))


def test_the_page_shows_what_was_understood_and_found(water: Any, ada: Any) -> None:
    text = page(as_person(ada), "search", q="all valid water runs with a gap above 5 eV")
    for words in ("gap &gt; 5 eV", "H2O or “water”", "Gap", "Water, wide", "8 eV", "Structures"):
        assert words.replace("gap &gt;", "Gap &gt;") in text or words in text
    assert "not needed: all, runs, with, a" in text
    assert f"{reverse('search')}?q=state%3Avalid+gap%3E5+eV" in text  # without water


def test_a_refusal_stands_beside_the_field_and_keeps_what_was_typed(water: Any, ada: Any) -> None:
    answer = as_person(ada).get(reverse("search"), {"q": "gap>5 kg"})
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "kg is something else" in text and 'value="gap&gt;5 kg"' in text


def test_an_empty_search_offers_examples_and_what_was_asked_before(ada: Any) -> None:
    browser = as_person(ada)
    assert "Ask like this" in page(browser, "search")
    page(browser, "search", q="state:failed")
    text = page(browser, "search")
    assert "Your recent searches" in text and "state:failed" in text


def test_nothing_found_says_what_to_do(ada: Any) -> None:
    assert "Take out a condition" in page(as_person(ada), "search", q="nowhere")


def test_what_is_not_ones_own_to_see_is_not_found(ada: Any, eve: Any) -> None:
    private = ProjectFactory(private=True, members=[ada])
    draft(ada, name="Secret water", project=private)
    assert "Secret water" in page(as_person(ada), "search", q="secret")
    assert "Secret water" not in page(as_person(eve), "search", q="secret")
    offered = as_person(eve).get(reverse("search-suggest"), {"q": "secre"}).json()
    assert offered == {"suggestions": []}


def test_one_kind_is_shown_in_pages(ada: Any) -> None:
    for number in range(53):
        draft(ada, name=f"Series {number}")
    browser = as_person(ada)
    first = page(browser, "search", q="series", **{"in": "calculations"})
    assert "Series 52" in first and "Series 2<" not in first
    last = Calculation.objects.get(name="Series 3").pk
    second = page(browser, "search", q="series", after=str(last), **{"in": "calculations"})
    assert "Series 2<" in second and "Series 52" not in second


def test_queries_are_as_many_for_one_as_for_many(ada: Any) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page(browser, "search", q="gap>1 valid")
        return len(queries)

    browser = as_person(ada)
    done(ada, "One", 2.0)
    count()
    one = count()
    for number in range(5):
        done(ada, f"More {number}", 3.0)
    assert count() == one


def test_suggestions_go_on_from_the_last_word(water: Any, ada: Any) -> None:
    browser = as_person(ada)

    def offered(text: str) -> list[str]:
        return browser.get(reverse("search-suggest"), {"q": text}).json()["suggestions"]

    assert "valid" in offered("val")
    assert "water state:valid" in offered("water state:va")
    assert "water gap>" in offered("water ga")
    assert '"Water, wide"' in offered("wate")


def test_the_interface_tells_what_was_understood(water: Any, ada: Any) -> None:
    answer = api(ada).get("/api/v1/search/", {"q": "valid gap>5"}).json()
    assert answer["query"] == "state:valid gap>5 eV"
    assert [one["words"] for one in answer["understood"]] == ["valid", "Gap > 5 eV"]
    found = answer["groups"]["calculations"]
    assert (found["count"], found["rows"][0]["number"]) == (1, water.number)
    assert found["rows"][0]["found"] == [{"label": "Gap", "value": "8", "unit": "eV"}]
    assert answer["groups"]["results"]["rows"][0]["value"] == 8.0


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"q": "gap>"}, "q"), ({"q": "a", "in": "x"}, "in"), ({"q": "a", "limit": "0"}, "limit")],
)
def test_the_interface_refuses_by_field(ada: Any, asked: dict[str, str], field: str) -> None:
    answer = api(ada).get("/api/v1/search/", asked)
    assert answer.status_code == 400 and field in str(answer.json())


def test_the_list_understands_the_same_and_says_what_it_does_not(water: Any, ada: Any) -> None:
    browser = as_person(ada)
    assert "Water, wide" in page(browser, "calculation-list", text="gap>5 valid")
    assert "Water, wide" not in page(browser, "calculation-list", text="gap>9 valid")
    answer = browser.get(reverse("calculation-list"), {"text": "gap>5 kg"})
    assert answer.status_code == 400 and "kg is something else" in answer.content.decode()
