"""What admins do to clusters: who may, what is checked, what the audit says, what is told."""

from __future__ import annotations

from typing import Any

import pytest

from clusters import keys, placement
from clusters.models import Cluster
from clusters.services import clusters as services
from clusters.services import operation
from labportal.audit.models import AuditEntry
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from tests.calculations.factories import draft, submitted
from tests.clusters.factories import Agent, cluster


def verbs() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("verb", flat=True))


def test_an_admin_registers_a_cluster(root: Any) -> None:
    made = services.register(name=" tesla-1 ", description="GPUs", max_runs=2, actor=root)
    assert (made.name, made.enabled, made.max_runs) == ("tesla-1", True, 2)
    assert made.is_silent()
    assert verbs() == ["cluster.register"]


@pytest.mark.parametrize("name", ["", "Tesla", "a b", "-x", "a/b", "new", "x" * 61, "ä"])
def test_a_name_that_no_address_can_carry_is_refused(root: Any, name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        services.register(name=name, actor=root)
    assert "name" in refusal.value.errors
    assert not Cluster.objects.exists() and verbs() == []


def test_a_name_is_taken_once(root: Any) -> None:
    services.register(name="metis", actor=root)
    with pytest.raises(InvalidInput, match="already"):
        services.register(name="metis", actor=root)
    assert Cluster.objects.count() == 1


@pytest.mark.parametrize("most", [0, -1, 10_001])
def test_runs_at_once_have_bounds(root: Any, most: int) -> None:
    with pytest.raises(InvalidInput) as refusal:
        services.register(name="metis", max_runs=most, actor=root)
    assert "max_runs" in refusal.value.errors


def test_fewer_runs_at_once_bind_the_placement(ada: Any, root: Any) -> None:
    metis = cluster(slots=4)
    services.edit(metis, description="", max_runs=1, actor=root)
    for _ in range(3):
        submitted(ada)
    Cluster.objects.update(mean_run_s=600)
    assert placement.place() == 1


def test_a_disabled_cluster_gets_nothing_and_keeps_what_it_has(ada: Any, root: Any) -> None:
    metis = cluster()
    agent = Agent(metis, root)
    run = submitted(ada).runs.get()
    placement.place()
    agent.exchange()
    agent.tell(run.pk, "running")
    operation.disable(metis, note="new disks until Friday", actor=root)
    submitted(ada)
    assert placement.place() == 0
    assert set(agent.verbs().values()) == {"keep"}
    metis.refresh_from_db()
    assert metis.maintenance_note == "new disks until Friday"


def test_enabling_clears_the_note_and_asks_for_work(ada: Any, root: Any) -> None:
    metis = cluster(enabled=False, maintenance_note="disks")
    submitted(ada)
    operation.enable(metis, actor=root)
    operation.enable(metis, actor=root)
    metis.refresh_from_db()
    assert (metis.enabled, metis.maintenance_note) == (True, "")
    assert verbs().count("cluster.enable") == 1
    assert placement.place() == 1


def test_a_cluster_that_was_never_used_can_be_deleted(root: Any) -> None:
    metis = cluster()
    keys.issue(metis, actor=root)
    services.delete(metis, actor=root)
    assert not Cluster.objects.exists()
    assert verbs()[-1] == "cluster.delete"


def test_a_cluster_on_which_something_ran_stays(ada: Any, root: Any) -> None:
    metis = cluster()
    submitted(ada)
    placement.place()
    with pytest.raises(WrongMoment, match="disable it"):
        services.delete(metis, actor=root)
    assert Cluster.objects.exists()


def test_a_cluster_that_a_draft_asks_for_stays(ada: Any, root: Any) -> None:
    metis = cluster()
    draft(ada, cluster=metis)
    with pytest.raises(WrongMoment):
        services.delete(metis, actor=root)


@pytest.mark.parametrize("person", ["ada", "max"])
def test_nobody_else_manages_clusters(person: str, request: pytest.FixtureRequest) -> None:
    actor, metis = request.getfixturevalue(person), cluster()
    for deed in (
        lambda: services.register(name="x", actor=actor),
        lambda: services.edit(metis, description="", max_runs=None, actor=actor),
        lambda: operation.disable(metis, actor=actor),
        lambda: operation.enable(metis, actor=actor),
        lambda: services.delete(metis, actor=actor),
    ):
        with pytest.raises(NotAllowed):
            deed()
    assert verbs() == []
