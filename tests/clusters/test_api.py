"""Clusters, keys, metrics and logs in the REST interface, and the agents' own routes."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from calculations.models import InputFile, Run
from calculations.services.results import file_key
from clusters import keys, placement
from clusters.models import Cluster, LogLine, Metrics
from clusters.summaries import summarise
from labportal.common.clock import now
from labportal.common.storage import storage
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def api(user: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def test_everybody_reads_clusters(metis: Cluster, ada: Any) -> None:
    row = api(ada).get("/api/v1/clusters").json()[0]
    assert row["name"] == "metis" and row["state"] == "online" and row["slots"] == 2
    assert row["software"][0]["name"] == "noop"
    assert api(ada).get("/api/v1/clusters/metis/").json()["hardware"] == ""
    assert api(ada).get("/api/v1/clusters/nowhere").status_code == 404


def test_an_admin_registers_edits_disables_and_deletes(root: Any) -> None:
    client = api(root)
    made = client.post("/api/v1/clusters", {"name": "tesla-1", "max_runs": 2}, format="json")
    assert made.status_code == 201 and made.json()["state"] == "never_heard"
    changed = client.patch("/api/v1/clusters/tesla-1", {"description": "GPUs"}, format="json")
    assert (changed.json()["description"], changed.json()["max_runs"]) == ("GPUs", 2)
    rests = client.post("/api/v1/clusters/tesla-1/disable", {"note": "disks"}, format="json")
    assert (rests.json()["enabled"], rests.json()["maintenance_note"]) == (False, "disks")
    assert client.post("/api/v1/clusters/tesla-1/enable").json()["enabled"] is True
    assert client.delete("/api/v1/clusters/tesla-1").status_code == 204
    assert not Cluster.objects.exists()


def test_refusals_name_the_field_and_the_moment(metis: Cluster, ada: Any, root: Any) -> None:
    wrong = api(root).post("/api/v1/clusters", {"name": "No Way"}, format="json")
    assert wrong.status_code == 400 and "name" in wrong.json()["errors"]
    taken = api(root).post("/api/v1/clusters", {"name": "metis"}, format="json")
    assert taken.status_code == 400
    submitted(ada)
    placement.place()
    assert api(root).delete("/api/v1/clusters/metis").status_code == 409
    assert api(ada).delete("/api/v1/clusters/metis").status_code == 403


def test_a_key_is_in_one_answer_alone(metis: Cluster, root: Any) -> None:
    client = api(root)
    issued = client.post("/api/v1/clusters/metis/keys", {"days": 30}, format="json")
    assert issued.status_code == 201 and issued.headers["Cache-Control"] == "no-store"
    key = issued.json()
    assert keys.authenticate(f"Api-Key {key['key']}").cluster == metis
    listed = client.get("/api/v1/clusters/metis/keys").json()
    assert [row["prefix"] for row in listed] == [key["prefix"]]
    assert key["key"] not in str(listed) and listed[0]["valid"] is True
    gone = client.post(f"/api/v1/clusters/metis/keys/{key['prefix']}/revoke")
    assert gone.json()["valid"] is False and gone.json()["revoked_at"]


def test_metrics_by_range(metis: Cluster, ada: Any) -> None:
    Metrics.objects.create(cluster=metis, at=now() - timedelta(minutes=5), cpu_percent=12.0)
    summarise()
    document = api(ada).get("/api/v1/clusters/metis/metrics?range=day").json()
    assert document["range"] == "day" and 12.0 in document["series"]["cpu_percent"]
    assert api(ada).get("/api/v1/clusters/metis/metrics?range=century").status_code == 400


def test_a_run_s_time_on_its_cluster(metis: Cluster, ada: Any) -> None:
    run = submitted(ada).runs.get()
    address = f"/api/v1/runs/{run.pk}/cluster-metrics"
    assert api(ada).get(address).status_code == 409, "it has not begun"
    begun = now() - timedelta(minutes=5)
    Run.objects.update(cluster=metis, started_at=begun, finished_at=now())
    Metrics.objects.create(cluster=metis, at=now() - timedelta(minutes=3), cpu_percent=12.0)
    document = api(ada).get(address).json()
    assert document["cluster"] == "metis" and 12.0 in document["series"]["cpu_percent"]
    assert api(ada).get(f"/api/v1/runs/{uuid.uuid4()}/cluster-metrics").status_code == 404


def test_logs_page_forwards_and_backwards(metis: Cluster, ada: Any) -> None:
    for number in range(7):
        LogLine.objects.create(cluster=metis, at=now(), service="agent", text=str(number))
    client = api(ada)
    newest = client.get("/api/v1/logs?page_size=3").json()
    assert [row["text"] for row in newest["results"]] == ["4", "5", "6"]
    older = client.get(newest["next"]).json()
    assert [row["text"] for row in older["results"]] == ["1", "2", "3"]
    forwards = client.get("/api/v1/logs?after=0&page_size=4").json()
    rest = client.get(forwards["next"]).json()
    assert [row["text"] for row in forwards["results"] + rest["results"]] == list("0123456")
    assert rest["next"] is None


@pytest.mark.parametrize("query", ["after=x", "before=-1", "page_size=1e3", "level=LOUD", "run=1"])
def test_a_parameter_that_means_nothing_is_refused(ada: Any, query: str) -> None:
    assert api(ada).get(f"/api/v1/logs?{query}").status_code == 400


def test_admins_delete_lines_by_filter(metis: Cluster, ada: Any, root: Any) -> None:
    for level in ("INFO", "ERROR"):
        LogLine.objects.create(cluster=metis, at=now(), service="agent", level=level, text="x")
    assert api(ada).delete("/api/v1/logs?level=ERROR").status_code == 403
    assert api(root).delete("/api/v1/logs").status_code == 400
    assert api(root).get("/api/v1/logs/count?level=ERROR").json() == {"lines": 1}
    assert api(root).delete("/api/v1/logs?level=ERROR").json() == {"lines": 1}
    assert LogLine.objects.get().level == "INFO"


class Held:
    """A run that an agent holds, and a client that speaks with its key."""

    def __init__(self, metis: Cluster, ada: Any, root: Any) -> None:
        self.agent = Agent(metis, root)
        calculation = submitted(ada)
        data = b"geometry"
        key = f"inputs/{calculation.pk}/in.txt"
        size, sha256 = storage().save(key, BytesIO(data))
        InputFile.objects.create(
            calculation=calculation, name="in.txt", size=size, sha256=sha256, key=key
        )
        placement.place()
        self.agent.exchange()
        self.run: Run = calculation.runs.get()

    def address(self, name: str, *, attempt: int | None = None) -> str:
        part = "" if attempt is None else f"/{attempt}"
        return f"/api/v1/agent/runs/{self.run.pk}{part}/files/{name}"

    def put(self, data: bytes, *, attempt: int = 1, secret: str = "", sha256: str = "") -> Any:
        return Client().put(
            self.address("out.txt", attempt=attempt),
            data,
            content_type="application/octet-stream",
            headers={
                "Authorization": f"Api-Key {secret or self.agent.secret}",
                "X-Content-SHA256": sha256 or hashlib.sha256(data).hexdigest(),
            },
        )


@pytest.fixture
def held(metis: Cluster, ada: Any, root: Any) -> Held:
    return Held(metis, ada, root)


def test_an_agent_stages_the_inputs_of_its_runs(held: Held, root: Any, ada: Any) -> None:
    headers = {"Authorization": f"Api-Key {held.agent.secret}"}
    answer = Client().get(held.address("in.txt"), headers=headers)
    assert b"".join(answer) == b"geometry"
    assert Client().get(held.address("other"), headers=headers).status_code == 404
    assert Client().get(held.address("in.txt")).status_code == 401
    assert api(ada).get(held.address("in.txt")).status_code in (401, 403)
    stranger = Agent(cluster("tesla"), root)
    headers = {"Authorization": f"Api-Key {stranger.secret}"}
    assert Client().get(held.address("in.txt"), headers=headers).status_code == 404


def test_an_agent_brings_files_of_its_attempt(held: Held, root: Any) -> None:
    assert held.put(b"density matrix").status_code == 201
    assert held.put(b"density matrix, again").status_code == 201
    stored = storage().open(file_key(held.run.pk, 1, "out.txt")).read()
    assert stored == b"density matrix, again"
    assert held.put(b"x", attempt=2).status_code == 409
    assert held.put(b"x", secret=Agent(cluster("tesla"), root).secret).status_code == 409
    wrong = held.put(b"broken on the way", sha256="0" * 64)
    assert wrong.status_code == 400 and wrong.json()["code"] == "checksum"


def test_a_revoked_key_opens_no_file(held: Held, root: Any) -> None:
    keys.revoke(held.agent.key, actor=root)
    refused = held.put(b"x")
    assert refused.status_code == 401 and refused.json()["code"] == "key-revoked"


def test_the_agent_file_has_its_checksum_beside_it(db: None) -> None:
    answer = Client().get("/agent/labportal-agent.pyz")
    digest = hashlib.sha256(b"".join(answer)).hexdigest()
    assert answer.headers["X-Content-SHA256"] == digest
    line = Client().get("/agent/labportal-agent.pyz.sha256").content.decode()
    assert line == f"{digest}  labportal-agent.pyz\n"
