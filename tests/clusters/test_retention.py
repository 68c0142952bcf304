"""Raw files go by the rule of their project, or by hand, and only once results are verified."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from calculations.models import (
    Attempt,
    Calculation,
    Dataset,
    OutputFile,
    Quantity,
    Run,
)
from calculations.services import integrity, keeping, lifecycle
from calculations.services.results import file_key
from calculations.software.canonical import results_sha256
from calculations.software.registry import get_software
from clusters import retention
from clusters.agent.journal import Journal
from clusters.agent.purging import Purging
from clusters.agent.replies import read_reply
from clusters.agent.workspace import Workspace
from clusters.models import Cluster, Purge
from labportal.accounts.models import User
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import NotAllowed, WrongMoment
from labportal.common.storage import storage
from labportal.notifications.models import Notification
from tests.calculations.factories import chain, submitted
from tests.calculations.standings import ENERGY, EXIT_CODE, executed
from tests.clusters.factories import Agent, cluster
from tests.factories import ProjectFactory

SCF = {
    "name": "scf",
    "label": "SCF",
    "kind": "series",
    "columns": [
        {"name": "step", "label": "Step", "unit": "", "values": [1, 2, 3]},
        {"name": "energy", "label": "Energy", "unit": "eV", "values": [-1.1, 1e22, None]},
        {"name": "note", "label": "Note", "unit": "", "values": ["a", "ü", "\u2028"]},
    ],
}


@pytest.fixture
def agent(root: User) -> Agent:
    agent = Agent(cluster("metis", slots=8), root)
    agent.exchange()
    return agent


@pytest.fixture(autouse=True)
def _commits(django_capture_on_commit_callbacks: Any) -> Any:
    """What is done after the commit is done at once."""
    with django_capture_on_commit_callbacks(execute=False) as callbacks:
        yield callbacks


def ended(calculation: Calculation, *, days: float = 100) -> Run:
    Calculation.objects.filter(pk=calculation.pk).update(finished_at=now() - timedelta(days=days))
    calculation.refresh_from_db()
    return calculation.runs.first()


def with_results(agent: Agent, actor: User, **wishes: Any) -> Calculation:
    """As an agent reports it, with the digest of what it found."""
    found = {"quantities": [EXIT_CODE, ENERGY], "datasets": [SCF]}
    calculation = executed(
        agent, submitted(actor, **wishes), results_sha256=results_sha256(found), results=found
    )
    assert calculation.state == "valid"
    return calculation


def orders() -> list[Any]:
    return list(Purge.objects.values_list("run_id", flat=True))


def test_what_is_stored_has_the_digest_of_what_was_found(agent: Agent, ada: User) -> None:
    run = ended(with_results(agent, ada))
    attempt = run.attempts.get()
    assert attempt.results_sha256 == integrity.stored_digests([run.pk])[run.pk]
    assert integrity.problems([run]) == {}


def test_the_project_s_own_rule_comes_before_the_lab_s(agent: Agent, ada: User) -> None:
    soon = ProjectFactory(retention_days=1)
    never = ProjectFactory(retention_days=1000)
    short = ended(with_results(agent, ada, project=soon), days=2)
    ended(with_results(agent, ada, project=never))
    old = ended(with_results(agent, ada), days=15)
    ended(with_results(agent, ada), days=13)
    assert retention.schedule_purges() == 2
    assert set(orders()) == {short.pk, old.pk}
    assert retention.schedule_purges() == 0


def test_files_that_are_to_be_kept_stay(agent: Agent, ada: User) -> None:
    calculation = with_results(agent, ada)
    ended(calculation)
    keeping.keep_files(calculation, keep=True, actor=ada)
    assert retention.schedule_purges() == 0
    keeping.keep_files(calculation, keep=False, actor=ada)
    assert retention.schedule_purges() == 1


def test_to_keep_files_withdraws_an_order_that_nobody_carried_out(agent: Agent, ada: User) -> None:
    calculation = with_results(agent, ada)
    ended(calculation)
    retention.schedule_purges()
    keeping.keep_files(calculation, keep=True, actor=ada)
    assert orders() == []
    assert calculation.events.order_by("id").last().verb == "keep_files"


@pytest.mark.parametrize(
    "alter",
    [
        lambda: Quantity.objects.filter(name="energy").update(number=-76.2),
        lambda: Quantity.objects.filter(name="energy").update(unit="Ha"),
        lambda: Quantity.objects.filter(name="energy").delete(),
        lambda: Dataset.objects.update(columns=SCF["columns"][:2]),
        lambda: Dataset.objects.all().delete(),
    ],
)
def test_nothing_is_deleted_while_the_stored_results_differ(
    agent: Agent, ada: User, root: User, alter: Callable[[], Any]
) -> None:
    calculation = with_results(agent, ada)
    run = ended(calculation)
    alter()
    assert retention.schedule_purges() == 0
    assert orders() == []
    run.refresh_from_db()
    assert run.purge_held == "the stored results differ from what the cluster found"
    told = Notification.objects.get(user=root)
    assert run.purge_held in told.body
    retention.schedule_purges()
    assert Notification.objects.filter(user=root).count() == 1
    with pytest.raises(WrongMoment, match="differ"):
        retention.purge_now(calculation, actor=ada)


def test_results_of_an_earlier_attempt_are_verified_where_the_last_found_none(
    agent: Agent, ada: User
) -> None:
    run = ended(with_results(agent, ada))
    Run.objects.update(attempt=2, state="cancelled")
    Attempt.objects.create(run=run, number=2, ending="cancelled")
    Quantity.objects.filter(name="energy").update(number=-76.2)
    assert retention.schedule_purges() == 0


def test_mended_results_let_the_files_go(agent: Agent, ada: User) -> None:
    run = ended(with_results(agent, ada))
    Quantity.objects.filter(name="energy").update(number=-76.2)
    retention.schedule_purges()
    Quantity.objects.filter(name="energy").update(number=-76.1)
    assert retention.schedule_purges() == 1
    run.refresh_from_db()
    assert run.purge_held == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "missing"), (b"other", "bytes"), (b"texT", "checksum"), (b"text", "")],
)
def test_retrieved_files_are_verified_too(
    agent: Agent, ada: User, content: bytes | None, words: str
) -> None:
    run = ended(with_results(agent, ada))
    key = file_key(run.pk, 1, "a.dat")
    if content is not None:
        storage().save(key, BytesIO(content))
    OutputFile.objects.create(
        run=run,
        attempt=1,
        name="a.dat",
        size=4,
        sha256=hashlib.sha256(b"text").hexdigest(),
        key=key,
    )
    assert retention.schedule_purges() == (0 if words else 1)
    run.refresh_from_db()
    assert words in run.purge_held


def test_results_of_before_wait_for_a_person(agent: Agent, ada: User) -> None:
    calculation = with_results(agent, ada)
    run = ended(calculation)
    Attempt.objects.update(results_sha256="")
    assert retention.schedule_purges() == 0
    run.refresh_from_db()
    assert "before checksums" in run.purge_held
    assert retention.purge_now(calculation, actor=ada) == 1


def test_by_hand_it_is_the_author_s_or_a_moderator_s(
    agent: Agent, ada: User, eve: User, max: User
) -> None:
    calculation = with_results(agent, ada)
    with pytest.raises(NotAllowed):
        retention.purge_now(calculation, actor=eve)
    assert retention.purge_now(calculation, actor=max) == 1
    assert Purge.objects.get().wanted_by == max
    assert AuditEntry.objects.filter(verb="calculation.purge").exists()
    assert calculation.events.order_by("id").last().verb == "order_purge"
    with pytest.raises(WrongMoment, match="no raw files"):
        retention.purge_now(calculation, actor=ada)


def test_not_while_runs_need_their_files_nor_when_they_are_kept(agent: Agent, ada: User) -> None:
    waiting = submitted(ada)
    with pytest.raises(WrongMoment, match="has not ended"):
        retention.purge_now(waiting, actor=ada)
    kept = with_results(agent, ada, keep_files=True)
    with pytest.raises(WrongMoment, match="let them go first"):
        retention.purge_now(kept, actor=ada)


class Worker:
    """Does at once what it is given."""

    def submit(self, task: Any, answer: Any) -> None:
        answer(task(), None)


class Idle:
    """Nothing runs."""

    records: dict[Any, Any] = {}

    def news(self, delay_s: float) -> None:
        pass


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    """The agent's own parts for deleting, without the rest of it."""
    workspace = Workspace(tmp_path / "work")
    workspace.open()
    journal = Journal(tmp_path / "work")
    yield Purging(Idle(), Worker(), journal, workspace)  # type: ignore[arg-type]
    journal.close()


