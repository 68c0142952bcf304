"""Metrics of a cluster over a time, read in one statement: heartbeats where they are still there,
summaries of them where the time is long ago or long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import connection

from clusters.intake import SITE

CLOCK_TOLERANCE = timedelta(minutes=5)  # of an agent whose clock is ahead
MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Window:
    """A time; `step_s`: what one stored row stands for, 0 for heartbeats; `bucket_s`: what one
    point stands for, so that there are at most MOST_POINTS; `gap_s`: longer without a row is a gap.
    """

    since: datetime
    until: datetime
    step_s: int
    bucket_s: int
    gap_s: int


@dataclass(slots=True)
class Series:
    """Points of time and, by name, a value or None for each; a None in all of them is a gap.

    `least` and `most` hold the extremes behind the means, where summaries tell them.
    """

    window: Window
    x: list[float]
    columns: dict[str, list[float | None]]
    least: dict[str, list[float | None]]
    most: dict[str, list[float | None]]


MACHINE = ("cpu_percent", "memory_percent", "load1", "disk_free_gib")
SITE_NAMES = tuple(f"site_{part}_{name}" for part, names in SITE.items() for name in names)
_TIME = "WHERE cluster_id = %(cluster)s AND at >= %(since)s AND at <= %(until)s"
_BUCKET = "floor(extract(epoch FROM at) / %(bucket)s)"


class Source:
    """How a family of series is read; `select` gives rows of name, time, mean, least, most.

    `raw`: the statement for heartbeats; `kept`: the values of a summary that belong to it, as rows.
    """

    raw: ClassVar[str]
    kept: ClassVar[str]

    @classmethod
    def select(cls, cluster_id: int, window: Window) -> list[tuple[Any, ...]]:
        sql = cls.raw if window.step_s == 0 else _SUMMARIES.format(kept=cls.kept)
        values = {
            "cluster": cluster_id,
            "since": window.since,
            "until": window.until + CLOCK_TOLERANCE,
            "end": window.until.timestamp(),
            "bucket": window.bucket_s,
            "step": window.step_s,
        }
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()


def _named(names: Iterable[str]) -> str:
    """Pick them one by one: much faster than to unfold all that a summary holds."""
    rows = (f"('{name}', \"values\" -> '{name}')" for name in names)
    return f"(VALUES {', '.join(rows)})"


_SUMMARIES = f"""
    SELECT one.key, least(avg(extract(epoch FROM at) + step_s / 2.0), %(end)s)::float8,
           sum((one.value ->> 1)::float8 * (one.value ->> 3)::float8)
             / NULLIF(sum((one.value ->> 3)::float8), 0),
           min((one.value ->> 0)::float8), max((one.value ->> 2)::float8)
      FROM clusters_metricssummary, LATERAL {{kept}} AS one(key, value)
     {_TIME} AND step_s = %(step)s AND one.value IS NOT NULL
     GROUP BY one.key, {_BUCKET} ORDER BY 2
