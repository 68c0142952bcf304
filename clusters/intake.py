"""Events that agents send with an exchange: log lines and metrics, stored once by their sequence number."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from calculations.models import Run
from clusters.agent.protocol import MAX_LOG_LINE, EventKind
from clusters.models import Cluster, LogLine, Metrics
from labportal.common.clock import now
from labportal.realtime.events import publish

NUMBERS = ("cpu_percent", "memory_mib", "memory_total_mib", "load1", "disk_free_mib")


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
    if not events:
        return
    runs = _known_runs(cluster, {str(e["run"]) for e in events if e.get("run")})
    lines = LogLine.objects.bulk_create(
        LogLine(
            cluster=cluster,
            run_id=runs[str(e["run"])].pk if str(e.get("run")) in runs else None,
            at=_moment(e.get("at")),
            service=str(e.get("service", "agent"))[:20],
            level=e["level"] if e.get("level") in LogLine.Level.values else LogLine.Level.INFO,
            text=str(e.get("text", ""))[:MAX_LOG_LINE],
        )
        for e in events
    )
    by_calculation: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        document = line_document(line)
        publish("logs", "log.line", {"cluster": cluster.name, **document})
        if line.run_id:
            run = runs[str(line.run_id)]
            by_calculation.setdefault(run.calculation_id, []).append(
                {**document, "index": run.index}
            )
    for calculation_id, documents in by_calculation.items():
        publish(f"calculation:{calculation_id}", "log.lines", {"lines": documents})


def line_document(line: LogLine) -> dict[str, Any]:
    return {
        "id": line.pk,
        "run": str(line.run_id) if line.run_id else None,
        "at": line.at.isoformat(),
        "service": line.service,
        "level": line.level,
        "text": line.text,
    }


def _known_runs(cluster: Cluster, names: set[str]) -> dict[str, Run]:
    """Return the runs that this cluster has or had; a line about another's run loses its link."""
    ids = []
    for name in names:
        try:
            ids.append(uuid.UUID(name))
        except ValueError:
            continue
    runs = Run.objects.filter(pk__in=ids, cluster=cluster) if ids else ()
    return {str(run.pk): run for run in runs}


def _store_metrics(cluster: Cluster, events: Sequence[Mapping[str, Any]]) -> None:
    if not events:
        return
    rows = Metrics.objects.bulk_create(
        Metrics(
            cluster=cluster,
            at=_moment(e.get("at")),
            gpus=e.get("gpus") if isinstance(e.get("gpus"), list) else [],
            **{name: _number(e.get(name)) for name in NUMBERS},
        )
        for e in events
    )
    for row in rows:
        publish(f"cluster:{cluster.pk}", "metrics", metrics_document(row))


def metrics_document(row: Metrics) -> dict[str, Any]:
    return {
        "cluster": row.cluster_id,
        "at": row.at.isoformat(),
        "gpus": row.gpus,
        **{name: getattr(row, name) for name in NUMBERS},
    }


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
