"""The pages of models: what each tab answers, what people of each role are offered, and a fixed
number of queries.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from clusters.models import Cluster, LogLine
from labportal.common.clock import now
from mlmodels.models import Invocation, ModelEvent, RegisteredModel, Replica
from mlmodels.selectors import cards
from mlmodels.states import Desired, ModelState
from tests.mlmodels import factories


@pytest.fixture
def redshift(ada: Any, metis: Cluster) -> Replica:
    """Ready, with one replica on metis."""
    return factories.running(ada, "redshift", on=metis)


def browser(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(user: Any, address: str, status: int = 200) -> str:
    answer = browser(user).get(address)
    assert answer.status_code == status, address
    return answer.content.decode()


def queries_of(client: Client, address: str) -> int:
    """How often the page asks the database, once what is cached is cached."""
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        client.get(address)
    return len(asked)


def post(user: Any, address: str, **data: Any) -> Any:
    return browser(user).post(address, data)


def told(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def call(replica: Replica, user: Any, *, status: int = 200, ms: float = 5, **fields: Any) -> None:
    version = replica.version
    values = {"model": version.model, "version": version, "user": user}
    Invocation.objects.create(**values, status=status, ms=ms, **fields)


def line(replica: Replica, words: str, *, launch: int = 1) -> LogLine:
    return LogLine.objects.create(
        cluster=replica.cluster,
        replica=replica.pk,
        launch=launch,
        at=now(),
        service="model",
        text=words,
    )


def test_without_models_the_list_says_what_one_is(ada: Any) -> None:
    body = text(ada, "/models/")
    assert "No model yet" in body
    assert "/models/new/" in body


def test_a_card_says_how_much_a_model_is_called_and_how_fast_it_answers(
    redshift: Replica, ada: Any
) -> None:
    for ms in range(1, 101):
        call(redshift, ada, ms=ms)
    call(redshift, ada, status=504, ms=60_000)
    call(redshift, ada, ms=9_000, at=now() - timedelta(hours=1))
    recent = cards.card_of(redshift.version.model).recent
    assert (recent.calls, recent.failed) == (101, 1)
    assert recent.p95_ms == pytest.approx(95.05)
    assert recent.per_minute == pytest.approx(101 / 15)
    assert "1 of 101 calls failed" in text(ada, "/models/")


def test_the_list_begins_with_what_needs_somebody(ada: Any) -> None:
    states = {"a": ModelState.STOPPED, "b": ModelState.READY, "c": ModelState.GIVEN_UP}
    for name, state in states.items():
        factories.registered(ada, name)
        RegisteredModel.objects.filter(name=name).update(state=state)
    body = text(ada, "/models/")
    places = [body.index(f'href="/models/{name}/') for name in "cba"]
    assert places == sorted(places)


def test_many_models_can_be_narrowed_by_state_and_words(ada: Any) -> None:
    for number in range(8):
        factories.registered(ada, f"model-{number}", description=f"word{number}")
    RegisteredModel.objects.filter(name="model-3").update(state=ModelState.READY)
    ready = text(ada, "/models/?state=ready")
    assert "/models/model-3/" in ready
    assert "/models/model-4/" not in ready
    found = text(ada, "/models/?text=word5")
    assert "/models/model-5/" in found
    assert "/models/model-3/" not in found
    assert "Nothing matches" in text(ada, "/models/?text=none")


def test_more_models_than_a_page_holds_are_on_the_next(ada: Any) -> None:
    rows = [RegisteredModel(name=f"m-{number:03}", created_by=ada) for number in range(53)]
    RegisteredModel.objects.bulk_create(rows)
    first = browser(ada).get("/models/")
    assert len(first.context["cards"]) == 50
    second = browser(ada).get(first.context["page"].older_url)
    assert [card.model.name for card in second.context["cards"]] == ["m-050", "m-051", "m-052"]


def test_the_list_asks_as_often_for_many_as_for_one(
    redshift: Replica, ada: Any, metis: Cluster, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = browser(ada)
    few = queries_of(client, "/models/")
    for number in range(5):
        version = factories.version(factories.registered(ada, f"m-{number}"))
        factories.replica(version, metis)
    with django_assert_num_queries(few):
        client.get("/models/")


def test_the_tab_of_health_tells_three_signs_apart(redshift: Replica, ada: Any) -> None:
    Replica.objects.filter(pk=redshift.pk).update(failed_calls=3)
    body = text(ada, "/models/redshift/health/")
    for words in ("Runs", "Ready", "Calls fail", "3 calls in a row"):
        assert words in body


def test_the_tab_of_health_asks_as_often_for_many_replicas_as_for_one(
    redshift: Replica, ada: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = browser(ada)
    few = queries_of(client, "/models/redshift/health/")
    for number in range(4):
        factories.replica(redshift.version, factories.cluster(f"site-{number}"))
    with django_assert_num_queries(few):
        client.get("/models/redshift/health/")


def test_the_log_is_that_of_the_present_launch_and_earlier_ones_are_a_click_away(
    redshift: Replica, ada: Any
) -> None:
    Replica.objects.filter(pk=redshift.pk).update(launch=3)
    line(redshift, "the second launch fell", launch=2)
    line(redshift, "the third launch runs", launch=3)
    body = text(ada, "/models/redshift/health/")
    assert "the third launch runs" in body
    assert "the second launch fell" not in body
    assert f'data-topic="replica:{redshift.pk}"' in body
    earlier = text(ada, f"/models/redshift/health/?replica={redshift.pk}&launch=2")
    assert "the second launch fell" in earlier
    assert f'data-topic="replica:{redshift.pk}"' not in earlier


def test_lines_that_were_missed_come_as_json_and_all_as_a_file(redshift: Replica, ada: Any) -> None:
    first, second = line(redshift, "one"), line(redshift, "two")
    address = f"/models/redshift/replicas/{redshift.pk}/log/"
    found = browser(ada).get(f"{address}?launch=1&after={first.pk}").json()
    assert [one["id"] for one in found["lines"]] == [second.pk]
    answer = browser(ada).get(f"{address}download/")
    assert b"launch 1 INFO two" in b"".join(answer.streaming_content)


def test_the_lines_of_another_model_are_not_found_below_this_one(
    redshift: Replica, ada: Any
) -> None:
    factories.version(factories.registered(ada, "other"))
    text(ada, f"/models/other/replicas/{redshift.pk}/log/", status=404)


def test_a_model_that_is_not_there_and_a_tab_that_is_none_are_not_found(
    redshift: Replica, ada: Any
) -> None:
    text(ada, "/models/nothing/", status=404)
    text(ada, "/models/redshift/nothing/", status=404)
    text(ada, "/models/redshift/versions/7/", status=404)


def test_two_versions_are_compared_field_by_field(ada: Any) -> None:
    model = factories.registered(ada, "echo")
    factories.version(model, image="lab/echo:1", environment={"A": "1"})
    factories.version(model, image="lab/echo:2", environment={"A": "2"})
    body = text(ada, "/models/echo/versions/?from=1&to=2")
    compared = body[body.index('id="differences"') :]
    for words in ("lab/echo:1", "lab/echo:2", "A=1", "A=2", "the same"):
        assert words in compared
    assert 'id="differences"' not in text(ada, "/models/echo/versions/?from=1&to=9")


def test_the_value_of_a_secret_is_on_no_page(ada: Any, root: Any) -> None:
    model = factories.registered(ada, "echo")
    factories.version(model, secrets={"API_KEY": "s3cret-value"})
    for address in ("versions/", "versions/1/", "versions/new/", "timeline/"):
        body = text(root, f"/models/echo/{address}")
        assert "s3cret-value" not in body
    assert "API_KEY=" in text(root, "/models/echo/versions/new/")


def test_the_contract_shows_each_check_of_the_last_test(redshift: Replica, ada: Any) -> None:
    checks = [
        {"name": "ping", "title": "Answers /ping", "ok": True, "detail": "200 in 3 ms"},
        {"name": "415", "title": "Refuses other types", "ok": False, "detail": "answered 200"},
    ]
    version = redshift.version
    version.contract_checks.create(checks=checks, passed=False, ended_at=now())
    body = text(ada, "/models/redshift/contract/")
    for words in ("Not passed", "1 of 2 checks failed", "Refuses other types", "answered 200"):
        assert words in body
    assert body.count('class="fails"') == 1


def test_the_timeline_tells_the_newest_first(redshift: Replica, ada: Any) -> None:
    body = text(ada, "/models/redshift/timeline/")
    assert body.index("Started") < body.index("Version added") < body.index("Registered")


@pytest.mark.parametrize(
    ("verb", "desired"), [("start", Desired.RUNNING), ("stop", Desired.STOPPED)]
)
def test_who_registered_a_model_starts_and_stops_it(
    ada: Any, metis: Cluster, verb: str, desired: Desired
) -> None:
    model = factories.registered(ada, "echo")
    factories.version(model)
    if verb == "stop":
        post(ada, "/models/echo/start/")
    answer = post(ada, f"/models/echo/{verb}/", note="the night")
    model.refresh_from_db()
    assert answer.status_code == 302
    assert model.desired == desired
    assert ModelEvent.objects.filter(model=model, verb=verb, actor=ada).exists()


def test_others_are_refused_and_offered_nothing(redshift: Replica, eve: Any) -> None:
    body = text(eve, "/models/redshift/health/")
    for verb in ("stop", "restart", "delete", "versions/new"):
        assert f"/models/redshift/{verb}/" not in body
    assert post(eve, "/models/redshift/stop/").status_code == 403
    assert "disabled" in text(eve, "/models/redshift/settings/")
    assert post(eve, "/models/redshift/edit/", description="mine").status_code == 403


def test_a_refusal_is_said_on_the_page(ada: Any) -> None:
    factories.version(factories.registered(ada, "echo"), approved=False)
    answer = post(ada, "/models/echo/start/")
    assert "waits for approval" in told(answer)
    assert RegisteredModel.objects.get(name="echo").desired == Desired.STOPPED


def test_a_moderator_is_led_to_what_waits_and_approves_it(ada: Any, max: Any) -> None:
    version = factories.version(factories.registered(ada, "echo"), approved=False)
    assert "echo v1 to approve" in text(max, "/")
    assert "echo v1 to approve" not in text(ada, "/")
    assert "/models/echo/versions/1/" in text(max, "/models/echo/health/")
    post(max, "/models/echo/versions/1/approve/")
    version.refresh_from_db()
    assert version.approved_by == max
    assert "echo v1 to approve" not in text(max, "/")


def test_the_dashboard_tells_of_what_was_given_up_to_who_may_mend_it(
    redshift: Replica, ada: Any, eve: Any, max: Any
) -> None:
    RegisteredModel.objects.update(state=ModelState.GIVEN_UP, why="exit code 1")
    for person in (ada, max):
        assert "Model “redshift” given up" in text(person, "/")
    assert "given up" not in text(eve, "/")


def test_the_page_of_a_cluster_tells_which_models_it_serves(
    redshift: Replica, ada: Any, metis: Cluster
) -> None:
    body = text(ada, "/clusters/metis/")
    assert "served with podman, process" in body
    assert f"/models/redshift/health/?replica={redshift.pk}" in body


def test_a_version_is_deployed_and_rolled_back_from_its_page(ada: Any, metis: Cluster) -> None:
    model = factories.registered(ada, "echo")
    first, second = factories.version(model), factories.version(model)
    post(ada, "/models/echo/versions/2/deploy/")
    model.refresh_from_db()
    assert model.current == second
    assert "Roll back to v1" in text(ada, "/models/echo/versions/")
    post(ada, "/models/echo/roll-back/")
    model.refresh_from_db()
    assert model.current == first


def test_one_replica_is_started_anew_alone(redshift: Replica, ada: Any) -> None:
    other = factories.replica(redshift.version, factories.cluster("atlas"))
    post(ada, f"/models/redshift/replicas/{redshift.pk}/restart/")
    before = redshift.generation
    redshift.refresh_from_db()
    other.refresh_from_db()
    assert (redshift.generation, other.generation) == (before + 1, 1)


def test_a_contract_test_is_asked_for_from_its_tab(ada: Any, metis: Cluster) -> None:
    version = factories.version(factories.registered(ada, "echo"))
    answer = post(ada, "/models/echo/versions/1/contract/")
    assert answer["Location"] == "/models/echo/contract/?version=1"
    assert version.contract_checks.filter(by=ada, ended_at=None).count() == 1


def test_a_deleted_model_is_gone_and_its_name_free(redshift: Replica, ada: Any) -> None:
    assert post(ada, "/models/redshift/delete/")["Location"] == "/models/"
    text(ada, "/models/redshift/", status=404)
    factories.registered(ada, "redshift")
