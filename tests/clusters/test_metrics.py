"""Metrics over time: averaged in SQL, at most 400 points, gaps where nothing was heard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from clusters.intake import metrics_document
from clusters.models import Cluster, Metrics
from clusters.selectors import metrics
from clusters.selectors.metrics import CHARTS, SPANS, chart_document, gpu_series, machine_series
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from tests.clusters.factories import cluster

MOST_POINTS = 400


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def heartbeat(site: Cluster, at: datetime, **told: Any) -> Metrics:
    fields = {"cpu_percent": 50.0, "memory_mib": 25.0, "memory_total_mib": 100.0, **told}
    return Metrics(cluster=site, at=at, **fields)


def beat(site: Cluster, since: timedelta, until: timedelta, every: timedelta, **told: Any) -> None:
    end, rows, age = now(), [], since
    while age > until:
        rows.append(heartbeat(site, end - age, **told))
        age -= every
    Metrics.objects.bulk_create(rows)


@pytest.mark.parametrize(
    ("span", "every"),
    [
        ("hour", timedelta(seconds=3)),
        ("day", timedelta(seconds=30)),
        ("week", timedelta(minutes=3)),
    ],
)
def test_no_span_has_more_than_400_points(metis: Cluster, span: str, every: timedelta) -> None:
    beat(metis, timedelta(seconds=SPANS[span].seconds), timedelta(0), every)
    series = machine_series(metis, SPANS[span])
    assert 300 < len(series.x) <= MOST_POINTS
    assert series.x == sorted(series.x)
    assert set(series.columns["cpu_percent"]) == {50.0}
    assert set(series.columns["memory_percent"]) == {25.0}


def test_a_point_is_the_mean_of_its_time(metis: Cluster) -> None:
    bucket = SPANS["day"].bucket_s
    start = datetime.fromtimestamp(now().timestamp() // bucket * bucket - 10 * bucket, now().tzinfo)
    Metrics.objects.bulk_create(
        heartbeat(metis, start + timedelta(seconds=s), cpu_percent=c) for s, c in ((1, 10), (9, 30))
    )
    series = machine_series(metis, SPANS["day"])
    known = [v for v in series.columns["cpu_percent"] if v is not None]
    assert known == [20.0]


def test_silence_is_a_gap_and_jitter_is_none(metis: Cluster) -> None:
    minute = timedelta(minutes=1)
    beat(metis, 40 * minute, 20 * minute, timedelta(seconds=13))
    beat(metis, 10 * minute, timedelta(0), timedelta(seconds=13))
    series = machine_series(metis, SPANS["hour"])
    cpu = series.columns["cpu_percent"]
    gaps = [index for index, value in enumerate(cpu) if value is None]
    assert len(gaps) == 2 and gaps[0] == 0  # before the first, and in the middle
    middle = series.x[gaps[1]]
    assert now().timestamp() - middle == pytest.approx(20 * 60, abs=60)


def test_a_cluster_that_fell_silent_ends_in_a_gap(metis: Cluster) -> None:
    beat(metis, timedelta(minutes=60), timedelta(minutes=30), timedelta(seconds=10))
    series = machine_series(metis, SPANS["hour"])
    assert series.columns["cpu_percent"][-1] is None
    assert series.x[-1] == pytest.approx(now().timestamp(), abs=2)


def test_nothing_heard_is_an_empty_chart(metis: Cluster) -> None:
    heartbeat(metis, now() - timedelta(days=8)).save()
    cluster_of_others = cluster("tesla")
    heartbeat(cluster_of_others, now()).save()
    for chart in CHARTS.values():
        assert chart_document(metis, chart, SPANS["week"])["x"] == []


def test_each_gpu_has_its_line(metis: Cluster) -> None:
    gpus = [
        {"index": 0, "utilisation_percent": 90, "memory_mib": 50, "memory_total_mib": 100},
        {"index": 1, "utilisation_percent": None, "memory_mib": 1, "memory_total_mib": 0},
    ]
    beat(metis, timedelta(minutes=5), timedelta(0), timedelta(seconds=10), gpus=gpus)
    document = chart_document(metis, CHARTS["gpu"], SPANS["hour"])
    assert [series["label"] for series in document["series"]] == ["GPU 0", "GPU 1"]
    assert 90.0 in document["series"][0]["y"] and set(document["series"][1]["y"]) == {None}
    assert set(gpu_series(metis, SPANS["hour"]).columns["gpu0_memory"]) == {50.0, None}


@pytest.mark.parametrize("gpus", [["nonsense", 7, None], [{"index": {}, "memory_mib": "x"}], [[]]])
def test_gpus_that_make_no_sense_break_nothing(metis: Cluster, gpus: list[Any]) -> None:
    row = heartbeat(metis, now(), gpus=gpus)
    row.save()
    chart_document(metis, CHARTS["gpu-memory"], SPANS["hour"])
    metrics_document(row)


def test_the_live_event_has_the_names_of_the_series(metis: Cluster) -> None:
    gpu = {"index": 0, "utilisation_percent": 9, "memory_mib": 1, "memory_total_mib": 4}
    row = heartbeat(metis, now(), gpus=[gpu], load1=1.5, disk_free_mib=2048.0)
    row.save()
    event = metrics_document(row)
    for chart in CHARTS.values():
        for series in chart_document(metis, chart, SPANS["hour"])["series"]:
            last = next(v for v in reversed(series["y"]) if v is not None)
            assert event[series["name"]] == pytest.approx(last), series["name"]


def test_a_chart_is_one_query(
    metis: Cluster, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    beat(metis, timedelta(hours=1), timedelta(0), timedelta(seconds=10))
    with django_assert_num_queries(1):
        chart_document(metis, CHARTS["cpu"], SPANS["hour"])


def test_an_unknown_span_is_refused() -> None:
    with pytest.raises(InvalidInput):
        metrics.span_of("year")
