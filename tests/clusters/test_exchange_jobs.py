"""What an agent tells of a scheduler's jobs: why they wait, their ids, what the books say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.models import Attempt, Run
from calculations.services import jobs, lifecycle
from clusters import placement
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster, finished

PENDING = {
    "reason": "Resources",
    "text": "it waits for nodes that are free",
    "expected_start": "2026-11-21T14:05:00.000Z",
    "partition": "debug",
}
BOOKS = {
    "kind": "slurm",
    "id": "4711_3",
    "state": "NODE_FAIL",
    "exit_code": 137,
    "signal": 9,
    "nodes": "node[1-2]",
    "elapsed_s": 61.0,
    "cpu_s": 59.2,
    "max_rss_mib": 812.5,
    "submitted_at": "2026-11-21T14:00:00.000Z",
    "started_at": "2026-11-21T14:01:00.000Z",
    "finished_at": "2026-11-21T14:02:01.000Z",
    "evidence": ["sacct: 4711_3 NODE_FAIL"],
}


@pytest.fixture
def agent(db: None, root: Any) -> Agent:
    agent = Agent(cluster("metis"), root)
    agent.exchange()
    return agent


@pytest.fixture
def held(ada: Any, agent: Agent) -> Run:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    return calculation.runs.get()


def test_a_job_in_the_queue_is_shown_with_its_reason_and_is_no_running_run(
    held: Run, agent: Agent
) -> None:
    agent.tell(held.pk, "preparing", scheduler_id="4711_3", pending=PENDING)
    agent.exchange()
    held.refresh_from_db()
    assert (held.state, held.scheduler_id) == ("assigned", "4711_3")
    assert held.pending == PENDING


def test_what_runs_waits_no_longer(held: Run, agent: Agent) -> None:
    agent.tell(held.pk, "preparing", scheduler_id="4711_3", pending=PENDING)
    agent.exchange()
    agent.tell(held.pk, "running", scheduler_id="4711_3", pending=None)
    agent.exchange()
    held.refresh_from_db()
    assert (held.state, held.pending) == ("running", None)
    assert held.calculation.events.filter(run=held, evidence__contains=["job 4711_3"]).exists()


def test_a_silent_scheduler_is_said_with_the_moment_and_changes_nothing(
    held: Run, agent: Agent
) -> None:
    agent.tell(held.pk, "running", unknown_since="2026-11-21T14:02:01.000Z")
    agent.exchange()
    held.refresh_from_db()
    assert held.state == "running"
    assert held.pending["text"].endswith("of this job since 2026-11-21 14:02 UTC")
    agent.tell(held.pk, "running", unknown_since=None)
    agent.exchange()
    held.refresh_from_db()
    assert held.pending is None


def test_a_lost_attempt_keeps_the_books_and_counts_as_a_loss(held: Run, agent: Agent) -> None:
    agent.tell(held.pk, "running", scheduler_id="4711_3")
    agent.exchange()
    agent.tell(
        held.pk, "lost", why="a node failed on node1", scheduler_id="4711_3", accounting=BOOKS
    )
    agent.exchange()
    held.refresh_from_db()
    attempt = Attempt.objects.get()
    assert (attempt.ending, attempt.message) == ("lost", "a node failed on node1")
    assert (attempt.scheduler_id, attempt.accounting) == ("4711_3", BOOKS)
    assert (held.state, held.losses) == ("queued", 1)


def test_the_next_attempt_begins_without_what_was_told_of_the_last(held: Run, agent: Agent) -> None:
    agent.tell(held.pk, "preparing", scheduler_id="4711_3", pending=PENDING)
    agent.exchange()
    agent.tell(held.pk, "lost", why="preempted")
    agent.exchange()
    placement.place()
    held.refresh_from_db()
    assert (held.state, held.attempt) == ("assigned", 2)
    assert (held.scheduler_id, held.pending) == ("", None)


def test_finished_and_cancelled_attempts_keep_the_books(held: Run, agent: Agent, ada: Any) -> None:
    agent.tell(held.pk, "finished", **finished(), scheduler_id="4711_3", accounting=BOOKS)
    agent.exchange()
    assert Attempt.objects.get(run=held).accounting == BOOKS
    other = submitted(ada).runs.get()
    placement.place()
    agent.exchange()
    agent.tell(other.pk, "running", scheduler_id="4712")
    agent.exchange()
    lifecycle.cancel(other.calculation, actor=ada)
    agent.tell(other.pk, "cancelled", why="asked", scheduler_id="4712", accounting=BOOKS)
    agent.exchange()
    attempt = Attempt.objects.get(run=other)
    assert (attempt.ending, attempt.scheduler_id) == ("cancelled", "4712")
    assert attempt.accounting == BOOKS


words = st.one_of(
    st.text(), st.integers(), st.none(), st.booleans(), st.floats(), st.lists(st.text())
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "scheduler_id": words,
        "unknown_since": words,
        "pending": st.one_of(words, st.dictionaries(st.sampled_from([*PENDING, "more"]), words)),
        "accounting": st.one_of(words, st.dictionaries(st.sampled_from([*BOOKS, "more"]), words)),
    },
)


@given(entries)
def test_whatever_an_agent_tells_is_read_without_harm(entry: dict[str, Any]) -> None:
    run = Run()
    columns = jobs.job_columns(run, entry)
    kept = jobs.attempt_columns(run, entry)
    for text in (str(columns), str(kept)):
        assert "\0" not in text
        text.encode()
    assert len(kept["scheduler_id"]) <= 64
    assert set(kept["accounting"]) <= set(BOOKS)
