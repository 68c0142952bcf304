"""Before the time of a run is over: what the agent says, who is told once, what the page says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from calculations.models import Calculation, Run
from calculations.services import walltime
from clusters import placement
from labportal.accounts.models import Level, User
from labportal.common.clock import now
from labportal.notifications.models import Notification
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent(root: User) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


@pytest.fixture
def told(monkeypatch: Any) -> list[Any]:
    """The runs for which a warning was asked for, warned of at once."""
    calls: list[Any] = []
    monkeypatch.setattr(
        "calculations.tasks.warn_of_walltime.delay",
        lambda ids: (calls.append(ids), walltime.warn(ids)),
    )
    return calls


def run_of(agent: Agent, ada: User, **wishes: Any) -> Run:
    calculation = submitted(ada, walltime_s=3600, **wishes)
    placement.place()
    agent.exchange()
    run = calculation.runs.get()
    agent.tell(run.pk, state="running", scheduler_id="4711")
    agent.exchange()
    return run


def say(agent: Agent, run: Run, left: Any, capture: Any) -> None:
    agent.tell(run.pk, state="running", scheduler_id="4711", walltime_left_s=left)
    with capture(execute=True):
        agent.exchange()
    run.refresh_from_db()


def test_the_author_is_told_once_with_what_to_do(
    agent: Agent, ada: User, told: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    run = run_of(agent, ada)
    assert run.walltime_ends_at is None
    say(agent, run, 360, django_capture_on_commit_callbacks)
    assert abs(run.walltime_ends_at - now() - timedelta(seconds=360)) < timedelta(seconds=30)
    (message,) = Notification.objects.filter(user=ada)
    assert message.subject.endswith("its time is nearly over")
    assert message.level == Level.ERROR
    assert "left of 1 h 00 min on metis, job 4711, and will be ended then" in message.body
    assert "longer time limit" in message.body
    first = run.walltime_ends_at
    say(agent, run, 300, django_capture_on_commit_callbacks)
    assert run.walltime_ends_at == first
    assert len(told) == 1
    walltime.warn([run.pk])
    assert Notification.objects.filter(user=ada).count() == 1


def test_who_wants_no_bad_news_is_not_told(agent: Agent, ada: User) -> None:
    ada.notification_level = Level.NONE
    ada.save()
    run = run_of(agent, ada)
    Run.objects.update(walltime_ends_at=now() + timedelta(minutes=5))
    walltime.warn([run.pk])
    assert not Notification.objects.exists()


@pytest.mark.parametrize("left", ["soon", None, True, -5, 1e9, float("nan"), [1]])
def test_nonsense_is_no_end(
    agent: Agent, ada: User, left: Any, django_capture_on_commit_callbacks: Any
) -> None:
    run = run_of(agent, ada)
    say(agent, run, left, django_capture_on_commit_callbacks)
    assert run.walltime_ends_at is None


def test_many_runs_of_a_calculation_are_one_message(agent: Agent, ada: User) -> None:
    sweep = {"parameter": "value", "from": 0, "to": 6, "points": 7, "mode": "independent"}
    calculation = submitted(ada, sweep=sweep, walltime_s=60)
    ends_at = now() + timedelta(minutes=5, seconds=30)
    calculation.runs.update(
        state="running", walltime_ends_at=ends_at, attempt=1, cluster=agent.cluster
    )
    walltime.warn(calculation.runs.values_list("pk", flat=True))
    (message,) = Notification.objects.filter(user=ada)
    assert message.body.startswith("Run 1, 2, 3, 4, 5 and 2 more have 5 min")


def test_the_page_says_so_while_it_runs(
    client: Client, agent: Agent, ada: User, django_capture_on_commit_callbacks: Any
) -> None:
    run = run_of(agent, ada)
    client.force_login(ada)
    address = f"/calculations/{run.calculation_id}/"
    assert "nearly over" not in client.get(address).content.decode()
    Run.objects.update(walltime_ends_at=now() + timedelta(minutes=5))
    page = client.get(address).content.decode()
    assert "Its time is nearly over." in page
    assert "duplicate it with a longer time limit" in page
    Run.objects.update(state="valid")
    Calculation.objects.update(state="valid")
    assert "nearly over" not in client.get(address).content.decode()


def test_another_attempt_has_its_own_end(agent: Agent, ada: User) -> None:
    run = run_of(agent, ada)
    Run.objects.update(walltime_ends_at=now(), state="queued")
    placement.place()
    run.refresh_from_db()
    assert (run.attempt, run.walltime_ends_at) == (2, None)
