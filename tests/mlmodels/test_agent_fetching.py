"""What agents fetch for their replicas: files, also the rest of one, secrets; and the lines that
they send of them.
"""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest

from clusters.models import Cluster, LogLine
from mlmodels.models import Replica
from mlmodels.services import operation
from tests.clusters import factories as clusters
from tests.mlmodels import factories
from tests.mlmodels.test_versions import packed

CONTENT = packed(weights="0.5 " * 200).getvalue()


@pytest.fixture
def metis(db: None) -> Cluster:
    return factories.cluster("metis")


@pytest.fixture
def agent(metis: Cluster, root: Any) -> clusters.Agent:
    return clusters.Agent(metis, root)


@pytest.fixture
def replica(metis: Cluster, ada: Any) -> Replica:
    files = ("m.tar.gz", io.BytesIO(CONTENT))
    return factories.running(ada, files=files, secrets={"TOKEN": "s3cr3t"})


def get(client: Any, agent: clusters.Agent, replica: Any, rest: str, **headers: str) -> Any:
    return client.get(
        f"/api/v1/agent/replicas/{replica}/{rest}",
        headers={"Authorization": f"Api-Key {agent.secret}", **headers},
    )


def test_the_files_of_a_model_are_fetched(
    client: Any, agent: clusters.Agent, replica: Replica
) -> None:
    answer = get(client, agent, replica.pk, "files/model.tar.gz")
    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, CONTENT)
    assert int(answer["Content-Length"]) == len(CONTENT) == replica.version.files_size


def test_the_rest_of_a_file_is_fetched(
    client: Any, agent: clusters.Agent, replica: Replica
) -> None:
    answer = get(client, agent, replica.pk, "files/model.tar.gz", Range="bytes=40-")
    assert (answer.status_code, b"".join(answer.streaming_content)) == (206, CONTENT[40:])
    assert answer["Content-Range"] == f"bytes 40-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert int(answer["Content-Length"]) == len(CONTENT) - 40


@pytest.mark.parametrize("part", ["bytes=99999-", "bytes=0-", "bytes=1-5", "lines=4-", "bytes=-5"])
def test_another_range_is_the_whole(
    client: Any, agent: clusters.Agent, replica: Replica, part: str
) -> None:
    answer = get(client, agent, replica.pk, "files/model.tar.gz", Range=part)
    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, CONTENT)


def test_secrets_are_fetched_and_kept_by_nobody_on_the_way(
    client: Any, agent: clusters.Agent, replica: Replica
) -> None:
    answer = get(client, agent, replica.pk, "environment")
    assert answer.json() == {"environment": {"TOKEN": "s3cr3t"}}
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("rest", ["files/model.tar.gz", "environment"])
def test_another_clusters_agent_finds_nothing(
    client: Any, replica: Replica, root: Any, rest: str
) -> None:
    other = clusters.Agent(factories.cluster("iris"), root)
    assert get(client, other, replica.pk, rest).status_code == 404
    assert get(client, other, uuid.uuid4(), rest).status_code == 404


@pytest.mark.parametrize("rest", ["files/model.tar.gz", "environment"])
def test_what_is_stopped_is_not_fetched(
    client: Any, agent: clusters.Agent, replica: Replica, ada: Any, rest: str
) -> None:
    operation.stop(replica.version.model, actor=ada)
    assert get(client, agent, replica.pk, rest).status_code == 404


def test_only_the_models_file_is_there(
    client: Any, agent: clusters.Agent, replica: Replica
) -> None:
    assert get(client, agent, replica.pk, "files/shadow").status_code == 404


@pytest.mark.parametrize("rest", ["files/model.tar.gz", "environment"])
def test_people_are_no_agents(client: Any, replica: Replica, root: Any, rest: str) -> None:
    client.force_login(root)
    assert client.get(f"/api/v1/agent/replicas/{replica.pk}/{rest}").status_code == 401


def send_line(agent: clusters.Agent, text: str, replica: Any, **fields: Any) -> None:
    agent.log(text)
    agent.events[-1].update(service="model", replica=str(replica), launch=2, **fields)
    agent.exchange()


def test_the_lines_of_a_replica_are_kept_with_its_launch(
    agent: clusters.Agent, replica: Replica
) -> None:
    send_line(agent, "weights are loaded", replica.pk)
    line = LogLine.objects.get()
    assert (line.replica, line.launch, line.service) == (replica.pk, 2, "model")
    assert (line.text, line.run) == ("weights are loaded", None)


@pytest.mark.parametrize("name", ["", "x", str(uuid.UUID(int=7))])
def test_a_line_of_what_nobody_knows_is_left_out(
    agent: clusters.Agent, metis: Cluster, name: str
) -> None:
    send_line(agent, "it is nobody's", name)
    kept = 1 if name == "" else 0  # without a name it is the agent's own
    assert LogLine.objects.filter(replica=None).count() == kept
    assert LogLine.objects.count() == kept


def test_a_line_of_another_clusters_replica_is_left_out(replica: Replica, root: Any) -> None:
    other = clusters.Agent(factories.cluster("iris"), root)
    send_line(other, "this is not mine", replica.pk)
    assert not LogLine.objects.exists()


def test_an_odd_launch_is_none(agent: clusters.Agent, replica: Replica) -> None:
    for launch in ("x", -1, 2**40, None):
        agent.log("line")
        agent.events[-1].update(service="model", replica=str(replica.pk), launch=launch)
        agent.exchange()
    assert set(LogLine.objects.values_list("launch", flat=True)) == {0}
