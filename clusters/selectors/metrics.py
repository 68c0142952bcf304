"""A cluster's metrics over an hour, a day, a week: averaged in SQL, gaps where none was heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from clusters.models import Cluster
from labportal.common.clock import now
from labportal.common.errors import InvalidInput

CLOCK_TOLERANCE = timedelta(minutes=5)  # of an agent whose clock is ahead


@dataclass(frozen=True, slots=True)
class Span:
    """`bucket_s`: what one point stands for, chosen so that no span has more than 400 of them."""

    name: str
    label: str
    seconds: int
    bucket_s: int
    gap_s: int


SPANS = {
    span.name: span
    for span in (
        Span("hour", "Hour", 3600, 10, 90),
        Span("day", "Day", 86_400, 240, 600),
        Span("week", "Week", 604_800, 1800, 4500),
    )
}


@dataclass(slots=True)
class Series:
    """Points of time and, by name, a value or None for each; a None in all of them is a gap."""

    span: Span
    x: list[float]
    columns: dict[str, list[float | None]]


def span_of(name: str) -> Span:
    """Raises InvalidInput."""
    if name not in SPANS:
        raise InvalidInput(f"must be one of {', '.join(SPANS)}", field="range")
    return SPANS[name]


MACHINE = ("cpu_percent", "memory_percent", "load1", "disk_free_gib")
MACHINE_SQL = """
    SELECT max(extract(epoch FROM at))::float8,
           avg(cpu_percent),
           avg(100 * memory_mib / NULLIF(memory_total_mib, 0)),
           avg(load1),
           min(disk_free_mib) / 1024
      FROM clusters_metrics
     WHERE cluster_id = %(cluster)s AND at >= %(since)s AND at <= %(until)s
     GROUP BY floor(extract(epoch FROM at) / %(bucket)s)
     ORDER BY 1
"""
GPU_SQL = """
    SELECT left(coalesce(gpu ->> 'index', '0'), 8),
           max(extract(epoch FROM at))::float8,
           avg(CASE WHEN jsonb_typeof(gpu -> 'utilisation_percent') = 'number'
                    THEN (gpu ->> 'utilisation_percent')::float8 END),
           avg(CASE WHEN jsonb_typeof(gpu -> 'memory_mib') = 'number'
                     AND jsonb_typeof(gpu -> 'memory_total_mib') = 'number'
                    THEN 100 * (gpu ->> 'memory_mib')::float8
                         / NULLIF((gpu ->> 'memory_total_mib')::float8, 0) END)
      FROM clusters_metrics, jsonb_array_elements(gpus) AS gpu
     WHERE cluster_id = %(cluster)s AND at >= %(since)s AND at <= %(until)s
     GROUP BY 1, floor(extract(epoch FROM at) / %(bucket)s)
     ORDER BY 2
"""


def machine_series(cluster: Cluster, span: Span) -> Series:
    """Processor, memory, load and disk."""
    until = now()
    rows = _select(MACHINE_SQL, cluster, span, until)
    columns = {name: [row[place + 1] for row in rows] for place, name in enumerate(MACHINE)}
    return _with_gaps(Series(span, [row[0] for row in rows], columns), until)


def gpu_series(cluster: Cluster, span: Span) -> Series:
    """Use and memory of each GPU that was told of, as gpu0_use, gpu0_memory, …"""
    until = now()
    rows = _select(GPU_SQL, cluster, span, until)
    x = sorted({row[1] for row in rows})
    place = {at: index for index, at in enumerate(x)}
    columns: dict[str, list[float | None]] = {}
    for index, at, use, memory in rows:
        for name, value in ((f"gpu{index}_use", use), (f"gpu{index}_memory", memory)):
            columns.setdefault(name, [None] * len(x))[place[at]] = value
    ordered = {name: columns[name] for name in sorted(columns)}
    return _with_gaps(Series(span, x, ordered), until)


def _select(sql: str, cluster: Cluster, span: Span, until: datetime) -> list[tuple[Any, ...]]:
    values = {
        "cluster": cluster.pk,
        "since": until - timedelta(seconds=span.seconds),
        "until": until + CLOCK_TOLERANCE,
        "bucket": span.bucket_s,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _with_gaps(series: Series, until: datetime) -> Series:
    """Put a row without values where nothing was heard for longer than usual, at the ends too."""
    if not series.x:
        return series
    span, end = series.span, until.timestamp()
    wide = Series(span, [], {name: [] for name in series.columns})

    def gap(at: float) -> None:
        wide.x.append(at)
        for column in wide.columns.values():
            column.append(None)

    if series.x[0] - (end - span.seconds) > span.gap_s:
        gap(end - span.seconds)
    for index, at in enumerate(series.x):
        if index and at - series.x[index - 1] > span.gap_s:
            gap(series.x[index - 1] + span.bucket_s)
        wide.x.append(at)
        for name, column in series.columns.items():
            wide.columns[name].append(column[index])
    if end - series.x[-1] > span.gap_s:
        gap(end)
    return wide


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a cluster's page; it draws the series whose names end so."""

    name: str
    title: str
    unit: str
    source: Callable[[Cluster, Span], Series]
    ending: str
    high: float | None = None

    @property
    def several(self) -> bool:
        """Whether it may draw more than one line, and so needs room for a legend."""
        return self.source is gpu_series


CHARTS = {
    chart.name: chart
    for chart in (
        Chart("cpu", "CPU", "%", machine_series, "cpu_percent", 100),
        Chart("memory", "Memory", "%", machine_series, "memory_percent", 100),
        Chart("gpu", "GPU", "%", gpu_series, "_use", 100),
        Chart("gpu-memory", "GPU memory", "%", gpu_series, "_memory", 100),
        Chart("load", "Load", "", machine_series, "load1"),
        Chart("disk", "Free disk", "GiB", machine_series, "disk_free_gib"),
    )
}


def charts_of(cluster: Cluster) -> list[Chart]:
    """The charts that say something about this machine."""
    gpus = bool(cluster.capacity.get("gpus"))
    return [chart for chart in CHARTS.values() if gpus or chart.source is not gpu_series]


def chart_document(cluster: Cluster, chart: Chart, span: Span) -> dict[str, Any]:
    """What charts.js draws."""
    series = chart.source(cluster, span)
    drawn = [name for name in series.columns if name.endswith(chart.ending)]
    return {
        "x": series.x if drawn else [],
        "gap_s": span.gap_s,
        "low": 0,
        "high": chart.high,
        "series": [
            {
                "name": name,
                "label": _label(chart, name),
                "unit": chart.unit,
                "y": [None if v is None else round(v, 3) for v in series.columns[name]],
            }
            for name in drawn
        ],
    }


def _label(chart: Chart, column: str) -> str:
    gpu = chart.source is gpu_series
    return f"GPU {column.partition('_')[0].removeprefix('gpu')}" if gpu else chart.title
