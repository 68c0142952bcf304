"""Asking an agent to change itself: when one may, what its reply says, and how the wish ends."""

from __future__ import annotations

from typing import Any

import pytest

from clusters import updates
from clusters.agent import __version__
from clusters.agent_download import agent_file
from clusters.models import Cluster
from clusters.services import operation
from labportal.audit.models import AuditEntry
from labportal.common.errors import WrongMoment
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis", agent_version="0.0.1")


@pytest.fixture
def agent(metis: Cluster, root: Any) -> Agent:
    return Agent(metis, root)


def exchange(agent: Agent, version: str = "0.0.1", **capacity: Any) -> Any:
    told = {"id": agent.agent_id, "boot": "b1", "version": version, "host": "node1"}
    return agent.exchange(agent=told, capacity={"slots": {"total": 2}, **capacity})


def test_the_reply_names_the_file_until_the_agent_is_that_file(
    root: Any, metis: Cluster, agent: Agent
) -> None:
    assert exchange(agent, file_sha256="old").document["agent"]["update"] is None
    operation.update_agent(metis, actor=root)
    answer = exchange(agent, file_sha256="old")
    wish = answer.document["agent"]["update"]
    assert answer.urgent and wish["version"] == __version__ and wish["sha256"] == agent_file()[1]
    again = exchange(agent, file_sha256="old", update={"asked": wish["asked"], "problem": ""})
    assert again.document["agent"]["update"] == wish and not again.urgent, "it is at it"
    done = exchange(agent, __version__, file_sha256=wish["sha256"])
    assert done.document["agent"]["update"] is None
    metis.refresh_from_db()
    assert (metis.update_wanted, metis.update_wanted_at) == ("", None)
    assert AuditEntry.objects.get(verb="cluster.update_agent").detail["to"] == __version__


def test_a_failure_ends_the_wish_and_a_new_one_is_another(
    root: Any, metis: Cluster, agent: Agent
) -> None:
    operation.update_agent(metis, actor=root)
    first = exchange(agent, file_sha256="old").document["agent"]["update"]["asked"]
    failed = {"asked": first, "version": __version__, "problem": "no room"}
    answer = exchange(agent, file_sha256="old", update=failed)
    assert answer.document["agent"]["update"] is None
    metis.refresh_from_db()
    assert updates.failure(metis)["problem"] == "no room" and not metis.update_wanted
    operation.update_agent(metis, actor=root)
    again = exchange(agent, file_sha256="old", update=failed)
    assert again.document["agent"]["update"]["asked"] != first, "what failed before is no answer"


def test_an_agent_that_cannot_change_itself_is_not_pressed(
    root: Any, metis: Cluster, agent: Agent
) -> None:
    operation.update_agent(metis, actor=root)
    answer = exchange(agent)
    assert answer.document["agent"]["update"] and not answer.urgent


def test_a_wish_for_what_the_portal_no_longer_serves_is_void(
    root: Any, metis: Cluster, agent: Agent
) -> None:
    operation.update_agent(metis, actor=root)
    Cluster.objects.update(update_wanted="0.0.7")
    assert exchange(agent, file_sha256="old").document["agent"]["update"] is None
    metis.refresh_from_db()
    assert metis.update_wanted == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"agent_version": __version__}, "already"),
        ({"last_exchange_at": None}, "never heard"),
        ({"carrier": "ssh"}, "brings the agent"),
        ({"agent_version": "99.0"}, "newer"),
    ],
)
def test_where_there_is_nothing_to_change_one_is_told_so(
    root: Any, fields: dict[str, Any], words: str, db: None
) -> None:
    site = cluster("tesla", **{"agent_version": "0.0.1", **fields})
    with pytest.raises(WrongMoment, match=words):
        operation.update_agent(site, actor=root)


def test_going_back_is_asked_for_expressly(root: Any, db: None) -> None:
    site = cluster("tesla", agent_version="99.0")
    operation.update_agent(site, may_go_back=True, actor=root)
    agent = Agent(site, root)
    assert exchange(agent, "99.0").document["agent"]["update"]["may_go_back"] is True


def test_the_same_number_with_other_content_can_be_changed(root: Any, db: None) -> None:
    capacity = {"slots": {"total": 1}, "file_sha256": "0" * 64}
    site = cluster("tesla", agent_version=__version__, capacity=capacity)
    operation.update_agent(site, actor=root)
    assert site.update_wanted == __version__
