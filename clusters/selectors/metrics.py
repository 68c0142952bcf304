"""Charts of a cluster's metrics: of an hour, a day, a week, a month, a year, or while a run ran."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from calculations.models import LabSettings, Run
from clusters.models import Cluster
from clusters.selectors import series
from clusters.selectors.series import MOST_POINTS, Series, Source, Window
from clusters.summaries import HOUR_S, MINUTES_S
from labportal.common.clock import now
from labportal.common.errors import InvalidInput

HEARTBEAT_S = 10  # of agents that were told nothing else
SHORTEST = timedelta(minutes=2)  # a run's chart shows at least so much
MARGIN = 0.04  # of a run's time, before and after it


@dataclass(frozen=True, slots=True)
class Span:
    """A time up to now. `bucket_s`: chosen so that none has more than MOST_POINTS points."""

    name: str
    label: str
    seconds: int
    step_s: int
    bucket_s: int
    gap_s: int

    def window(self) -> Window:
        until = now()
        since = until - timedelta(seconds=self.seconds)
        return Window(since, until, self.step_s, self.bucket_s, self.gap_s)


SPANS = {
    span.name: span
    for span in (
        Span("hour", "Hour", 3600, 0, 10, 90),
        Span("day", "Day", 86_400, MINUTES_S, MINUTES_S, 900),
        Span("week", "Week", 604_800, MINUTES_S, 1800, 4500),
        Span("month", "Month", 30 * 86_400, HOUR_S, 2 * HOUR_S, 4 * HOUR_S),
        Span("year", "Year", 365 * 86_400, HOUR_S, 86_400, 2 * 86_400 + HOUR_S),
    )
}


def span_of(name: str) -> Span:
    """Raises InvalidInput."""
    if name not in SPANS:
        raise InvalidInput(f"must be one of {', '.join(SPANS)}", field="range")
    return SPANS[name]


def window_of_run(run: Run) -> Window | None:
    """The time of its last attempt, with a margin, as finely as it is still kept; None before."""
    if run.started_at is None:
        return None
    end = run.finished_at or now()
    longer = max((SHORTEST - (end - run.started_at)) / 2, MARGIN * (end - run.started_at))
    since, until = run.started_at - longer, min(end + longer, now())
    return _window(since, until)


def _window(since: datetime, until: datetime) -> Window:
    kept, age = LabSettings.current(), now() - since
    seconds = (until - since).total_seconds()
    step_s = HOUR_S
    if age < timedelta(hours=kept.metrics_raw_hours):
        step_s = 0
    elif age < timedelta(days=kept.metrics_minutes_days):
        step_s = MINUTES_S
        since, until = since - timedelta(seconds=step_s), until + timedelta(seconds=step_s)
    unit = step_s or HEARTBEAT_S
    bucket_s = unit * math.ceil(seconds / (MOST_POINTS - 10) / unit)
    return Window(since, until, step_s, bucket_s, max(3 * bucket_s, 90))


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; it draws the series of its source whose names begin and end so.

    `several`: it may draw more than one line, and so needs room for a legend.
    """

    name: str
    title: str
    unit: str
    source: type[Source]
    ending: str
    beginning: str = ""
    high: float | None = None
    several: bool = False
    leave_out: tuple[str, ...] = ()

    def draws(self, name: str) -> bool:
        matches = name.startswith(self.beginning) and name.endswith(self.ending)
        return matches and name not in self.leave_out


CHARTS = {
    chart.name: chart
    for chart in (
        Chart("cpu", "CPU", "%", series.Machine, "cpu_percent", high=100),
        Chart("memory", "Memory", "%", series.Machine, "memory_percent", high=100),
        Chart("gpu", "GPU", "%", series.Gpus, "_use", "gpu", high=100, several=True),
        Chart("gpu-memory", "GPU memory", "%", series.Gpus, "_memory", "gpu", 100, several=True),
        Chart("load", "Load", "", series.Machine, "load1"),
        Chart("disk", "Free disk", "GiB", series.Machine, "disk_free_gib"),
        Chart("site-cores", "Site: cores in use", "%", series.Site, "site_cores_use", high=100),
        Chart("site-nodes", "Site: nodes", "", series.Site, "", "site_nodes_", several=True),
        Chart("site-jobs", "Site: jobs", "", series.Site, "", "site_jobs_", several=True),
    )
}
MEANWHILE = ("cpu", "memory", "gpu", "gpu-memory", "load", "site-cores", "site-jobs")


def charts_of(cluster: Cluster) -> list[Chart]:
    """The charts that say something about this machine."""
    left_out: set[type[Source]] = set()
    if not cluster.capacity.get("gpus"):
        left_out.add(series.Gpus)
    if (cluster.capacity.get("scheduler") or {}).get("kind", "process") == "process":
        left_out.add(series.Site)
    return [chart for chart in CHARTS.values() if chart.source not in left_out]


def meanwhile_of(cluster: Cluster) -> list[Chart]:
    """The charts of a run: what its cluster did while it ran."""
    return [chart for chart in charts_of(cluster) if chart.name in MEANWHILE]


def chart_document(
    cluster_id: int, chart: Chart, window: Window, *, run: Run | None = None
) -> dict[str, Any]:
    """What charts.js draws; `run`: the one whose time is marked."""
    found = series.read(chart.source, cluster_id, window)
    drawn = [name for name in found.columns if chart.draws(name)]
    document = {
        "x": found.x if drawn else [],
        "gap_s": window.gap_s,
        "low": 0,
        "high": chart.high,
        "series": [
            {
                "name": name,
                "label": _label(chart, name),
                "unit": chart.unit,
                "y": _rounded(found.columns[name]),
                **_extremes(found, name, window),
            }
            for name in drawn
        ],
    }
    if run is not None and run.started_at:
        end = run.finished_at or now()
        document["mark"] = [run.started_at.timestamp(), end.timestamp()]
    return document


def document(cluster_id: int, window: Window) -> dict[str, Any]:
    """Every series of the time, for programs; three queries."""
    machine, gpus, site = (
        series.read(source, cluster_id, window)
        for source in (series.Machine, series.Gpus, series.Site)
    )
    return {
        "bucket_s": window.bucket_s,
        "x": machine.x,
        "series": machine.columns,
        "gpus": {"x": gpus.x, "series": gpus.columns},
        "site": {"x": site.x, "series": site.columns},
    }


def _extremes(found: Series, name: str, window: Window) -> dict[str, list[float | None]]:
    if window.step_s == 0:
        return {}
    return {"least": _rounded(found.least[name]), "most": _rounded(found.most[name])}


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, 3) for value in values]


def _label(chart: Chart, name: str) -> str:
    if chart.source is series.Gpus:
        return f"GPU {name.partition('_')[0].removeprefix('gpu')}"
    return name.removeprefix(chart.beginning).capitalize() if chart.beginning else chart.title
