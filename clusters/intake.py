"""Events that agents send with an exchange: log lines and metrics, stored once by their sequence
number.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q
from django.utils.dateparse import parse_datetime

from calculations.models import Attempt, Run
from clusters import rows, serving
from clusters.agent.protocol import MAX_LOG_LINE, EventKind
from clusters.models import Cluster, LogLine, Metrics
from labportal.common.clock import now
from labportal.realtime.events import publish

NUMBERS = ("cpu_percent", "memory_mib", "memory_total_mib", "load1", "disk_free_mib")
SITE = {
    "nodes": ("idle", "mixed", "allocated", "down"),
    "cores": ("idle", "allocated", "total"),
    "jobs": ("running", "pending"),
}
MOST_TOLD = 300  # lines of one exchange on one topic; whoever watches fetches the others


def take_events(cluster: Cluster, events: Sequence[Mapping[str, Any]]) -> bool:
    """Store the events above the cluster's `acknowledged` and raise it; say whether there were any.

    The caller holds the cluster's row lock, so that a pair (agent, seq) is stored once.
    """
    fresh = [e for e in events if isinstance(e.get("seq"), int) and e["seq"] > cluster.acknowledged]
    if not fresh:
        return bool(events)
    fresh = list({e["seq"]: e for e in sorted(fresh, key=lambda e: e["seq"])}.values())
    cluster.acknowledged = fresh[-1]["seq"]
    _store_lines(cluster, [e for e in fresh if e.get("kind") == EventKind.LOG])
    _store_metrics(cluster, [e for e in fresh if e.get("kind") == EventKind.METRICS])
    return True


def _store_lines(cluster: Cluster, events: Sequence[Mapping[str, Any]]) -> None:
    """Store and tell of log lines; one that names a run or a replica which is not this cluster's is
    left out.

    Without its run nobody could say any more who may read it.
    """
    runs = _known_runs(cluster, {str(e["run"]) for e in events if e.get("run")})
    replicas = _known_replicas(cluster, {str(e["replica"]) for e in events if e.get("replica")})
    known = [
        e
        for e in events
        if (not e.get("run") or str(e["run"]) in runs)
        and (not e.get("replica") or str(e["replica"]) in replicas)
    ]
    if not known:
        return
    lines = LogLine.objects.bulk_create(
        LogLine(
            cluster=cluster,
            run=runs.get(str(e.get("run"))),
            replica=replicas.get(str(e.get("replica"))),
            launch=_launch(e.get("launch")),
            at=_moment(e.get("at")),
            service=str(e.get("service", "agent"))[:20],
            level=e["level"] if e.get("level") in LogLine.Level.values else LogLine.Level.INFO,
            text=str(e.get("text", ""))[:MAX_LOG_LINE],
        )
        for e in known
    )
    by_topic: dict[str, list[LogLine]] = {}
    for line in lines:
        for topic in _topics(line):
            by_topic.setdefault(topic, []).append(line)
    for topic, told in by_topic.items():
        documents = [line_document(line) for line in told[-MOST_TOLD:]]
        payload = {"lines": documents, "more": len(told) > MOST_TOLD}
        publish(topic, "log.lines", payload)


def _topics(line: LogLine) -> tuple[str, ...]:
    """A run's lines go to those who may see its project, a cluster's own and a model's lines to
    everybody.
    """
    if line.replica is not None:
        return (f"replica:{line.replica}",)
    if line.run is None:
        return ("logs",)
    return (
        f"calculation:{line.run.calculation_id}",
        f"logs:{line.run.calculation.project_id}",
    )


def line_document(line: LogLine) -> dict[str, Any]:
    run = line.run
    return {
        "id": line.pk,
        "at": line.at.isoformat(),
        "cluster": line.cluster.name,
        "origin": origin(line),
        "service": line.service,
        "level": line.level,
        "run": str(line.run_id) if line.run_id else None,
        "calculation": run.calculation_id if run else None,
        "index": run.index if run else None,
        "replica": str(line.replica) if line.replica else None,
        "launch": line.launch,
        "text": line.text,
    }


def origin(line: LogLine) -> str:
    """Where a line comes from, in few words: the cluster, and its agent or the run."""
    return f"{line.cluster.name} {line.run or line.service}"


def _known_runs(cluster: Cluster, names: set[str]) -> dict[str, Run]:
    """Return the runs of these names that this cluster has or had, with their calculations."""
    ids = _ids(names)
    if not ids:
        return {}
    had = Attempt.objects.filter(run=OuterRef("pk"), cluster=cluster)
    runs = Run.objects.filter(Q(cluster=cluster) | Exists(had), pk__in=ids)
    return {str(run.pk): run for run in runs.select_related("calculation")}


def _known_replicas(cluster: Cluster, names: set[str]) -> dict[str, uuid.UUID]:
    """Return those of these names that this cluster serves or served."""
    ids = _ids(names)
    return {str(found): found for found in serving.known(cluster, ids)} if ids else {}


def _ids(names: Iterable[str]) -> list[uuid.UUID]:
    ids = []
    for name in names:
        try:
            ids.append(uuid.UUID(name))
        except ValueError:
            continue
    return ids


def _launch(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0


def _store_metrics(cluster: Cluster, events: Sequence[Mapping[str, Any]]) -> None:
    if not events:
        return
    beats = [
        Metrics(
            cluster=cluster,
            at=_moment(e.get("at")),
            gpus=e.get("gpus") if isinstance(e.get("gpus"), list) else [],
            site=_site(e.get("site")),
            **{name: _number(e.get(name)) for name in NUMBERS},
        )
        for e in events
    ]
    rows.insert_metrics(beats)
    for beat in beats:
        publish(f"cluster:{cluster.pk}", "metrics", metrics_document(beat))


def metrics_document(row: Metrics) -> dict[str, Any]:
    """The event: as it was told, and under the names of the charts' series."""
    return {
        "cluster": row.cluster_id,
        "at": row.at.isoformat(),
        "gpus": row.gpus,
        **{name: getattr(row, name) for name in NUMBERS},
        **series_of(row),
    }


