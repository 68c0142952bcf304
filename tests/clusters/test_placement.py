"""Which queued run goes where: order, free slots, software, chains, clusters that take nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from calculations.models import Calculation, Run
from calculations.services import lifecycle
from calculations.software.base import Resources
from clusters import placement
from clusters.models import Cluster
from clusters.rooms import MAX_AHEAD, Leased, room_of
from labportal.common.clock import now
from tests.calculations.factories import submitted
from tests.clusters.factories import cluster

pytestmark = pytest.mark.django_db


def placed() -> list[str]:
    runs = Run.objects.filter(state="assigned").select_related("calculation")
    return sorted(run.calculation.name for run in runs)


def test_no_more_runs_than_slots_are_handed_out(ada: Any) -> None:
    cluster(slots=2)
    for name in "abc":
        submitted(ada, name=name)
    assert placement.place() == 2
    assert placed() == ["a", "b"]


def test_the_higher_priority_goes_first_then_the_older(ada: Any, max: Any) -> None:
    cluster(slots=2)
    for name in "abc":
        submitted(ada, name=name)
    lifecycle.set_priority(Calculation.objects.get(name="c"), 5, actor=max)
    placement.place()
    assert placed() == ["a", "c"]


def test_very_short_runs_are_handed_out_ahead_of_free_slots(ada: Any) -> None:
    site = cluster(slots=2, mean_run_s=0.5)
    held = [Leased((1, 1), Resources())] * 6
    assert room_of(site, ()).free.slots == 2 + 4
    assert room_of(site, held).free.slots == 0
    site.mean_run_s = 3600
    assert room_of(site, ()).free.slots == 2
    site.mean_run_s = 0.0
    assert room_of(site, ()).free.slots == 2 + MAX_AHEAD


def test_max_runs_caps_what_the_agent_offers(ada: Any) -> None:
    site = cluster(slots=8, max_runs=1)
    for name in "ab":
        submitted(ada, name=name)
    assert placement.place() == 1
    assert site.slots_total == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"enabled": False},
        {"last_exchange_at": None},
        {"last_exchange_at": now() - timedelta(seconds=200)},
        {"capacity": {"slots": {"total": 2}, "software": {}}},
        {"capacity": {"slots": {"total": 0}, "software": {"noop": {"ok": True}}}},
        {"capacity": {"slots": {"total": 2}, "software": {"noop": {"ok": False}}}},
        {"capacity": {}},
    ],
)
def test_a_cluster_that_cannot_take_the_run_gets_none(ada: Any, fields: dict[str, Any]) -> None:
    cluster(**fields)
    submitted(ada)
    assert placement.place() == 0
    assert Run.objects.get().state == "queued"


def test_a_fixed_cluster_is_kept_to_and_does_not_hold_up_others(ada: Any) -> None:
    full, free = cluster("full", slots=1), cluster("free", slots=1)
    submitted(ada, name="a", cluster=full)
    submitted(ada, name="b", cluster=full)
    submitted(ada, name="c", cluster=free)
    assert placement.place() == 2
    assert placed() == ["a", "c"]
    assert Run.objects.get(calculation__name="c").cluster == free


def test_any_cluster_means_the_one_with_most_room(ada: Any) -> None:
    cluster("small", slots=1)
    cluster("large", slots=8)
    submitted(ada)
    placement.place()
    assert Run.objects.get().cluster.name == "large"


def test_the_cluster_is_told_that_something_is_wanted(
    ada: Any, django_capture_on_commit_callbacks: Any
) -> None:
    site = cluster()
    submitted(ada)
    with django_capture_on_commit_callbacks(execute=True):
        placement.place()
    assert Cluster.objects.get(pk=site.pk).desired == 1


def test_an_empty_queue_costs_one_look(django_assert_num_queries: Any) -> None:
    cluster()
    with django_assert_num_queries(4):  # savepoint, lock, look, release
        assert placement.place() == 0