"""  # noqa: S608


class Machine(Source):
    """Processor, memory, load and disk."""

    raw = f"""
    SELECT one.name, max(extract(epoch FROM at))::float8, avg(one.value), NULL, NULL
      FROM clusters_metrics, LATERAL (VALUES
           ('cpu_percent', cpu_percent),
           ('memory_percent', 100 * memory_mib / NULLIF(memory_total_mib, 0)),
           ('load1', load1),
           ('disk_free_gib', disk_free_mib / 1024)) AS one(name, value)
     {_TIME}
     GROUP BY one.name, {_BUCKET} ORDER BY 2
    """  # noqa: S608
    kept = _named(MACHINE)


class Gpus(Source):
    """Use and memory of each GPU that was told of, as gpu0_use, gpu0_memory, …"""

    raw = f"""
    SELECT 'gpu' || left(coalesce(gpu ->> 'index', '0'), 8) || one.name,
           max(extract(epoch FROM at))::float8, avg(one.value), NULL, NULL
      FROM clusters_metrics, jsonb_array_elements(gpus) AS gpu, LATERAL (VALUES
           ('_use', CASE WHEN jsonb_typeof(gpu -> 'utilisation_percent') = 'number'
                         THEN (gpu ->> 'utilisation_percent')::float8 END),
           ('_memory', CASE WHEN jsonb_typeof(gpu -> 'memory_mib') = 'number'
                             AND jsonb_typeof(gpu -> 'memory_total_mib') = 'number'
                            THEN 100 * (gpu ->> 'memory_mib')::float8
                                 / NULLIF((gpu ->> 'memory_total_mib')::float8, 0) END)
           ) AS one(name, value)
     {_TIME}
     GROUP BY 1, {_BUCKET} ORDER BY 2
    """  # noqa: S608
    kept = "(SELECT * FROM jsonb_each(\"values\") AS all_of_it(k, v) WHERE k LIKE 'gpu%%')"


class Site(Source):
    """Nodes, cores and jobs of the whole site, where its scheduler tells."""

    raw = f"""
    SELECT one.name, max(extract(epoch FROM at))::float8, avg(one.value), NULL, NULL
      FROM clusters_metrics, LATERAL (
           SELECT 'site_' || part.key || '_' || told.key, (told.value #>> '{{}}')::float8
             FROM jsonb_each(site) AS part, jsonb_each(part.value) AS told
            UNION ALL
           SELECT 'site_cores_use', 100 * (site #>> '{{cores,allocated}}')::float8
                  / NULLIF((site #>> '{{cores,total}}')::float8, 0)) AS one(name, value)
     {_TIME} AND site IS NOT NULL AND one.value IS NOT NULL
     GROUP BY one.name, {_BUCKET} ORDER BY 2
    """  # noqa: S608
    kept = _named((*SITE_NAMES, "site_cores_use"))


def read(source: type[Source], cluster_id: int, window: Window) -> Series:
    """One query. Series of the family that has a value in the window, each point a mean."""
    rows = source.select(cluster_id, window)
    x = sorted({row[1] for row in rows})
    place = {at: index for index, at in enumerate(x)}
    tables: tuple[dict[str, list[float | None]], ...] = ({}, {}, {})
    for name, at, *values in rows:
        for table, value in zip(tables, values, strict=True):
            table.setdefault(name, [None] * len(x))[place[at]] = value
    names = sorted(tables[0])
    return _with_gaps(Series(window, x, *({n: table[n] for n in names} for table in tables)))


def _with_gaps(series: Series) -> Series:
    """Put a row without values where nothing was heard for longer than usual, at the ends too."""
    if not series.x:
        return series
    window, x = series.window, series.x
    begin, end = window.since.timestamp(), window.until.timestamp()
    breaks: list[tuple[int, float]] = []  # before which point, and when
    if x[0] - begin > window.gap_s:
        breaks.append((0, begin))
    for index in range(1, len(x)):
        if x[index] - x[index - 1] > window.gap_s:
            breaks.append((index, x[index - 1] + window.bucket_s))
    if end - x[-1] > window.gap_s:
        breaks.append((len(x), end))
    if not breaks:
        return series
    empty: Sequence[tuple[int, None]] = [(index, None) for index, _ in breaks]

    def widened(table: Mapping[str, list[float | None]]) -> dict[str, list[float | None]]:
        return {name: _insert(column, empty) for name, column in table.items()}

    tables = (widened(t) for t in (series.columns, series.least, series.most))
    return Series(window, _insert(x, breaks), *tables)


def _insert(values: list[Any], breaks: Sequence[tuple[int, Any]]) -> list[Any]:
    wide: list[Any] = []
    last = 0
    for index, value in breaks:
        wide += values[last:index]
        wide.append(value)
        last = index
    return wide + values[last:]
