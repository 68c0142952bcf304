"""Down-sampling: each heartbeat counts once in its 5 minutes and its hour, however it came."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from calculations.models import LabSettings
from clusters import summaries
from clusters.models import Cluster, Metrics, MetricsMark, MetricsSummary
from clusters.summaries import forget, merged, summarise
from labportal.common.clock import now
from tests.clusters.factories import cluster

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def heartbeats(of: Cluster, *told: tuple[datetime, float | None], **more: Any) -> None:
    Metrics.objects.bulk_create(
        Metrics(cluster=of, at=at, cpu_percent=cpu, **more) for at, cpu in told
    )


def cpu(step_s: int = 300) -> dict[datetime, list[float]]:
    rows = MetricsSummary.objects.filter(step_s=step_s).order_by("at")
    return {row.at: row.values.get("cpu_percent") for row in rows}


def test_least_mean_and_most_of_each_time(metis: Cluster) -> None:
    heartbeats(metis, (NOON, 10.0), (NOON + 4 * MINUTE, 40.0), (NOON + 5 * MINUTE, 70.0))
    assert summarise() == 3
    assert cpu() == {NOON: [10, 25, 40, 2], NOON + 5 * MINUTE: [70, 70, 70, 1]}
    assert cpu(3600) == {NOON: [10, 40, 70, 3]}


def test_doing_it_again_changes_nothing(metis: Cluster) -> None:
    heartbeats(metis, (NOON, 10.0), (NOON, 20.0))
    summarise()
    before = list(MetricsSummary.objects.order_by("pk").values())
    assert summarise() == 0
    assert list(MetricsSummary.objects.order_by("pk").values()) == before


def test_what_comes_days_late_finds_its_place(metis: Cluster) -> None:
    heartbeats(metis, (NOON, 10.0))
    summarise()
    Metrics.objects.all().delete()
    heartbeats(metis, (NOON + MINUTE, 30.0), (NOON - 60 * MINUTE, 5.0))
    summarise()
    assert cpu()[NOON] == [10, 20, 30, 2]
    assert cpu(3600) == {NOON - 60 * MINUTE: [5, 5, 5, 1], NOON: [10, 20, 30, 2]}


def test_batches_of_any_size_give_the_same(metis: Cluster, monkeypatch: Any) -> None:
    dice = random.Random(7)  # noqa: S311
    told = [
        (NOON + timedelta(seconds=dice.uniform(0, 7200)), dice.choice((None, dice.uniform(0, 100))))
        for _ in range(60)
    ]
    heartbeats(metis, *told)
    summarise()
    whole = cpu()
    MetricsSummary.objects.all().delete()
    MetricsMark.objects.all().delete()
    monkeypatch.setattr(summaries, "BATCH", 7)
    assert summarise() == 60
    assert cpu().keys() == whole.keys()
    for at, values in cpu().items():
        assert values == pytest.approx(whole[at])


def test_what_has_no_time_left_is_done_by_the_next_call(metis: Cluster) -> None:
    heartbeats(metis, (NOON, 10.0))
    assert summarise(budget_s=0) == 0
    assert summarise() == 1


def test_gpus_and_the_site_are_kept_by_name(metis: Cluster) -> None:
    gpu = {"index": 1, "utilisation_percent": 80, "memory_mib": 10, "memory_total_mib": 40}
    site = {"cores": {"allocated": 32, "total": 128}, "jobs": {"pending": 4}}
    heartbeats(metis, (NOON, 10.0), gpus=[gpu], site=site)
    summarise()
    values = MetricsSummary.objects.get(step_s=300).values
    assert values["gpu1_use"] == [80, 80, 80, 1] and values["gpu1_memory"] == [25, 25, 25, 1]
    assert values["site_cores_use"] == [25, 25, 25, 1] and values["site_jobs_pending"][1] == 4


def test_a_clock_far_ahead_makes_no_summary_and_its_heartbeats_go(metis: Cluster) -> None:
    heartbeats(metis, (now() + timedelta(days=400), 10.0))
    assert summarise() == 1 and not MetricsSummary.objects.exists()
    assert forget() == 1


def test_heartbeats_go_once_they_are_old_and_summarised(metis: Cluster) -> None:
    hour = timedelta(hours=1)
    heartbeats(metis, (now() - 49 * hour, 1.0), (now() - 47 * hour, 2.0))
    assert forget() == 0
    summarise()
    assert forget() == 1
    assert Metrics.objects.get().cpu_percent == 2.0
    assert len(cpu()) == 2


def test_summaries_go_by_the_lab_s_settings(metis: Cluster) -> None:
    LabSettings.current()
    LabSettings.objects.update(metrics_minutes_days=10, metrics_hours_days=100)
    for days in (9, 11, 99, 101):
        heartbeats(metis, (now() - timedelta(days=days), 1.0))
    summarise()
    forget()
    assert (len(cpu()), len(cpu(3600))) == (1, 3)


def test_a_cluster_that_says_nothing_costs_nothing(
    metis: Cluster, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    Cluster.objects.update(last_exchange_at=now() - timedelta(hours=1))
    summarise()
    with django_assert_num_queries(2):
        summarise()


_POINTS = st.lists(
    st.dictionaries(
        st.sampled_from(("cpu_percent", "load1", "gpu0_use")),
        st.none() | st.floats(-1e6, 1e6, allow_nan=False),
    ),
    max_size=30,
)


@given(_POINTS, _POINTS)
def test_merging_in_two_steps_is_merging_at_once(first: list[Any], second: list[Any]) -> None:
    at_once = merged({}, [*first, *second])
    in_steps = merged(merged({}, first), second)
    assert in_steps.keys() == at_once.keys()
    for name, (least, mean, most, count) in at_once.items():
        assert in_steps[name][0] == least and in_steps[name][2] == most
        assert in_steps[name][3] == count
        assert in_steps[name][1] == pytest.approx(mean, abs=1e-6, rel=1e-9)
        known = [p[name] for p in [*first, *second] if p.get(name) is not None]
        assert least == min(known) and most == max(known) and count == len(known)
