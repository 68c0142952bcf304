"""Drain, disable, enable, let work in again: what each does to runs, what it leaves on record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from calculations import selectors
from calculations.models import Run
from clusters import placement
from clusters.models import HELD_AFTER, SILENT_AFTER, Cluster
from clusters.services import operation
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster, finished


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis", slots=4)


@pytest.fixture
def agent(metis: Cluster, root: Any) -> Agent:
    agent = Agent(metis, root)
    agent.exchange()
    return agent


def verbs() -> list[str]:
    found = AuditEntry.objects.filter(verb__startswith="cluster.")
    return list(found.order_by("pk").values_list("verb", flat=True))


def started(ada: Any, agent: Agent) -> Run:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "running", scheduler_id="1")
    agent.exchange()
    return run


@pytest.mark.parametrize("verb", [operation.drain, operation.disable])
def test_what_runs_ends_and_what_has_not_begun_goes_back(
    verb: Callable[..., None], ada: Any, root: Any, metis: Cluster, agent: Agent
) -> None:
    running = started(ada, agent)
    waiting = submitted(ada).runs.get()
    placement.place()
    verb(metis, note="new disks until Friday", actor=root)
    assert agent.verbs() == {str(running.pk): "keep"}
    waiting.refresh_from_db()
    assert (waiting.state, waiting.losses, waiting.attempt) == ("queued", 0, 1)
    assert "new disks until Friday" in waiting.reason
    assert placement.place() == 0
    agent.tell(running.pk, "finished", **finished())
    assert agent.verbs() == {str(running.pk): "close"}


def test_what_waits_inside_the_agent_is_taken_back_as_well(
    ada: Any, root: Any, metis: Cluster, agent: Agent
) -> None:
    waits, submitted_there = submitted(ada).runs.get(), submitted(ada).runs.get()
    placement.place()
    agent.exchange()
    agent.tell(submitted_there.pk, "preparing", scheduler_id="4711")
    operation.drain(metis, actor=root)
    assert agent.verbs() == {str(waits.pk): "abandon", str(submitted_there.pk): "keep"}
    assert Run.objects.get(pk=waits.pk).state == "queued"


def test_an_agent_that_heard_of_a_recalled_run_abandons_it(
    ada: Any, root: Any, metis: Cluster, agent: Agent
) -> None:
    run = submitted(ada).runs.get()
    placement.place()
    unheard = agent.document()
    agent.exchange()  # it is told to execute, and its next word is older than that
    operation.drain(metis, actor=root)
    before, agent.runs = agent.runs, {}
    agent.exchange(**unheard)
    agent.runs = before
    assert agent.verbs() == {str(run.pk): "abandon"}


def test_a_drained_cluster_is_open_again_with_one_verb(
    ada: Any, root: Any, metis: Cluster, agent: Agent
) -> None:
    operation.drain(metis, note="disks", actor=root)
    submitted(ada)
    assert placement.place() == 0
    operation.enable(metis, actor=root)
    operation.enable(metis, actor=root)
    metis.refresh_from_db()
    assert (metis.draining, metis.maintenance_note) == (False, "")
    assert placement.place() == 1
    assert verbs() == ["cluster.drain", "cluster.enable"]


def test_who_waits_reads_the_note(ada: Any, root: Any, metis: Cluster) -> None:
    operation.drain(metis, note="new disks until Friday", actor=root)
    waiting = submitted(ada, cluster=metis)
    assert "new disks until Friday" in selectors.waiting_reason(waiting)


def test_a_disabled_cluster_cannot_be_drained(root: Any, metis: Cluster) -> None:
    operation.disable(metis, actor=root)
    with pytest.raises(WrongMoment):
        operation.drain(metis, actor=root)


def test_a_long_note_is_refused(root: Any, metis: Cluster) -> None:
    with pytest.raises(InvalidInput) as refusal:
        operation.drain(metis, note="x" * 301, actor=root)
    assert "maintenance_note" in refusal.value.errors


@pytest.mark.parametrize(
    "verb", [operation.drain, operation.disable, operation.release, operation.update_agent]
)
def test_only_admins_operate_clusters(
    verb: Callable[..., None], ada: Any, max: Any, metis: Cluster
) -> None:
    for person in (ada, max):
        with pytest.raises(NotAllowed):
            verb(metis, actor=person)
    assert verbs() == []


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, ""),
        ({"enabled": False, "maintenance_note": "moved"}, "is disabled: moved"),
        ({"draining": True}, "takes no new work"),
        ({"held_at": now(), "held_reason": "lost five"}, "is held: lost five"),
        ({"last_exchange_at": None}, "was never heard"),
        ({"last_exchange_at": now() - SILENT_AFTER - timedelta(seconds=1)}, "is silent"),
    ],
)
def test_a_cluster_takes_work_or_says_why_not(db: None, fields: dict[str, Any], why: str) -> None:
    site = cluster("metis", **fields)
    assert site.why_not() == why and site.takes_work() is not bool(why)


def test_a_release_lets_one_run_go_first(root: Any, db: None) -> None:
    site = cluster("metis", held_at=now(), held_reason="x", lost_in_a_row=HELD_AFTER)
    operation.release(site, actor=root)
    operation.release(site, actor=root)
    site.refresh_from_db()
    assert site.takes_work() and site.on_trial
    assert verbs() == ["cluster.release"]