def take_in(machine: Purging, answer: Any, purged: list[dict[str, Any]] | None = None) -> None:
    machine.journal.take_in(read_reply(answer.document, {"purged": purged or ()}), [])
    machine.advance()


def write(machine: Purging, run: Run, attempt: int = 1) -> None:
    machine.workspace.write(machine.workspace.make(str(run.pk), attempt), "run.out", b"x" * 5000)


def test_from_the_rule_to_the_tombstone(agent: Agent, ada: User, machine: Purging) -> None:
    run = ended(with_results(agent, ada))
    Run.objects.update(disk_bytes=8192)
    write(machine, run)
    retention.schedule_purges()
    Cluster.objects.update(purges_pending=1)
    take_in(machine, agent.exchange())
    assert not machine.workspace.run_folder(str(run.pk)).exists()
    purged, more = machine.report(10**6)
    answer = agent.exchange(purged=purged)
    assert not more
    purge = Purge.objects.get()
    assert purge.done_at is not None
    assert purge.files == [
        {
            "attempt": 1,
            "name": "run.out",
            "size": 5000,
            "sha256": hashlib.sha256(b"x" * 5000).hexdigest(),
        }
    ]
    assert (purge.file_count, purge.file_bytes) == (1, 5000)
    assert purge.freed_bytes >= 5000
    run.refresh_from_db()
    assert (run.purged_at, run.disk_bytes) == (purge.done_at, 0)
    assert [item for item in answer.document["runs"] if item["verb"] == "purge"] == []
    take_in(machine, answer, purged)
    assert machine.report(10**6) == ([], False)


