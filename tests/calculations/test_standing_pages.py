"""Standings on pages and in the REST interface: badges, filters, verbs, what waits for whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from calculations.models import Calculation
from calculations.services import standing
from labportal.accounts.models import User
from tests.calculations.standings import checked, valid
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def agent(root: Any) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def four(agent: Agent, ada: User, eve: User) -> dict[str, Calculation]:
    """One of each: checked, validated, retracted, and one whose check failed."""
    made = {name: checked(agent, ada, name=name) for name in ("checked", "validated", "retracted")}
    standing.validate(made["validated"], actor=eve)
    standing.retract(made["retracted"], actor=ada, reason="wrong cell")
    made["unchecked"] = valid(agent, ada, name="unchecked")
    made["unchecked"].quantities.all().delete()
    standing.check([made["unchecked"].pk])
    return made


def names(answer: Any) -> set[str]:
    return {row["name"] for row in answer.json()["results"]}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("checked", {"checked"}),
        ("validated,retracted", {"validated", "retracted"}),
        ("trusted", {"checked", "validated"}),
        ("unchecked", {"unchecked"}),
        ("doubtful", set()),
        ("nonsense", set()),
    ],
)
def test_the_list_is_narrowed_by_standing(
    four: dict[str, Calculation], ada: User, words: str, found: set[str]
) -> None:
    assert names(api(ada).get(f"/api/v1/calculations/?standing={words}")) == found
    page = signed_in(ada).get(f"/calculations/?standing={words}").content.decode()
    assert {name for name in four if f">{name}</a>" in page} == found


def test_each_page_carries_the_standing_and_what_speaks_against(
    four: dict[str, Calculation], ada: User
) -> None:
    client = signed_in(ada)
    retracted = client.get(four["retracted"].get_absolute_url()).content.decode()
    assert "These results are retracted" in retracted
    assert "wrong cell" in retracted
    unchecked = client.get(four["unchecked"].get_absolute_url()).content.decode()
    assert "The check by rule failed" in unchecked
    assert "has no stored results" in client.get("/").content.decode()  # what needs the author
    assert (
        "These results are" not in client.get(four["checked"].get_absolute_url()).content.decode()
    )


def test_the_interface_tells_who_and_when(four: dict[str, Calculation], ada: User) -> None:
    told = api(ada).get(f"/api/v1/calculations/{four['validated'].pk}/").json()
    assert (told["standing"], told["standing_by"], told["trusted"]) == ("validated", "eve", True)
    told = api(ada).get(f"/api/v1/calculations/{four['retracted'].pk}/").json()
    assert (told["standing_reason"], told["trusted"]) == ("wrong cell", False)


def test_the_verbs_of_the_interface(four: dict[str, Calculation], ada: User, eve: User) -> None:
    address = f"/api/v1/calculations/{four['checked'].pk}"
    assert api(ada).post(f"{address}/validate/").status_code == 403
    assert api(eve).post(f"{address}/validate/").json()["standing"] == "validated"
    assert api(eve).post(f"{address}/validate/").status_code == 409
    refused = api(ada).post(f"{address}/retract/")
    assert refused.status_code == 400
    assert "note" in refused.json()["errors"]
    assert api(ada).post(f"{address}/retract/", {"note": "x"}).json()["standing"] == "retracted"
    assert api(ada).post(f"{address}/restore/", {"note": "y"}).json()["standing"] == "checked"
    kept = api(ada).post(f"{address}/keep-files/", {"keep": True})
    assert kept.status_code == 200
    assert Calculation.objects.get(pk=four["checked"].pk).keep_files


def test_a_moderator_s_list_holds_what_others_made(
    four: dict[str, Calculation], agent: Agent, max: User
) -> None:
    checked(agent, max, name="their own")
    page = signed_in(max).get("/reviews/results/").content.decode()
    assert {name for name in (*four, "their own") if f">{name}</a>" in page} == {
        "checked",
        "unchecked",
    }


def test_many_are_validated_at_once_and_the_others_named(
    four: dict[str, Calculation], agent: Agent, max: User
) -> None:
    own = checked(agent, max, name="their own")
    chosen = [str(c.pk) for c in (*four.values(), own)]
    client = signed_in(max)
    client.post("/calculations/bulk/", {"verb": "validate", "id": chosen})
    standings = dict(Calculation.objects.values_list("name", "standing"))
    assert standings == {
        "checked": "validated",
        "validated": "validated",
        "retracted": "retracted",
        "unchecked": "",
        "their own": "checked",
    }
    page = client.get("/calculations/").content.decode()
    assert "1 validated" in page
    assert own.number in page
