"""What arrives with a report: results that are what the agent hashed, and what the run takes."""

from __future__ import annotations

import pytest

from calculations.models import OrphanResult, Quantity
from clusters import placement
from labportal.accounts.models import User
from tests.calculations.factories import submitted
from tests.calculations.standings import report, valid
from tests.clusters.factories import Agent, cluster


@pytest.fixture
def agent(root: User) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


def test_results_that_arrive_damaged_are_asked_for_again(agent: Agent, ada: User) -> None:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "finished", **report(results_sha256="0" * 64))
    assert agent.verbs() == {str(run.pk): "keep"}
    assert not Quantity.objects.exists()
    orphan = OrphanResult.objects.get()
    assert "hashed" in orphan.why
    assert agent.verbs() == {str(run.pk): "close"}
    run.refresh_from_db()
    assert run.state == "failed"
    assert run.attempts.get().code == "results_damaged"
    assert not Quantity.objects.exists()


def test_damaged_once_and_whole_the_second_time_is_valid(agent: Agent, ada: User) -> None:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "finished", **report(results_sha256="0" * 64))
    agent.exchange()
    agent.runs[str(run.pk)].pop("results_sha256")
    agent.exchange()
    run.refresh_from_db()
    assert run.state == "valid"


def test_disk_use_is_kept_with_the_run(agent: Agent, ada: User) -> None:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, "running", disk_bytes=4096)
    agent.exchange()
    run.refresh_from_db()
    assert run.disk_bytes == 4096
    agent.tell(run.pk, "running", disk_bytes="much")
    agent.exchange()
    run.refresh_from_db()
    assert run.disk_bytes == 4096
    done = valid(agent, ada)
    assert done.runs.get().disk_bytes is None