def test_a_report_that_comes_twice_is_taken_once(agent: Agent, ada: User, machine: Purging) -> None:
    run = ended(with_results(agent, ada))
    write(machine, run)
    retention.schedule_purges()
    Cluster.objects.update(purges_pending=1)
    take_in(machine, agent.exchange())
    purged, _ = machine.report(10**6)
    agent.exchange(purged=purged)
    before = Purge.objects.values().get()
    agent.exchange(purged=[{**purged[0], "files": [], "freed_bytes": 1}])
    assert Purge.objects.values().get() == before


def test_what_was_done_before_it_was_withdrawn_has_its_tombstone(
    agent: Agent, ada: User, machine: Purging
) -> None:
    calculation = with_results(agent, ada)
    run = ended(calculation)
    write(machine, run)
    retention.schedule_purges()
    Cluster.objects.update(purges_pending=1)
    take_in(machine, agent.exchange())
    keeping.keep_files(calculation, keep=True, actor=ada)
    assert orders() == []
    agent.exchange(purged=machine.report(10**6)[0])
    run.refresh_from_db()
    assert run.purged_at is not None
    assert Purge.objects.get().files[0]["name"] == "run.out"


def test_an_order_is_void_once_the_run_is_tried_again(agent: Agent, ada: User) -> None:
    calculation = executed(agent, submitted(ada), verdict="not_valid")
    ended(calculation)
    assert retention.schedule_purges() == 1
    Cluster.objects.update(purges_pending=1)
    lifecycle.retry(calculation, actor=ada)
    answer = agent.exchange()
    assert not [item for item in answer.document["runs"] if item["verb"] == "purge"]
    assert orders() == []


def test_another_cluster_s_word_is_not_taken(agent: Agent, ada: User, root: User) -> None:
    run = ended(with_results(agent, ada))
    retention.schedule_purges()
    other = Agent(cluster("tesla"), root, agent_id="agent-2")
    other.exchange(purged=[{"run": str(run.pk), "attempt": 1, "freed_bytes": 5}])
    run.refresh_from_db()
    assert run.purged_at is None
    assert Purge.objects.get().done_at is None


def test_odd_tombstones_are_read_with_care(agent: Agent, ada: User) -> None:
    run = ended(with_results(agent, ada))
    files = [{"name": "a\0" * 400, "size": -1, "sha256": "zz"}, "x", {}] + [{"name": "b"}] * 2000
    told = {"run": str(run.pk), "attempt": True, "files": files, "count": "9", "freed_bytes": 1e9}
    agent.exchange(purged=[told, {"run": "none"}, {"run": None}])
    purge = Purge.objects.get()
    assert purge.files[0]["name"] == "a" * 300
    assert (purge.files[0]["size"], purge.files[0]["sha256"]) == (0, "")
    assert (len(purge.files), purge.file_count, purge.freed_bytes) == (1000, 1000, 0)


def test_what_a_chain_carries_stays_by_its_own_patterns(agent: Agent, ada: User) -> None:
    calculation = chain(ada, runs=2)
    own = {**calculation.sweep, "carry": ["other-*.txt"]}
    calculation.runs.update(state="failed", attempt=1, cluster=agent.cluster)
    Calculation.objects.filter(pk=calculation.pk).update(
        state="failed", finished_at=now(), sweep=own
    )
    calculation.refresh_from_db()
    retention.purge_now(calculation, actor=ada)
    usual = list(get_software("noop").carry)
    assert [order.keep for order in Purge.objects.all()] == [[*usual, "other-*.txt"]] * 2
