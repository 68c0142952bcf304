"""The REST interface of calculations: each verb, for each role, and every refusal in its shape."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Calculation, Run
from labportal.accounts.models import Project
from tests.calculations.factories import chain, draft, submitted
from tests.calculations.rest import LIST, api, at, problem
from tests.clusters.factories import cluster
from tests.factories import ProjectFactory, UserFactory, default_project

pytestmark = pytest.mark.django_db

LARGE = {"cores": 100, "walltime_s": 36000}
WISH = {"name": "Water", "software": "noop"}


@pytest.fixture
def private(ada: Any, db: None) -> Project:
    return ProjectFactory(slug="secret", private=True, members=[ada])


@pytest.fixture
def hidden(ada: Any, private: Project) -> Calculation:
    return draft(ada, project=private)


# Create and change


def test_a_draft_is_created_in_the_labs_project(ada: Any) -> None:
    answer = api(ada).post(LIST, WISH)
    assert answer.status_code == 201
    row = answer.json()
    assert (row["state"], row["project"], row["created_by"]) == ("draft", "lab", "ada")
    assert row["parameters"]["program"] == "true"
    assert [e["verb"] for e in api(ada).get(f"{LIST}{row['id']}/events/").json()] == ["create"]


def test_every_field_that_is_wrong_is_named_at_once(ada: Any) -> None:
    wish = {**WISH, "cores": 0, "priority": 5, "parameters": {"seconds": -1, "colour": "red"}}
    problem(
        api(ada).post(LIST, wish),
        400,
        "invalid",
        cores="between 1 and",
        priority="moderators",
        parameters__seconds="below",
        parameters__colour="",
    )
    assert not Calculation.objects.exists()


@pytest.mark.parametrize(
    ("wish", "field", "words"),
    [
        ({"software": "fortune"}, "software", "unknown"),
        ({"cluster": "atlantis"}, "cluster", "no cluster"),
        ({"project": "atlantis"}, "project", ""),
        ({"name": ""}, "name", ""),
        ({"name": "x" * 201}, "name", ""),
        ({"cores": "many"}, "cores", ""),
        ({"sweep": [1]}, "sweep", "object"),
        ({"analyses": ["palmistry"]}, "analyses", "palmistry"),
        ({"parameters": []}, "parameters", ""),
    ],
)
def test_a_wish_that_cannot_be_met(ada: Any, wish: Any, field: str, words: str) -> None:
    problem(api(ada).post(LIST, {**WISH, **wish}), 400, "invalid", **{field: words})
    assert not Calculation.objects.exists()


def test_a_body_that_is_no_json(ada: Any) -> None:
    problem(api(ada).post(LIST, b"{", content_type="application/json"), 400)


def test_a_draft_is_changed_until_it_is_submitted(ada: Any, eve: Any) -> None:
    calculation = draft(ada)
    answer = api(eve).put(at(calculation), {**WISH, "name": "Ice", "cores": 4})  # the open project
    assert (answer.status_code, answer.json()["name"], answer.json()["cores"]) == (200, "Ice", 4)
    assert api(ada).post(at(calculation, "submit")).status_code == 200
    problem(api(ada).put(at(calculation), WISH), 409, "wrong-moment")


def test_only_the_author_or_a_moderator_deletes_a_draft(ada: Any, eve: Any, max: Any) -> None:
    first, second = draft(ada), draft(ada)
    problem(api(eve).delete(at(first)), 403, "not-allowed")
    assert api(ada).delete(at(first)).status_code == 204
    assert api(max).delete(at(second)).status_code == 204
    problem(api(ada).delete(at(submitted(ada))), 409)


# Many at once


def test_many_are_created_and_submitted_in_one_request(
    ada: Any, django_assert_max_num_queries: Any
) -> None:
    client = api(ada)
    wishes = [{**WISH, "parameters": {"value": n}} for n in range(50)]
    default_project()
    with django_assert_max_num_queries(20):
        answer = client.post(f"{LIST}bulk/", {"calculations": wishes, "submit": True})
    assert answer.status_code == 201
    assert {row["state"] for row in answer.json()} == {"queued"}
    assert Run.objects.filter(state="queued").count() == 50


def test_one_wrong_among_many_creates_none(ada: Any) -> None:
    wishes = [WISH, {**WISH, "software": "fortune"}, WISH]
    answer = api(ada).post(f"{LIST}bulk/", {"calculations": wishes})
    problem(answer, 400, "invalid", **{"1__software": "unknown"})
    assert not Calculation.objects.exists()


@pytest.mark.parametrize("wishes", [[], None, "x", [1], [WISH] * 1001])
def test_many_of_the_wrong_shape(ada: Any, wishes: Any) -> None:
    assert api(ada).post(f"{LIST}bulk/", {"calculations": wishes}).status_code == 400
    assert not Calculation.objects.exists()


# Verbs


def test_the_second_submit_is_a_wrong_moment(ada: Any) -> None:
    calculation = draft(ada)
    assert api(ada).post(at(calculation, "submit")).json()["state"] == "queued"
    problem(api(ada).post(at(calculation, "submit")), 409, "wrong-moment")
    assert Run.objects.count() == 1


def test_a_disabled_cluster_is_named(ada: Any) -> None:
    calculation = draft(ada, cluster=cluster(enabled=False, maintenance_note="new disks"))
    problem(api(ada).post(at(calculation, "submit")), 400, "invalid", cluster="new disks")


def test_review_is_for_moderators(ada: Any, max: Any) -> None:
    first, second = submitted(ada, **LARGE), submitted(ada, **LARGE)
    problem(api(ada).post(at(first, "approve")), 403)
    assert api(max).post(at(first, "approve"), {"note": "fine"}).json()["state"] == "queued"
    problem(api(max).post(at(second, "send-back")), 400, "invalid", note="say what")
    sent = api(max).post(at(second, "send-back"), {"note": "fewer cores"}).json()
    assert sent["state"] == "draft"
    assert api(ada).get(at(second, "events")).json()[-1]["note"] == "fewer cores"


def test_a_moderator_does_not_approve_their_own(max: Any, root: Any) -> None:
    problem(api(max).post(at(submitted(max, **LARGE), "approve")), 403)
    assert api(root).post(at(submitted(root, **LARGE), "approve")).json()["state"] == "queued"


def test_withdrawn_cancelled_retried_and_duplicated(ada: Any) -> None:
    waiting = submitted(ada, **LARGE)
    assert api(ada).post(at(waiting, "withdraw")).json()["state"] == "draft"
    calculation = submitted(ada)
    problem(api(ada).post(at(calculation, "retry")), 409)
    row = api(ada).post(at(calculation, "cancel"), {"note": "no"}).json()
    assert (row["state"], row["run_states"]) == ("cancelled", ["cancelled"])
    problem(api(ada).post(at(calculation, "cancel")), 409)
    assert api(ada).post(at(calculation, "retry")).json()["state"] == "queued"
    copy = api(ada).post(at(calculation, "duplicate"))
    assert copy.status_code == 201
    assert (copy.json()["state"], copy.json()["copied_from"]) == ("draft", calculation.pk)


def test_priority_is_given_by_moderators(ada: Any, max: Any) -> None:
    calculation = submitted(ada)
    problem(api(ada).post(at(calculation, "priority"), {"priority": 1}), 403)
    problem(api(max).post(at(calculation, "priority"), {"priority": 101}), 400, priority="between")
    problem(api(max).post(at(calculation, "priority"), {}), 400, priority="required")
    assert api(max).post(at(calculation, "priority"), {"priority": 7}).json()["priority"] == 7
    assert calculation.runs.get().priority == 7


# Who sees what


READING = ("", "events", "state")
ACTING = ("submit", "withdraw", "cancel", "retry", "duplicate", "approve", "send-back", "priority")


def test_a_private_calculation_does_not_exist_for_outsiders(hidden: Calculation, eve: Any) -> None:
    before = hidden.events.count()
    for verb in READING:
        problem(api(eve).get(at(hidden, verb)), 404, "not-found")
    for verb in ACTING:
        problem(api(eve).post(at(hidden, verb), {"note": "x", "priority": 1}), 404)
    problem(api(eve).put(at(hidden), WISH), 404)
    problem(api(eve).delete(at(hidden)), 404)
    name = at(hidden, "files/x.txt").rstrip("/") + "/"
    problem(api(eve).put(name, b"x", content_type="application/octet-stream"), 404)
    assert api(eve).get(LIST).json()["results"] == []
    problem(api(eve).post(LIST, {**WISH, "project": "secret"}), 400, project="")
    assert hidden.events.count() == before


@pytest.mark.parametrize("persona", ["ada", "max", "root"])
def test_members_moderators_and_admins_see_it(
    hidden: Calculation, persona: str, request: Any
) -> None:
    client = api(request.getfixturevalue(persona))
    assert [client.get(at(hidden, verb)).status_code for verb in READING] == [200] * 3
    assert [row["id"] for row in client.get(LIST).json()["results"]] == [hidden.pk]


def test_whoever_is_not_signed_in_or_blocked_sees_nothing(hidden: Calculation, ada: Any) -> None:
    problem(api().get(LIST), 401)
    problem(api().post(at(hidden, "submit")), 401)
    blocked = UserFactory(is_active=False)
    problem(api(blocked).get(LIST), 403)


def test_a_private_run_does_not_exist_for_outsiders(ada: Any, eve: Any, private: Project) -> None:
    run = submitted(ada, project=private).runs.get()
    assert api(ada).get(f"/api/v1/runs/{run.pk}/").status_code == 200
    problem(api(eve).get(f"/api/v1/runs/{run.pk}/"), 404)


@pytest.mark.parametrize("address", ["calculations/999999/", "calculations/x/", "runs/x/"])
def test_what_does_not_exist(ada: Any, address: str) -> None:
    assert api(ada).get(f"/api/v1/{address}").status_code == 404


# Lists


def test_the_list_is_narrowed(ada: Any, eve: Any) -> None:
    mine, theirs = draft(ada, name="Ice cream"), submitted(eve, name="Steam")
    for query, found in (
        ({"state": "draft"}, mine),
        ({"state": "queued,running"}, theirs),
        ({"person": "eve"}, theirs),
        ({"text": "cream"}, mine),
        ({"text": f"C-{theirs.pk}"}, theirs),
    ):
        rows = api(ada).get(LIST, query).json()["results"]
        assert [row["id"] for row in rows] == [found.pk], query
    assert api(ada).get(LIST, {"state": "nonsense"}).json()["results"] == []


def test_pages_follow_one_another(ada: Any) -> None:
    for number in range(5):
        draft(ada, name=f"n{number}")
    page = api(ada).get(LIST, {"page_size": 2}).json()
    names = [row["name"] for row in page["results"]]
    while page["next"]:
        page = api(ada).get(page["next"]).json()
        names += [row["name"] for row in page["results"]]
    assert names == ["n4", "n3", "n2", "n1", "n0"]


def test_list_and_detail_cost_a_constant_number_of_queries(
    ada: Any, django_assert_max_num_queries: Any
) -> None:
    client = api(ada)
    small = submitted(ada)
    for _ in range(12):
        large = chain(ada, runs=5)
    with django_assert_max_num_queries(4):
        assert len(client.get(LIST).json()["results"]) == 13
    for calculation in (small, large):
        with django_assert_max_num_queries(9):
            assert client.get(at(calculation)).status_code == 200
    with django_assert_max_num_queries(3):
        assert len(client.get(at(large, "events")).json()) == 3
    with django_assert_max_num_queries(1):
        assert client.get(at(large, "state")).json() == {"id": large.pk, "state": "queued"}


# Software


def test_software_describes_itself(ada: Any) -> None:
    assert "noop" in [row["name"] for row in api(ada).get("/api/v1/software/").json()]
    noop = api(ada).get("/api/v1/software/noop/").json()
    assert noop["parameters"]["properties"]["program"]["enum"] == ["true", "false", "sleep"]
    problem(api(ada).get("/api/v1/software/fortune/"), 404)
    problem(api(ada).post("/api/v1/software/noop/preview/", {"seconds": -1}), 400, seconds="below")
