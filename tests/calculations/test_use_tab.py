"""The tab Use: what attempts used, measured by the agent or told by the scheduler's books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from calculations.models import Attempt
from calculations.services import drafts
from calculations.views.using import used_of
from clusters import placement
from labportal.accounts.models import User
from labportal.common.clock import now
from tests.calculations.factories import submitted
from tests.calculations.rest import api
from tests.clusters.factories import Agent, cluster, finished

pytestmark = pytest.mark.django_db
BOOKS = {
    "kind": "slurm",
    "id": "4711",
    "state": "OUT_OF_MEMORY",
    "nodes": "node[1-2]",
    "elapsed_s": 100.0,
    "cpu_s": 300.0,
    "max_rss_mib": 2048.0,
    "submitted_at": "2026-01-01T10:00:00+00:00",
    "started_at": "2026-01-01T10:12:00+00:00",
    "evidence": ["4711|OUT_OF_MEMORY|0:125|00:01:40"],
}


def ended(root: User, ada: User, report: dict[str, Any], **wishes: Any) -> Any:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    calculation = submitted(ada, **wishes)
    placement.place()
    agent.exchange()
    agent.tell(calculation.runs.get().pk, state="finished", scheduler_id="4711", **report)
    agent.exchange()
    calculation.refresh_from_db()
    return calculation


def test_the_books_fill_in_what_the_agent_did_not_measure(
    client: Client, root: User, ada: User
) -> None:
    report = finished("failed", usage={}, accounting=BOOKS)
    report["outcome"]["code"] = "out_of_memory"
    calculation = ended(root, ada, report, cores=4, memory_mib=2048)
    used = used_of(calculation, Attempt.objects.get())
    assert (used.elapsed_s, used.cpu_s, used.efficiency) == (100.0, 300.0, 75.0)
    assert (used.memory_mib, used.memory_share) == (2048.0, 100.0)
    assert used.waited_s == 720.0
    client.force_login(ada)
    page = client.get(f"/calculations/{calculation.pk}/use/").content.decode()
    for words in ("Out of memory", "75 %", "2 GiB", "job 4711", "node[1-2]", "queued 12 min 00 s"):
        assert words in page, words
    assert BOOKS["evidence"][0] in page
    (attempt,) = api(ada).get(f"/api/v1/runs/{calculation.runs.get().pk}/").json()["attempts"]
    assert attempt["scheduler_id"] == "4711"
    assert attempt["accounting"]["state"] == "OUT_OF_MEMORY"


def test_a_plain_process_shows_no_scheduler(client: Client, root: User, ada: User) -> None:
    calculation = ended(root, ada, finished(usage={"elapsed_s": 10.0, "cpu_s": 9.0}))
    client.force_login(ada)
    page = client.get(f"/calculations/{calculation.pk}/use/").content.decode()
    assert "90 %" in page
    assert "Scheduler</th>" not in page
    assert "job 4711" not in page


def test_a_job_that_waits_says_where_why_and_until_when(
    client: Client, root: User, ada: User
) -> None:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    start = now() + timedelta(minutes=30)
    pending = {
        "reason": "Resources",
        "text": "it waits for nodes that are free",
        "partition": "long",
        "expected_start": start.isoformat(),
    }
    run = calculation.runs.get()
    agent.tell(run.pk, state="preparing", scheduler_id="4711", pending=pending)
    agent.exchange()
    client.force_login(ada)
    page = client.get(f"/calculations/{calculation.pk}/").content.decode()
    assert "it waits for nodes that are free" in page
    assert "expected to start" in page
    assert "Job 4711 in long; the scheduler says Resources" in page
    told = api(ada).get(f"/api/v1/calculations/{calculation.pk}/").json()["runs"][0]
    assert told["scheduler_id"] == "4711"
    assert told["pending"]["reason"] == "Resources"


def test_gpu_hours_are_counted(client: Client, root: User, ada: User) -> None:
    calculation = ended(root, ada, finished(usage={"elapsed_s": 3600.0}), gpus=2)
    client.force_login(ada)
    page = client.get(f"/calculations/{calculation.pk}/use/").content.decode()
    assert "GPU-hours" in page
    assert drafts.duplicate(calculation, actor=ada).gpus == 2
