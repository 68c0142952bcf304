"""Leases, attempts, cancels and AWS in trouble: executions keep to the rules of the exchange."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from calculations.models import Run
from calculations.services import lifecycle
from clusters import leases
from clusters.models import AwsAccess, AwsExecution, Purge
from clusters.transports.aws import books, data, tasks
from clusters.transports.aws.clients import Clients
from labportal.common.clock import now
from tests.clusters.aws.conftest import Site
from tests.clusters.aws.machine import Machine

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("aws")]


def started(site: Site) -> Run:
    run = site.run_of()
    site.look()
    run.refresh_from_db()
    return run


def test_an_execution_bears_the_name_of_run_and_attempt_and_starts_once(
    site: Site, machine: Machine
) -> None:
    run = started(site)
    assert (run.state, run.scheduler_id) == ("running", f"{run.pk}-1")
    AwsExecution.objects.update(state="preparing", execution_arn="")  # a kill before it was noted
    site.look()
    assert [e.name for e in machine.executions] == [f"{run.pk}-1"]
    assert AwsExecution.objects.get().execution_arn == machine.executions[0].execution_arn


def test_the_plan_is_written_once_and_gone_on_with(site: Site, machine: Machine) -> None:
    run = started(site)
    before = machine.read(f"labportal/{run.pk}/1/plan.json")
    AwsExecution.objects.update(state="preparing", execution_arn="")
    AwsAccess.objects.update(memory_mib=4096)
    site.look()
    assert machine.read(f"labportal/{run.pk}/1/plan.json") == before
    given = json.loads(machine.executions[0].execution_input)
    assert given["plan_sha256"] == AwsExecution.objects.get().plan_sha256
    assert len(machine.executions[0].execution_input) < 2048


def test_the_program_is_uploaded_once_by_its_checksum(site: Site, machine: Machine) -> None:
    started(site)
    started(site)
    assert len(machine.keys("labportal/programs/")) == 1


def test_a_look_is_taken_every_ten_seconds_at_most(site: Site, machine: Machine) -> None:
    started(site)
    pk = AwsExecution.objects.get().pk
    assert books.due_executions(now()) == []
    assert books.claim(pk) is None
    assert books.due_executions(now() + books.LOOK + timedelta(seconds=1)) == [pk]


def test_one_worker_at_a_time_has_an_execution(site: Site) -> None:
    site.run_of()
    site.exchange()
    pk = AwsExecution.objects.get().pk
    assert books.claim(pk) is not None
    AwsExecution.objects.update(looked_at=None)
    assert books.claim(pk) is None
    AwsExecution.objects.update(busy_until=now())  # its worker was killed
    assert books.claim(pk) is not None


def test_a_cancel_stops_the_execution(site: Site, machine: Machine) -> None:
    run = started(site)
    lifecycle.cancel(run.calculation, actor=site.ada)
    site.look()
    assert machine.executions[0].status == "ABORTED"
    site.look()
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert not AwsExecution.objects.exists()


def test_what_ended_before_a_cancel_reached_it_counts(site: Site, machine: Machine) -> None:
    run = started(site)
    machine.work()
    lifecycle.cancel(run.calculation, actor=site.ada)
    site.look()
    run.refresh_from_db()
    assert run.attempts.get().code == "complete"


def test_an_execution_that_somebody_stopped_in_aws_is_lost_and_tried_again(
    site: Site, machine: Machine
) -> None:
    run = started(site)
    machine.end(machine.executions[0], status="ABORTED")
    site.look()
    run.refresh_from_db()
    assert (run.state, run.attempts.get().ending) == ("queued", "lost")


def test_an_old_attempt_is_stopped_and_forgotten(site: Site, machine: Machine) -> None:
    run = started(site)
    Run.objects.filter(pk=run.pk).update(lease_expires_at=now() - timedelta(seconds=1))
    leases.expire_leases()
    site.look()
    assert machine.executions[0].status == "ABORTED"
    assert not AwsExecution.objects.filter(run=run.pk, attempt=1).exists()


def test_a_walltime_that_is_over_ends_the_execution(site: Site, machine: Machine) -> None:
    run = started(site)
    AwsExecution.objects.update(started_at=now() - timedelta(days=9))
    site.look()
    site.look()
    run.refresh_from_db()
    assert (run.state, run.attempts.get().code) == ("failed", "walltime")


def test_progress_is_how_many_ranks_have_left_word(site: Site, machine: Machine) -> None:
    run = started(site)
    machine.put(f"labportal/{run.pk}/1/ranks/1.json", b"{}")
    site.look()
    run.refresh_from_db()
    assert (run.progress["done"], run.progress["of"]) == (1, 2)


def test_a_run_waits_while_its_functions_would_be_too_many(site: Site, machine: Machine) -> None:
    AwsAccess.objects.update(most_at_once=3)
    started(site)
    second = started(site)
    assert len(machine.executions) == 1
    assert "2 functions are in use" in second.pending["text"]


def test_leases_are_kept_while_aws_is_in_trouble(site: Site, machine: Machine) -> None:
    run = started(site)
    AwsAccess.objects.update(endpoint_url="http://127.0.0.1:9")
    for _ in range(books.TRIES):
        AwsAccess.objects.update(not_before=None)
        site.look()
    access = AwsAccess.objects.get()
    assert access.held_at and "did not answer" in access.last_error
    run.refresh_from_db()
    access.cluster.refresh_from_db()
    assert (run.state, run.pending["reason"]) == ("running", "Unknown")
    assert not access.cluster.offers("torch_inference")
    assert not access.cluster.is_silent()


def test_a_list_goes_on_beyond_a_thousand_keys(site: Site, machine: Machine) -> None:
    machine.put_many(f"data/many/{number}.npz" for number in range(1, 1012))
    clients = Clients(site.access)
    found = data.in_folder(clients, "data", "many", 0)
    assert [item.name for item in found] == [f"{number}.npz" for number in range(1, 1012)]
    assert len(list(clients.listed("data/many/"))) == 1011
    clients.delete([item.key for item in found])
    assert machine.keys("data/many/") == []


def test_what_a_run_left_is_deleted_when_its_raw_files_go(site: Site, machine: Machine) -> None:
    run = started(site)
    machine.end(machine.executions[0], {"error": "x", "cause": "y"})
    site.look()
    Purge.objects.create(cluster=site.access.cluster, run=run, attempt=1, keep=["plan.json"])
    type(site.access.cluster).objects.update(purges_pending=1)
    site.exchange()
    tasks.purge(site.access.pk)
    site.exchange()
    assert machine.keys(f"labportal/{run.pk}/") == [f"labportal/{run.pk}/1/plan.json"]
    purge = Purge.objects.get()
    assert purge.done_at is not None
    assert AwsAccess.objects.get().purged == []


def test_other_programs_are_not_offered(site: Site) -> None:
    site.access.cluster.refresh_from_db()
    assert site.access.cluster.offers("torch_inference")
    assert not site.access.cluster.offers("siesta")


def test_the_log_tells_the_course(site: Site, machine: Machine) -> None:
    from clusters.models import LogLine

    run = started(site)
    texts = LogLine.objects.filter(run=run.pk).values_list("text", flat=True)
    assert any("2 functions were asked for" in text for text in texts)
    assert AwsAccess.objects.get().unsent == []


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a\\b"])
def test_no_name_leads_out_of_the_data_sets(name: str) -> None:
    with pytest.raises(Exception, match="leads out"):
        data.safe(name)


def test_nothing_is_answered_by_a_cluster_that_is_not_set_up(db: Any) -> None:
    assert tasks.agent.exchange(0) is False
