"""Metrics over time: averaged in SQL, at most 400 points, gaps where nothing was heard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from calculations.models import Run
from clusters.intake import metrics_document, series_of
from clusters.models import Cluster, Metrics
from clusters.selectors import metrics
from clusters.selectors.metrics import CHARTS, SPANS, chart_document, window_of_run
from clusters.selectors.series import MOST_POINTS, Gpus, Machine, Series, Site, read
from clusters.summaries import summarise
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from tests.calculations.factories import submitted
from tests.clusters.factories import cluster

SITE = {
    "nodes": {"idle": 6.0, "allocated": 2.0, "mixed": 1.0, "down": 1.0},
    "cores": {"idle": 96.0, "allocated": 32.0, "total": 128.0},
    "jobs": {"running": 12.0, "pending": 40.0},
}


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


def heartbeat(of: Cluster, at: datetime, **told: Any) -> Metrics:
    fields = {"cpu_percent": 50.0, "memory_mib": 25.0, "memory_total_mib": 100.0, **told}
    return Metrics(cluster=of, at=at, **fields)


def beat(of: Cluster, since: timedelta, until: timedelta, every: timedelta, **told: Any) -> None:
    end, rows, age = now(), [], since
    while age > until:
        rows.append(heartbeat(of, end - age, **told))
        age -= every
    Metrics.objects.bulk_create(rows)


def machine_series(site: Cluster, span: str) -> Series:
    summarise()
    return read(Machine, site.pk, SPANS[span].window())


def chart(site: Cluster, name: str, span: str) -> dict[str, Any]:
    return chart_document(site.pk, CHARTS[name], SPANS[span].window())


@pytest.mark.parametrize(
    ("span", "every"),
    [
        ("hour", timedelta(seconds=3)),
        ("day", timedelta(seconds=30)),
        ("week", timedelta(minutes=3)),
        ("month", timedelta(minutes=20)),
        ("year", timedelta(hours=4)),
    ],
)
def test_no_span_has_more_than_400_points(metis: Cluster, span: str, every: timedelta) -> None:
    beat(metis, timedelta(seconds=SPANS[span].seconds), timedelta(0), every)
    series = machine_series(metis, span)
    assert 280 < len(series.x) <= MOST_POINTS
    assert series.x == sorted(series.x)
    assert set(series.columns["cpu_percent"]) == {50.0}
    assert set(series.columns["memory_percent"]) == {25.0}


def test_a_point_is_the_mean_of_its_time(metis: Cluster) -> None:
    bucket = SPANS["day"].bucket_s
    start = datetime.fromtimestamp(now().timestamp() // bucket * bucket - 10 * bucket, now().tzinfo)
    Metrics.objects.bulk_create(
        heartbeat(metis, start + timedelta(seconds=s), cpu_percent=c) for s, c in ((1, 10), (9, 30))
    )
    series = machine_series(metis, "day")
    known = [v for v in series.columns["cpu_percent"] if v is not None]
    assert known == [20.0]


def test_silence_is_a_gap_and_jitter_is_none(metis: Cluster) -> None:
    minute = timedelta(minutes=1)
    beat(metis, 40 * minute, 20 * minute, timedelta(seconds=13))
    beat(metis, 10 * minute, timedelta(0), timedelta(seconds=13))
    series = machine_series(metis, "hour")
    cpu = series.columns["cpu_percent"]
    gaps = [index for index, value in enumerate(cpu) if value is None]
    assert len(gaps) == 2 and gaps[0] == 0  # before the first, and in the middle
    middle = series.x[gaps[1]]
    assert now().timestamp() - middle == pytest.approx(20 * 60, abs=60)


def test_a_cluster_that_fell_silent_ends_in_a_gap(metis: Cluster) -> None:
    beat(metis, timedelta(minutes=60), timedelta(minutes=30), timedelta(seconds=10))
    series = machine_series(metis, "hour")
    assert series.columns["cpu_percent"][-1] is None
    assert series.x[-1] == pytest.approx(now().timestamp(), abs=2)


def test_nothing_heard_is_an_empty_chart(metis: Cluster) -> None:
    heartbeat(metis, now() - timedelta(days=8)).save()
    cluster_of_others = cluster("tesla")
    heartbeat(cluster_of_others, now(), site=SITE).save()
    summarise()
    for name in CHARTS:
        assert chart(metis, name, "week")["x"] == []


def test_each_gpu_has_its_line(metis: Cluster) -> None:
    gpus = [
        {"index": 0, "utilisation_percent": 90, "memory_mib": 50, "memory_total_mib": 100},
        {"index": 1, "utilisation_percent": None, "memory_mib": 1, "memory_total_mib": 0},
    ]
    beat(metis, timedelta(minutes=5), timedelta(0), timedelta(seconds=10), gpus=gpus)
    document = chart(metis, "gpu", "hour")
    assert [series["label"] for series in document["series"]] == ["GPU 0", "GPU 1"]
    assert 90.0 in document["series"][0]["y"] and set(document["series"][1]["y"]) == {None}
    found = read(Gpus, metis.pk, SPANS["hour"].window())
    assert set(found.columns["gpu0_memory"]) == {50.0, None}


@pytest.mark.parametrize("gpus", [["nonsense", 7, None], [{"index": {}, "memory_mib": "x"}], [[]]])
def test_gpus_that_make_no_sense_break_nothing(metis: Cluster, gpus: list[Any]) -> None:
    row = heartbeat(metis, now(), gpus=gpus)
    row.save()
    summarise()
    for span in SPANS:
        chart(metis, "gpu-memory", span)
    metrics_document(row)


def test_the_live_event_has_the_names_of_the_series(metis: Cluster) -> None:
    gpu = {"index": 0, "utilisation_percent": 9, "memory_mib": 1, "memory_total_mib": 4}
    row = heartbeat(metis, now(), gpus=[gpu], load1=1.5, disk_free_mib=2048.0, site=SITE)
    row.save()
    summarise()
    event = metrics_document(row)
    drawn = set()
    for name in CHARTS:
        for span in SPANS:
            for series in chart(metis, name, span)["series"]:
                last = next(v for v in reversed(series["y"]) if v is not None)
                assert event[series["name"]] == pytest.approx(last), (span, series["name"])
                drawn.add(series["name"])
    undrawn = {f"site_cores_{name}" for name in ("idle", "allocated", "total")}
    assert drawn == set(series_of(row)) - undrawn


def test_a_chart_is_one_query(
    metis: Cluster, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    beat(metis, timedelta(hours=1), timedelta(0), timedelta(seconds=10))
    summarise()
    for span in SPANS:
        with django_assert_num_queries(1):
            chart(metis, "cpu", span)


def test_an_unknown_span_is_refused() -> None:
    with pytest.raises(InvalidInput):
        metrics.span_of("century")


def test_summaries_tell_the_extremes_behind_a_mean(metis: Cluster) -> None:
    start = datetime.fromtimestamp(now().timestamp() // 300 * 300 - 3000, now().tzinfo)
    Metrics.objects.bulk_create(
        heartbeat(metis, start + timedelta(seconds=s), cpu_percent=c) for s, c in ((1, 10), (9, 90))
    )
    summarise()
    series = chart(metis, "cpu", "day")["series"][0]
    known = zip(series["y"], series["least"], series["most"], strict=True)
    assert (50.0, 10.0, 90.0) in known


@pytest.mark.parametrize("span", ["hour", "month"])
def test_the_site_s_nodes_and_jobs_have_their_lines(metis: Cluster, span: str) -> None:
    beat(metis, timedelta(minutes=5), timedelta(0), timedelta(seconds=10), site=SITE)
    summarise()
    jobs = chart(metis, "site-jobs", span)["series"]
    assert {s["label"]: s["y"][-1] for s in jobs} == {"Pending": 40.0, "Running": 12.0}
    assert chart(metis, "site-cores", span)["series"][0]["y"][-1] == 25.0
    assert len(chart(metis, "site-nodes", span)["series"]) == 4


def test_only_what_a_machine_has_is_drawn(metis: Cluster) -> None:
    assert [c.name for c in metrics.charts_of(metis)] == ["cpu", "memory", "load", "disk"]
    metis.capacity = {"gpus": [{"index": 0}], "scheduler": {"kind": "slurm"}}
    assert [c.name for c in metrics.charts_of(metis)] == list(CHARTS)


@pytest.fixture
def run(ada: Any, metis: Cluster) -> Run:
    run = submitted(ada).runs.get()
    run.cluster = metis
    return run


@pytest.mark.parametrize(
    ("age", "lasted", "step_s"),
    [
        (timedelta(hours=1), timedelta(seconds=5), 0),
        (timedelta(hours=30), timedelta(hours=20), 0),
        (timedelta(days=5), timedelta(hours=1), 300),
        (timedelta(days=300), timedelta(days=2), 3600),
    ],
)
def test_a_run_s_time_is_read_as_finely_as_it_is_kept(
    run: Run, age: timedelta, lasted: timedelta, step_s: int
) -> None:
    run.started_at = now() - age
    run.finished_at = run.started_at + lasted
    window = window_of_run(run)
    assert window is not None and window.step_s == step_s
    assert window.since < run.started_at and run.finished_at < window.until
    seconds = (window.until - window.since).total_seconds()
    assert seconds >= 120 and seconds / window.bucket_s <= MOST_POINTS


def test_a_run_that_never_began_has_no_time(run: Run) -> None:
    run.started_at = None
    assert window_of_run(run) is None


def test_a_run_s_chart_marks_its_time_and_shows_where_nothing_was_heard(
    run: Run, metis: Cluster
) -> None:
    minute = timedelta(minutes=1)
    run.started_at, run.finished_at = now() - 40 * minute, now() - 10 * minute
    beat(metis, 60 * minute, 30 * minute, timedelta(seconds=10))
    window = window_of_run(run)
    document = chart_document(metis.pk, CHARTS["cpu"], window, run=run)
    assert document["mark"] == [run.started_at.timestamp(), run.finished_at.timestamp()]
    y = document["series"][0]["y"]
    assert y[0] == 50.0 and y[-1] is None
    assert read(Site, metis.pk, window).x == []
