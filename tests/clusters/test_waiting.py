"""Where runs may go, what is capped, and in which words a run is told why it waits."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from calculations.models import LabSettings, Run
from calculations.selectors import runs_seen, waiting_reason
from clusters import placement
from clusters.models import Cluster, Licence
from clusters.services import operation
from labportal.accounts.models import User
from labportal.common.clock import now
from tests.calculations.factories import chain, submitted
from tests.clusters.factories import OFFERS, Agent, cluster, finished
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db


def machine(name: str = "tesla-1", *, slots: int = 12, **capacity: Any) -> Cluster:
    """A cluster whose agent gives out cores itself."""
    told = {"cores": 16, "memory_mib": 65536, "gpus": [], **capacity}
    slots_told = {"total": slots, "free": slots}
    return cluster(name, capacity={"slots": slots_told, "software": OFFERS, **told})


def batch(name: str, **limits: Any) -> Cluster:
    partition = {"name": "main", "default": True, "max_walltime_s": 86400, "max_nodes": 4}
    partition |= {"cores_per_node": 32, "memory_per_node_mib": 65536, "gpus_per_node": 0}
    told = {"partitions": [partition], "accounts": ["lab"], "qos": [], **limits}
    slots = {"total": 200, "free": 200}
    scheduler = {"kind": "slurm", "version": "22.05", "limits": told}
    return cluster(name, capacity={"slots": slots, "software": OFFERS, "scheduler": scheduler})


def why(name: str = "Water") -> str:
    return Run.objects.get(calculation__name=name).waits_for


def where(name: str) -> str | None:
    run = Run.objects.select_related("cluster").get(calculation__name=name)
    return run.cluster.name if run.cluster else None


def settings(**values: Any) -> None:
    LabSettings.objects.update_or_create(
        pk=LabSettings.current().pk, defaults={"auto_approve_core_hours": 1e6, **values}
    )


def test_it_says_what_is_lacking_and_how_many_are_before(ada: Any) -> None:
    settings()
    machine()
    for number in range(3):
        submitted(ada, name=f"small {number}", cores=2)
    submitted(ada, name="wide", cores=12)
    submitted(ada, name="wider", cores=16)
    placement.place()
    assert why("wide") == "Waits for 12 cores on tesla-1; 10 are free."
    assert why("wider") == "Waits for 16 cores on tesla-1; 10 are free. 1 run is before it."


def test_the_sentence_is_the_newest_and_goes_once_it_is_handed_out(ada: Any) -> None:
    settings()
    site = cluster(slots=1)
    first = submitted(ada, name="first")
    submitted(ada, name="second")
    submitted(ada, name="third")
    placement.place()
    assert why("third") == "Waits for a free slot on metis; 1 run is there. 1 run is before it."
    Run.objects.filter(calculation=first).update(state="valid")
    placement.place()
    assert (where("second"), why("second")) == ("metis", "")
    placement.place(explain=True)
    assert why("third") == "Waits for a free slot on metis; 1 run is there."
    assert site.max_runs is None


def test_it_says_that_nobody_has_the_program(ada: Any) -> None:
    cluster(capacity={"slots": {"total": 2}, "software": {}})
    calculation = submitted(ada)
    placement.place()
    assert why() == "No cluster has No operation."
    seen = runs_seen([calculation])[calculation.pk]
    assert waiting_reason(calculation, seen) == "No cluster has No operation"


def test_it_says_which_clusters_could_and_why_they_do_not(ada: Any, root: Any) -> None:
    site = cluster("gpu-1")
    fixed = submitted(ada, name="fixed", cluster=site)
    submitted(ada, name="any")
    operation.drain(site, note="upgrade till noon", actor=root)
    placement.place()
    assert why("fixed") == "gpu-1 takes no new work: upgrade till noon."
    assert why("any") == (
        "No cluster that can run it takes work now: gpu-1 takes no new work: upgrade till noon."
    )
    cluster("other")
    placement.place(explain=True)
    assert where("any") == "other"
    assert fixed.runs.get().cluster is None


def test_a_fixed_cluster_that_became_too_small_is_named(ada: Any) -> None:
    settings()
    site = machine(cores=64)
    submitted(ada, cores=32, cluster=site)
    Cluster.objects.update(capacity={**site.capacity, "cores": 16})
    placement.place()
    assert why() == "tesla-1 has 16 cores, and 32 are asked for."


def test_a_chain_waits_where_its_files_are(ada: Any, root: Any) -> None:
    site = cluster("tesla")
    agent = Agent(site, root)
    chained = chain(ada, runs=2)
    placement.place()
    agent.exchange()
    first, second = chained.runs.order_by("index")
    agent.tell(first.pk, "finished", **finished())
    agent.exchange()
    Cluster.objects.filter(pk=site.pk).update(last_exchange_at=now() - timedelta(hours=1))
    cluster("idle", slots=9)
    placement.place(explain=True)
    second.refresh_from_db()
    assert second.cluster is None
    assert second.waits_for == "The files that it starts from are on tesla, which is silent."


def test_a_retry_prefers_the_cluster_with_its_files(ada: Any) -> None:
    near = cluster("near", slots=1)
    cluster("roomy", slots=9)
    calculation = submitted(ada)
    calculation.runs.update(restart={"attempt": 1, "cluster": near.pk, "files": ["*.DM"]})
    placement.place()
    assert where("Water") == "near"


def test_runs_at_once_are_capped_for_people_projects_and_clusters(ada: Any, max: Any) -> None:
    settings(runs_per_user=2, runs_per_project=5)
    site = cluster(slots=20)
    for number in range(3):
        submitted(ada, name=f"ada {number}")
    for number in range(3):
        submitted(max, name=f"max {number}")
    assert placement.place() == 4
    assert why("ada 2") == "All 2 runs that its author may have at once are in use."
    settings(runs_per_user=None, runs_per_project=4)
    placement.place(explain=True)
    assert why("max 2") == "All 4 runs that its project may have at once are in use."
    settings(runs_per_project=None)
    Cluster.objects.filter(pk=site.pk).update(max_runs_per_user=2)
    placement.place(explain=True)
    assert why("max 2") == "All 2 runs that its author may have on metis are in use."


def test_seats_of_a_licence_are_counted_over_all_clusters(ada: Any) -> None:
    Licence.objects.create(name="matlab", seats=2)
    cluster("a")
    cluster("b")
    for name in ("one", "two", "three"):
        submitted(ada, name=name, licences=["matlab:1"])
    submitted(ada, name="site's", licences=["abaqus:9"], cluster=batch("site"))
    assert placement.place() == 3
    assert why("three") == "All 2 seats of licence matlab are taken."
    assert where("site's") is not None
    submitted(ada, name="greedy", licences=["matlab:2"])
    Licence.objects.update(seats=1)
    placement.place()
    assert why("greedy") == "The lab has 1 seat of licence matlab; 2 are asked for."


def test_the_cheapest_that_can_is_taken_and_a_dearer_one_only_later(ada: Any) -> None:
    settings(dearer_after_min=60)
    cluster("cheap", slots=1, price_core_hour="0.010")
    cluster("same", slots=1, price_core_hour="0.011")
    cluster("dear", slots=50, price_core_hour="0.500")
    for name in ("a", "b", "c"):
        submitted(ada, name=name)
    placement.place()
    assert sorted(map(where, "ab")) == ["cheap", "same"]
    assert why("c") == (
        "Waits for a free slot on cheap or same. dear is free but costs more; it goes there later."
    )
    Run.objects.filter(state="queued").update(queued_at=now() - timedelta(minutes=61))
    placement.place()
    assert where("c") == "dear"


def test_a_site_s_limits_are_kept(ada: Any) -> None:
    settings()
    small = batch("small")
    big = batch("big", partitions=[{"name": "main", "default": True, "cores_per_node": 128}])
    submitted(ada, name="narrow", cores=32, cluster=small)
    submitted(ada, name="wide", cores=100)
    placement.place()
    assert (where("narrow"), where("wide")) == ("small", "big")
    assert big.why_never(submitted(ada, name="x", cores=1).resources) == ""


def test_gpus_are_counted_by_type(ada: Any) -> None:
    settings()
    gpus = [{"index": 0, "name": "NVIDIA A100"}, {"index": 1, "name": "NVIDIA H200"}]
    machine("gpu-1", gpus=gpus)
    submitted(ada, name="first", gpus=1, gpu_type="h200")
    submitted(ada, name="second", gpus=1, gpu_type="h200")
    submitted(ada, name="any", gpus=1)
    placement.place()
    assert (where("first"), where("any")) == ("gpu-1", "gpu-1")
    assert why("second") == "Waits for 1 GPU of type h200 on gpu-1; 0 are free."


def test_who_used_less_goes_first(ada: Any, max: Any) -> None:
    from clusters.models import Usage

    project = ProjectFactory(name="Other")
    site = cluster(slots=1)
    hers = submitted(ada, name="hers")
    submitted(max, name="his", project=project)
    Usage.objects.create(project=hers.project, user=ada, core_s=1e6)
    placement.place()
    assert (where("hers"), where("his")) == (None, site.name)


def test_no_sentence_names_people_projects_or_calculations(ada: Any, max: Any) -> None:
    settings(runs_per_user=1)
    secret = ProjectFactory(name="Secret plan", private=True, members=[ada])
    cluster(slots=2)
    for actor, name in ((ada, "hidden"), (ada, "hidden too"), (max, "a"), (max, "b"), (max, "c")):
        submitted(actor, name=name, **({"project": secret} if actor == ada else {}))
    placement.place(explain=True)
    words = " ".join(Run.objects.values_list("waits_for", flat=True)).lower()
    for name in (ada.username, max.username, "secret", "hidden", ada.display_name.lower()):
        assert name not in words.split()


def test_a_round_costs_the_same_for_few_and_many(ada: Any, max: Any) -> None:
    settings()
    cluster("a", slots=3)
    cluster("b", slots=3)
    counts = []
    for many in (8, 40):
        for number in range(many):
            submitted(ada if number % 2 else max, name=f"{many} {number}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            placement.place(explain=True)
        counts.append(len(queries))
        Run.objects.filter(state="assigned").update(state="valid")
    assert counts[0] == counts[1] <= 17


def test_a_deep_queue_is_read_only_as_far_as_is_needed(
    ada: Any, max: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("clusters.queueing.SHALLOW", 4)
    cluster(slots=2)
    for number in range(9):
        submitted(ada, name=f"ada {number}")
    submitted(max, name="max 0")
    read: list[int] = []
    original = placement.queueing.asks

    def counted(*args: Any, **how: Any) -> Any:
        found = original(*args, **how)
        read.append(len(found))
        return found

    monkeypatch.setattr(placement.queueing, "asks", counted)
    assert placement.place() == 2
    assert (where("ada 0"), where("max 0")) == ("metis", "metis")
    assert read == [4]  # three of ada's for two slots, and max's one
    placement.place()
    assert len(read) == 1  # nothing is free: nothing is read
    placement.place(explain=True)
    assert not Run.objects.filter(state="queued", waits_for="").exists()


@pytest.mark.django_db(transaction=True)
def test_a_round_waits_until_another_is_over(ada: Any) -> None:
    """What one reads, another must not be about to write: caps are counted from it."""
    cluster()
    submitted(ada)
    placed: list[int] = []

    def round_of_placement() -> None:
        placed.append(placement.place())
        connection.close()

    thread = threading.Thread(target=round_of_placement)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [placement.PLACEMENT_LOCK])
        thread.start()
        waits = False
        deadline = time.monotonic() + 20
        while not waits and thread.is_alive() and time.monotonic() < deadline:
            cursor.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            waits = cursor.fetchone() is not None
        assert waits and placed == []
    thread.join(30)
    assert placed == [1]


@pytest.mark.django_db(transaction=True)
def test_two_rounds_at_once_pass_no_cap(ada: Any) -> None:
    settings(runs_per_user=5)
    Licence.objects.create(name="matlab", seats=3)
    cluster("a", slots=20)
    cluster("b", slots=20)
    for number in range(20):
        licences = ["matlab:1"] if number % 2 else []
        submitted(ada, name=f"{number}", licences=licences)
    ready, placed = threading.Barrier(4), []

    def round_of_placement() -> None:
        ready.wait(10)
        try:
            placed.append(placement.place())
        finally:
            connection.close()

    threads = [threading.Thread(target=round_of_placement) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    held = Run.objects.filter(state="assigned")
    assert held.count() == sum(placed) == 5
    assert held.filter(calculation__licences__len=1).count() <= 3
    assert set(held.values_list("attempt", flat=True)) == {1}
    assert isinstance(ada, User)
