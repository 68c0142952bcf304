"""The circuit breaker: what counts as a loss, when a cluster is held, how it is let in again."""

from __future__ import annotations

from typing import Any

import pytest

from calculations.models import Run
from clusters import placement
from clusters.models import HELD_AFTER, Cluster
from clusters.services import operation
from labportal.notifications.models import Notification
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster, finished


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis", slots=20)


@pytest.fixture
def agent(metis: Cluster, root: Any) -> Agent:
    agent = Agent(metis, root)
    agent.exchange()
    return agent


def hand_out(person: Any, agent: Agent, count: int = 1) -> list[Run]:
    runs = [submitted(person).runs.get() for _ in range(count)]
    placement.place()
    agent.exchange()
    return runs


def lose(agent: Agent, *runs: Run, why: str = "the node failed") -> None:
    for run in runs:
        agent.tell(run.pk, "lost", why=why)
    agent.exchange()


def held(site: Cluster) -> bool:
    site.refresh_from_db()
    return site.held_at is not None


def test_runs_lost_in_a_row_hold_the_cluster_and_admins_hear_of_it(
    ada: Any, root: Any, metis: Cluster, agent: Agent
) -> None:
    first, *others = hand_out(ada, agent, HELD_AFTER)
    lose(agent, *others)
    assert not held(metis)
    lose(agent, first)
    assert held(metis) and "the node failed" in metis.held_reason
    told = Notification.objects.get()
    assert told.user == root and "metis is held" in told.subject
    assert placement.place() == 0


def test_one_run_that_is_lost_again_and_again_holds_nothing(
    ada: Any, metis: Cluster, agent: Agent
) -> None:
    runs = hand_out(ada, agent, HELD_AFTER - 1)
    for _ in range(3):
        lose(agent, *runs)
        for run in runs:
            run.refresh_from_db()
        placement.place()
        agent.exchange()
    assert not held(metis)


def test_what_a_program_ended_begins_the_count_anew(ada: Any, metis: Cluster, agent: Agent) -> None:
    well, *runs = hand_out(ada, agent, 2 * HELD_AFTER - 1)
    lose(agent, *runs[: HELD_AFTER - 1])
    agent.tell(well.pk, "finished", **finished("failed"))
    agent.exchange()
    lose(agent, *runs[HELD_AFTER - 1 :])
    assert not held(metis)
    metis.refresh_from_db()
    assert metis.lost_in_a_row == HELD_AFTER - 1


@pytest.fixture
def on_trial(ada: Any, root: Any, metis: Cluster, agent: Agent) -> Cluster:
    lose(agent, *hand_out(ada, agent, HELD_AFTER))
    metis.refresh_from_db()
    operation.release(metis, actor=root)
    return metis


def test_on_trial_one_run_goes_first(on_trial: Cluster, agent: Agent) -> None:
    assert placement.place() == 1
    agent.exchange()
    assert placement.place() == 0
    (name,) = agent.runs
    agent.tell(name, "finished", **finished())
    agent.exchange()
    on_trial.refresh_from_db()
    assert not on_trial.on_trial
    assert placement.place() == HELD_AFTER - 1


def test_a_trial_that_fails_holds_at_once(on_trial: Cluster, agent: Agent) -> None:
    placement.place()
    agent.exchange()
    lose(agent, Run.objects.get(pk=next(iter(agent.runs))), why="the disk is gone")
    assert held(on_trial) and "the disk is gone" in on_trial.held_reason
    assert Notification.objects.count() == 2


def test_an_agent_that_holds_itself_is_shown_and_told_to_try_again(
    root: Any, metis: Cluster, agent: Agent
) -> None:
    capacity = {**metis.capacity, "held": "30 runs could not be submitted"}
    answer = agent.exchange(capacity=capacity)
    assert not answer.urgent
    assert held(metis) and "30 runs could not be submitted" in metis.held_reason
    assert answer.document["agent"]["reset"] is False
    operation.release(metis, actor=root)
    answer = agent.exchange(capacity=capacity)
    assert answer.document["agent"]["reset"] is True and answer.urgent
    answer = agent.exchange(capacity={"slots": {"total": 20}})
    assert answer.document["agent"]["reset"] is False
    assert not held(metis)
