"""Verbs for many calculations: told one by one, taken back where that is possible."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.test import Client
from django.urls import reverse

from calculations.models import Calculation, InputFile
from calculations.services import bulk, drafts, lifecycle
from calculations.states import CalculationState
from labportal.accounts.models import User
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from tests.calculations.factories import draft, submitted

pytestmark = pytest.mark.django_db


def test_what_cannot_be_done_stops_nothing_else(ada: User) -> None:
    first, second, queued = draft(ada), draft(ada), submitted(ada)
    said = bulk.do("delete", [first.pk, queued.pk, second.pk], actor=ada)
    assert said.done == 2
    assert len(said.problems) == 1 and queued.number in said.problems[0]
    assert set(Calculation.objects.visible_to(ada)) == {queued}


def test_deleted_drafts_come_back(ada: User) -> None:
    gone = draft(ada)
    said = bulk.do("delete", [gone.pk], actor=ada)
    assert not Calculation.objects.visible_to(ada).exists()
    back = bulk.undo(said.undo, actor=ada)
    assert (back.done, back.problems) == (1, [])
    assert Calculation.objects.visible_to(ada).get() == gone


def test_the_way_back_is_the_persons_own_and_short(ada: User, max: User, monkeypatch: Any) -> None:
    said = bulk.do("delete", [draft(ada).pk], actor=ada)
    with pytest.raises(InvalidInput, match="Only the person"):
        bulk.undo(said.undo, actor=max)
    with pytest.raises(InvalidInput):
        bulk.undo(said.undo[:-3], actor=ada)
    monkeypatch.setattr(bulk, "UNDO_SECONDS", -1)
    with pytest.raises(InvalidInput, match="minutes only"):
        bulk.undo(said.undo, actor=ada)
    assert not Calculation.objects.visible_to(ada).exists()


def test_a_token_for_another_purpose_is_no_way_back(ada: User) -> None:
    foreign = signing.dumps([ada.pk, "delete", []], salt="something else")
    with pytest.raises(InvalidInput):
        bulk.undo(foreign, actor=ada)


def test_a_priority_comes_back_unless_somebody_set_another(ada: User, max: User) -> None:
    first, second = submitted(ada), submitted(ada, priority=-5)
    said = bulk.do("priority", [first.pk, second.pk], actor=max, value="30")
    lifecycle.set_priority(first, 50, actor=max)
    back = bulk.undo(said.undo, actor=max)
    assert back.done == 1 and first.number in back.problems[0]
    priorities = dict(Calculation.objects.values_list("pk", "priority"))
    assert priorities == {first.pk: 50, second.pk: -5}


@pytest.mark.parametrize("value", ["", "much", "1.5", None])
def test_a_priority_is_a_whole_number(max: User, ada: User, value: Any) -> None:
    said = bulk.do("priority", [submitted(ada).pk], actor=max, value=value)
    assert said.done == 0 and "whole number" in said.problems[0]


def test_only_moderators_set_priorities(ada: User) -> None:
    one = submitted(ada)
    said = bulk.do("priority", [one.pk], actor=ada, value="5")
    assert said.done == 0 and said.problems
    assert Calculation.objects.get(pk=one.pk).priority == 0


def test_what_waits_for_review_is_withdrawn_what_is_queued_is_not(ada: User) -> None:
    small, large = draft(ada), draft(ada, cores=64, walltime_s=30 * 24 * 3600)
    said = bulk.do("submit", [small.pk, large.pk], actor=ada)
    assert said.done == 2
    back = bulk.undo(said.undo, actor=ada)
    assert back.done == 1
    states = dict(Calculation.objects.values_list("pk", "state"))
    assert states == {small.pk: CalculationState.QUEUED, large.pk: CalculationState.DRAFT}


def test_no_way_back_is_promised_where_there_is_none(ada: User) -> None:
    assert bulk.do("submit", [draft(ada).pk], actor=ada).undo == ""
    assert bulk.do("cancel", [submitted(ada).pk], actor=ada).undo == ""


def test_kept_files_are_as_before(ada: User) -> None:
    kept, loose = submitted(ada, keep_files=True), submitted(ada)
    said = bulk.do("keep", [kept.pk, loose.pk], actor=ada)
    bulk.undo(said.undo, actor=ada)
    assert dict(Calculation.objects.values_list("pk", "keep_files")) == {
        kept.pk: True,
        loose.pk: False,
    }


def test_others_projects_are_out_of_reach(ada: User, eve: User) -> None:
    said = bulk.do("delete", [draft(ada).pk, 10**9], actor=eve)
    assert said.done == 0
    assert Calculation.objects.visible_to(ada).exists()
    with pytest.raises(InvalidInput, match="no verb"):
        bulk.do("destroy", [1], actor=ada)


def test_the_bin_shows_ones_own_and_is_emptied_in_time(ada: User, eve: User, max: User) -> None:
    gone, fresh = draft(ada, name="Long gone"), draft(ada, name="Just gone")
    InputFile.objects.create(calculation=gone, name="a", size=1, sha256="0" * 64, key="inputs/a")
    bulk.do("delete", [gone.pk, fresh.pk], actor=ada)
    assert "Long gone" in _page(ada) and "Long gone" in _page(max)
    assert "Long gone" not in _page(eve)
    Calculation.objects.filter(pk=gone.pk).update(deleted_at=now() - timedelta(days=31))
    assert drafts.empty_bin() == 1
    assert [c.name for c in Calculation.objects.all()] == ["Just gone"]


def _page(person: User) -> str:
    client = Client()
    client.force_login(person)
    return client.get(reverse("calculation-bin")).content.decode()


def test_the_list_offers_the_way_back(ada: User) -> None:
    one = draft(ada)
    client = Client()
    client.force_login(ada)
    form = {"verb": "delete", "id": [str(one.pk)]}
    page = client.post(reverse("calculation-bulk"), form, follow=True).content.decode()
    address = page.partition('action="/calculations/undo/')[2].partition('"')[0]
    assert "1 moved to the bin" in page and address
    back = client.post(f"/calculations/undo/{address}", follow=True)
    assert "1 back from the bin" in back.content.decode()
    assert Calculation.objects.visible_to(ada).get() == one


def test_the_interface_does_and_takes_back(ada: User) -> None:
    one = draft(ada)
    client = Client()
    client.force_login(ada)
    asked = {"verb": "delete", "ids": [one.pk]}
    said = client.post("/api/v1/calculations/verbs/", asked, "application/json").json()
    assert said["done"] == 1
    assert client.get(f"/api/v1/calculations/{one.pk}/").status_code == 404
    client.post("/api/v1/calculations/undo/", {"undo": said["undo"]}, "application/json")
    assert client.get(f"/api/v1/calculations/{one.pk}/").status_code == 200
    client.delete(f"/api/v1/calculations/{one.pk}/")
    taken = client.post(f"/api/v1/calculations/{one.pk}/take-back/")
    assert taken.status_code == 200 and taken.json()["state"] == "draft"
