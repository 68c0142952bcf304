"""Models in the REST interface: the life of one by calls alone, and bad input named by field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from clusters.models import Cluster, LogLine
from labportal.common.clock import now
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.services.versions import secrets_of
from mlmodels.states import Desired
from tests.mlmodels import factories
from tests.mlmodels.test_registering import archive

VERSION = {
    "runtime": "container",
    "image": "lab/echo:1",
    "accepts": ["application/json"],
    "example": '{"x": 1}',
    "secrets": {"TOKEN": "hidden-value"},
}


def call(user: Any, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    client = Client()
    client.force_login(user)
    answer = client.generic(
        method, f"/api/v1/models{path}", json.dumps(body or {}), content_type="application/json"
    )
    assert answer.status_code == status, answer.content
    return answer.json() if answer.content else None


def test_a_model_lives_by_calls_alone(ada: Any, max: Any, metis: Cluster) -> None:
    made = call(ada, "POST", "", {"name": "echo", "description": "Says it back."}, status=201)
    assert (made["state"], made["current"], made["ready"]) == ("stopped", None, 0)
    added = call(ada, "POST", "/echo/versions", VERSION, status=201)
    assert (added["number"], added["approved_at"]) == (1, None)
    assert call(ada, "POST", "/echo/start", status=409)["code"] == "not-approved"
    assert call(max, "POST", "/echo/versions/1/approve")["approved_by"] == "max"
    started = call(ada, "POST", "/echo/start")
    assert (started["desired"], started["current"]) == ("running", 1)
    (replica,) = call(ada, "GET", "/echo/replicas")
    assert replica["cluster"] == "metis"
    assert [sign["name"] for sign in replica["signs"]] == ["Process", "Ready", "Last good answer"]
    call(ada, "POST", f"/echo/replicas/{replica['id']}/restart")
    stopped = call(ada, "POST", "/echo/stop", {"why": "the night"})
    assert stopped["desired"] == "stopped"
    events = call(ada, "GET", "/echo/events")["results"]
    assert events[0]["verb"] in ("stop", "stopped")
    assert {"register", "add_version", "approve", "start"} <= {one["verb"] for one in events}
    call(ada, "DELETE", "/echo", status=204)
    call(ada, "GET", "/echo", status=404)


def test_secrets_are_taken_and_never_told(ada: Any) -> None:
    factories.registered(ada, "echo")
    added = call(ada, "POST", "/echo/versions", VERSION, status=201)
    assert added["secret_names"] == ["TOKEN"]
    told = json.dumps([added, call(ada, "GET", "/echo/versions"), call(ada, "GET", "/echo")])
    assert "hidden-value" not in told
    assert secrets_of(ModelVersion.objects.get()) == {"TOKEN": "hidden-value"}
    kept = {**VERSION, "secrets": {"TOKEN": ""}, "based_on": 1}
    call(ada, "POST", "/echo/versions", kept, status=201)
    assert secrets_of(ModelVersion.objects.get(number=2)) == {"TOKEN": "hidden-value"}


def test_a_version_comes_with_its_files(ada: Any) -> None:
    factories.registered(ada, "echo")
    client = Client()
    client.force_login(ada)
    parts = {"version": json.dumps(VERSION), "files": archive()}
    answer = client.post("/api/v1/models/echo/versions", parts)
    assert answer.status_code == 201, answer.content
    assert answer.json()["files_name"] == "model.tar.gz"
    odd = client.post("/api/v1/models/echo/versions", {"version": "[1]", "files": archive()})
    assert odd.status_code == 400
    assert "version" in odd.json()["errors"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("", {"name": "Red Shift"}, "name"),
        ("", {"name": "new"}, "name"),
        ("", {"name": "x", "replicas_wanted": 0}, "replicas_wanted"),
        ("", {"name": "x", "clusters": ["nowhere"]}, "clusters"),
        ("", {"name": "x", "schedule": {"stop_at": "8pm"}}, "schedule"),
        ("/echo/versions", {**VERSION, "image": "--rm"}, "image"),
        ("/echo/versions", {**VERSION, "runtime": "vm"}, "runtime"),
        ("/echo/versions", {**VERSION, "command": "serve"}, "command"),
        ("/echo/versions", {**VERSION, "environment": {"A": {"b": 1}}}, "environment.A"),
        ("/echo/versions", {**VERSION, "input_schema": {"type": "no"}}, "input_schema"),
        ("/echo/versions", {**VERSION, "files_url": "http://x"}, "files_url"),
        ("/echo/start", {"version": "newest"}, "version"),
        ("/echo/stop", {"why": "x" * 301}, "why"),
    ],
)
def test_bad_input_names_the_field(ada: Any, path: str, body: Any, field: str) -> None:
    factories.registered(ada, "echo")
    assert field in call(ada, "POST", path, body, status=400)["errors"]
    assert RegisteredModel.objects.count() == 1


def test_what_is_not_there_is_not_found(ada: Any) -> None:
    model = factories.registered(ada, "echo")
    replica = factories.replica(factories.version(model), factories.cluster())
    other = factories.registered(ada, "other")
    factories.version(other)
    for path in ("/none", "/echo/versions/9", "/other/versions/2/contract"):
        call(ada, "GET", path, status=404)
    call(ada, "POST", f"/other/replicas/{replica.pk}/restart", status=404)
    call(ada, "GET", f"/other/logs?replica={replica.pk}", status=404)
    call(ada, "POST", "/echo/versions", {**VERSION, "based_on": 7}, status=404)
    assert "replica" in call(ada, "GET", "/echo/logs?replica=x", status=400)["errors"]


def test_another_persons_model_is_seen_and_not_changed(ada: Any, eve: Any) -> None:
    factories.version(factories.registered(ada, "echo"))
    assert call(eve, "GET", "/echo")["created_by"] == "ada"
    call(eve, "PATCH", "/echo", {"description": "mine"}, status=403)
    call(eve, "POST", "/echo/versions", VERSION, status=403)
    call(eve, "POST", "/echo/start", status=403)
    call(ada, "POST", "/echo/versions/1/approve", status=403)
    assert RegisteredModel.objects.get().desired == Desired.STOPPED


def test_what_is_left_out_of_a_change_stays(ada: Any, metis: Cluster) -> None:
    factories.registered(ada, "echo", description="Before.", timeout_s=90)
    call(ada, "PATCH", "/echo", {"clusters": ["metis"]})
    changed = call(ada, "PATCH", "/echo", {"replicas_wanted": 3})
    assert (changed["description"], changed["timeout_s"]) == ("Before.", 90)
    assert (changed["clusters"], changed["replicas_wanted"]) == (["metis"], 3)


def test_the_list_is_narrowed_and_paged(ada: Any) -> None:
    for name in ("b", "a", "c"):
        factories.registered(ada, name, description=f"about {name}")
    first = call(ada, "GET", "?page_size=2")
    assert [one["name"] for one in first["results"]] == ["a", "b"]
    assert first["next"]
    assert [one["name"] for one in call(ada, "GET", "?text=about c")["results"]] == ["c"]
    assert call(ada, "GET", "?state=ready")["results"] == []
    assert "state" in call(ada, "GET", "?state=well", status=400)["errors"]


def test_a_version_is_deployed_and_rolled_back(ada: Any) -> None:
    model = factories.registered(ada, "echo")
    factories.version(model)
    factories.version(model)
    call(ada, "POST", "/echo/versions/2/deploy")
    assert call(ada, "GET", "/echo")["current"] == 2
    assert call(ada, "POST", "/echo/roll-back")["current"] == 1


def test_a_contract_test_is_started_once_and_listed(ada: Any, metis: Cluster) -> None:
    factories.version(factories.registered(ada, "echo"))
    first = call(ada, "POST", "/echo/versions/1/contract", status=202)
    again = call(ada, "POST", "/echo/versions/1/contract", status=202)
    assert first["id"] == again["id"]
    (listed,) = call(ada, "GET", "/echo/versions/1/contract")["results"]
    assert (listed["passed"], listed["ended_at"]) == (None, None)


def test_lines_are_read_after_an_id_and_of_one_launch(ada: Any, metis: Cluster) -> None:
    replica = factories.replica(factories.version(factories.registered(ada, "echo")), metis)
    common = {"cluster": metis, "replica": replica.pk, "at": now(), "service": "model"}
    lines = [
        LogLine.objects.create(**common, launch=launch, text=f"launch {launch}")
        for launch in (1, 1, 2)
    ]
    newest = call(ada, "GET", "/echo/logs")["results"]
    assert [one["launch"] for one in newest] == [1, 1, 2]
    after = call(ada, "GET", f"/echo/logs?after={lines[0].pk}&launch=1")["results"]
    assert [one["id"] for one in after] == [lines[1].pk]
    assert "after" in call(ada, "GET", "/echo/logs?after=x", status=400)["errors"]