def series_of(row: Metrics) -> dict[str, float | None]:
    """One heartbeat as a point of each of the charts' series; summaries keep the same names."""
    return {
        "cpu_percent": row.cpu_percent,
        "memory_percent": percent(row.memory_mib, row.memory_total_mib),
        "load1": row.load1,
        "disk_free_gib": row.disk_free_mib / 1024 if row.disk_free_mib is not None else None,
        **_gpu_series(row.gpus),
        **_site_series(row.site),
    }


def _gpu_series(gpus: Sequence[Any]) -> dict[str, float | None]:
    series: dict[str, float | None] = {}
    for gpu in gpus:
        if isinstance(gpu, Mapping):
            name = f"gpu{str(gpu.get('index', 0))[:8]}"
            series[f"{name}_use"] = _number(gpu.get("utilisation_percent"))
            series[f"{name}_memory"] = percent(
                _number(gpu.get("memory_mib")), _number(gpu.get("memory_total_mib"))
            )
    return series


def _site(told: Any) -> dict[str, dict[str, float]] | None:
    """What the scheduler told of the whole site, without whatever else stands in it."""
    if not isinstance(told, Mapping):
        return None
    found = {
        part: {
            name: number
            for name in names
            if (number := _number((told.get(part) or {}).get(name))) is not None
        }
        for part, names in SITE.items()
        if isinstance(told.get(part), Mapping)
    }
    return {part: numbers for part, numbers in found.items() if numbers} or None


def _site_series(site: Mapping[str, Mapping[str, float]] | None) -> dict[str, float | None]:
    series: dict[str, float | None] = {
        f"site_{part}_{name}": number
        for part, numbers in (site or {}).items()
        for name, number in numbers.items()
    }
    if "site_cores_total" in series:
        taken = series.get("site_cores_allocated")
        series["site_cores_use"] = percent(taken, series["site_cores_total"])
    return series


def percent(part: float | None, whole: float | None) -> float | None:
    return 100 * part / whole if part is not None and whole else None


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if good else None


def _moment(value: Any) -> datetime:
    """The agent's clock is only shown; one that cannot be read is replaced by ours."""
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    return moment if moment is not None and moment.tzinfo is not None else now()
