"""Saved filters: a person's own, shown as chips on the list, deleted again."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from calculations.models import SavedFilter
from calculations.selectors import Filters
from calculations.services import filters
from labportal.common.errors import InvalidInput, NotFound, WrongMoment
from tests.calculations.rest import api
from tests.calculations.test_pages import as_person, page, post

pytestmark = pytest.mark.django_db

VALID = filters.query_of(Filters(state="valid", text="größe & <b>"))
QUERY = "state=valid&text=gr%C3%B6%C3%9Fe+%26+%3Cb%3E"


def test_the_filter_of_the_page_is_saved_and_shown_as_a_chip(ada: Any, max: Any) -> None:
    browser = as_person(ada)
    assert "Save this filter" in page(browser, "calculation-list", state="valid")
    answer = post(browser, "calculation-filter-save", name=" Good <ones> ", query=f"{QUERY}&x=1")
    assert answer.redirect_chain[-1][0] == f"{reverse('calculation-list')}?{QUERY}"
    saved = SavedFilter.objects.get()
    assert (saved.user, saved.name, saved.query) == (ada, "Good <ones>", QUERY)
    text = page(browser, "calculation-list")
    assert "Good &lt;ones&gt;" in text and QUERY.replace("&", "&amp;") in text
    assert "Good" not in page(as_person(max), "calculation-list")


def test_the_saved_filter_at_hand_is_marked_and_can_be_deleted(ada: Any) -> None:
    saved = filters.save("Good", "state=valid&sort=name", actor=ada)
    browser = as_person(ada)
    text = page(browser, "calculation-list", sort="name", state="valid", after="x")
    assert "delete “Good”" in text and "Save this filter" not in text
    assert "delete “Good”" not in page(browser, "calculation-list", state="valid")
    post(browser, "calculation-filter-delete", saved.pk)
    assert not SavedFilter.objects.exists()


def test_the_same_name_replaces(ada: Any) -> None:
    filters.save("Mine", "state=valid", actor=ada)
    filters.save("Mine", "state=failed", actor=ada)
    assert SavedFilter.objects.get().query == "state=failed"


@pytest.mark.parametrize("name", ["", "  ", "x" * 61])
def test_a_name_is_needed(ada: Any, name: str) -> None:
    with pytest.raises(InvalidInput):
        filters.save(name, VALID, actor=ada)


def test_what_narrows_nothing_is_not_saved(ada: Any) -> None:
    answer = post(as_person(ada), "calculation-filter-save", name="All", query="sort=name")
    assert "there is no filter to save" in answer.content.decode()
    assert not SavedFilter.objects.exists()


def test_a_person_has_at_most_twenty(ada: Any, eve: Any) -> None:
    for number in range(filters.MOST):
        filters.save(f"Filter {number}", VALID, actor=ada)
    with pytest.raises(WrongMoment):
        filters.save("One more", VALID, actor=ada)
    filters.save("Filter 3", "state=failed", actor=ada)  # replacing needs no room
    filters.save("One more", VALID, actor=eve)


def test_the_filter_of_another_is_not_there(ada: Any, eve: Any) -> None:
    saved = filters.save("Mine", VALID, actor=ada)
    with pytest.raises(NotFound):
        filters.delete(saved.pk, actor=eve)
    assert (
        as_person(eve).post(reverse("calculation-filter-delete", args=[saved.pk])).status_code
        == 404
    )
    assert SavedFilter.objects.exists()


def test_a_filter_is_renamed_but_not_to_the_name_of_another(ada: Any) -> None:
    saved = filters.save("Mine", "state=valid", actor=ada)
    filters.save("Other", "state=failed", actor=ada)
    browser = as_person(ada)
    post(browser, "calculation-filter-change", saved.pk, name=" Good  ones ")
    assert SavedFilter.objects.get(pk=saved.pk).name == "Good ones"
    answer = post(browser, "calculation-filter-change", saved.pk, name="Other")
    assert "Another filter is called “Other”" in answer.content.decode()
    assert SavedFilter.objects.get(pk=saved.pk).name == "Good ones"


def test_the_list_opens_with_the_default_and_one_click_shows_all(ada: Any, max: Any) -> None:
    saved = filters.save("Mine", "state=valid", actor=ada)
    filters.change(saved, name="Mine", is_default=True, actor=ada)
    address = reverse("calculation-list")
    browser = as_person(ada)
    assert browser.get(address).headers["Location"] == f"{address}?state=valid"
    assert f'href="{address}?all=1"' in page(browser, "calculation-list", state="valid")
    assert browser.get(f"{address}?all=1").status_code == 200
    assert as_person(max).get(address).status_code == 200


def test_there_is_one_default_and_it_can_be_taken_back(ada: Any) -> None:
    first = filters.save("First", "state=valid", actor=ada)
    second = filters.save("Second", "state=failed", actor=ada)
    for saved in (first, second):
        filters.change(saved, name=saved.name, is_default=True, actor=ada)
    assert SavedFilter.objects.get(is_default=True) == second
    post(as_person(ada), "calculation-filter-change", second.pk, name="Second")
    assert not SavedFilter.objects.filter(is_default=True).exists()


def test_the_filter_of_another_is_not_changed(ada: Any, eve: Any) -> None:
    saved = filters.save("Mine", VALID, actor=ada)
    with pytest.raises(NotFound):
        filters.change(saved, name="Taken", is_default=True, actor=eve)


def test_programs_keep_rename_and_delete_their_persons_own(ada: Any, max: Any) -> None:
    client, path = api(ada), "/api/v1/filters/"
    body = {"name": "Good ones", "query": f"?{QUERY}&x=1".lstrip("?")}
    made = client.post(path, body, format="json").json()
    assert (made["query"], made["page"], made["is_default"]) == (QUERY, "calculations", False)
    changed = client.patch(f"{path}{made['id']}/", {"is_default": True}, format="json").json()
    assert (changed["name"], changed["is_default"]) == ("Good ones", True)
    assert [one["id"] for one in client.get(path).json()["results"]] == [made["id"]]
    assert client.get(f"{path}?of=analyses").json()["results"] == []
    assert api(max).get(f"{path}{made['id']}/").status_code == 404
    refused = client.post(path, {"name": "All", "query": "sort=name"}, format="json")
    assert refused.status_code == 400
    assert client.delete(f"{path}{made['id']}/").status_code == 204
    assert not SavedFilter.objects.exists()
