"""Metrics of long ago in fewer rows: least, mean and most of each 5 minutes and of each hour.

Called by the beat. Heartbeats are taken once each, in the order in which they came, and merged into
the rows of their time: what an agent brings days late finds its place, and a task that was not run
for a week goes on where it was. Never holds more than BATCH heartbeats at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Q

from calculations.models import LabSettings
from clusters.intake import series_of
from clusters.models import Cluster, Metrics, MetricsMark, MetricsSummary
from labportal.common.clock import now

MINUTES_S, HOUR_S = 300, 3600
STEPS = (MINUTES_S, HOUR_S)
BATCH = 5000
BUDGET_S = 45.0  # one call ends after this time; the next goes on
UNHEARD = timedelta(minutes=5)  # so long after its last exchange a cluster brings nothing more
CLOCK_AHEAD = timedelta(days=1)  # a heartbeat of a later time is of a clock that is wrong

Summary = list[float]  # least, mean, most, how many


def summarise(*, budget_s: float = BUDGET_S) -> int:
    """Take in the heartbeats that came since, of each cluster; return how many. May run twice."""
    _begin_marks()
    marks = MetricsMark.objects.values_list("cluster", "at", "cluster__last_exchange_at")
    end, taken = time.monotonic() + budget_s, 0
    for cluster_id, looked_at, heard_at in list(marks):
        if looked_at and (heard_at is None or heard_at < looked_at - UNHEARD):
            continue
        while time.monotonic() < end:
            count = _take_batch(cluster_id)
            taken += count
            if count < BATCH:
                break
    return taken


def forget() -> int:
    """Delete heartbeats that are summarised and old, and summaries beyond their time."""
    kept, moment = LabSettings.current(), now()
    before = moment - timedelta(hours=kept.metrics_raw_hours)
    deleted = 0
    for cluster_id, upto in MetricsMark.objects.values_list("cluster", "upto"):
        old = Metrics.objects.filter(
            Q(at__lt=before) | Q(at__gt=moment + CLOCK_AHEAD), cluster=cluster_id, pk__lte=upto
        )
        deleted += old.delete()[0]
    for step_s, days in ((MINUTES_S, kept.metrics_minutes_days), (HOUR_S, kept.metrics_hours_days)):
        old = MetricsSummary.objects.filter(step_s=step_s, at__lt=moment - timedelta(days=days))
        deleted += old.delete()[0]
    return deleted


def _begin_marks() -> None:
    unmarked = Cluster.objects.filter(metrics_mark=None, last_exchange_at__isnull=False)
    MetricsMark.objects.bulk_create(
        (MetricsMark(cluster=cluster) for cluster in unmarked), ignore_conflicts=True
    )


@transaction.atomic
def _take_batch(cluster_id: int) -> int:
    """The mark moves with the summaries, in one transaction; who finds it locked leaves it.

    Heartbeats of a cluster are stored under its row lock, so that none with a lower number comes
    after one with a higher.
    """
    locked = MetricsMark.objects.select_for_update(skip_locked=True, no_key=True)
    mark = locked.filter(cluster=cluster_id).first()
    if mark is None:
        return 0
    moment = now()
    fresh = Metrics.objects.filter(cluster=cluster_id, pk__gt=mark.upto).order_by("pk")
    beats = list(fresh[:BATCH])
    for step_s in STEPS:
        _merge(cluster_id, step_s, [b for b in beats if b.at <= moment + CLOCK_AHEAD])
    mark.upto, mark.at = (beats[-1].pk if beats else mark.upto), moment
    mark.save(update_fields=["upto", "at"])
    return len(beats)


def _merge(cluster_id: int, step_s: int, beats: Sequence[Metrics]) -> None:
    buckets: dict[datetime, list[Metrics]] = {}
    for beat in beats:
        buckets.setdefault(_begin(beat.at, step_s), []).append(beat)
    known = MetricsSummary.objects.filter(cluster=cluster_id, step_s=step_s, at__in=buckets)
    before = {row.at: row for row in known}
    rows = []
    for at, members in buckets.items():
        row = before.get(at) or MetricsSummary(cluster_id=cluster_id, step_s=step_s, at=at, count=0)
        row.count += len(members)
        row.values = merged(row.values, (series_of(beat) for beat in members))
        rows.append(row)
    MetricsSummary.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["cluster", "step_s", "at"],
        update_fields=["count", "values"],
    )


def merged(
    summary: Mapping[str, Summary], points: Iterable[Mapping[str, float | None]]
) -> dict[str, Summary]:
    """Return the summary with further points in it; what is not known counts for nothing."""
    sums = {
        name: [least, mean * count, most, count]
        for name, (least, mean, most, count) in summary.items()
    }
    for point in points:
        for name, value in point.items():
            if value is None:
                continue
            found = sums.get(name)
            if found is None:
                sums[name] = [value, value, value, 1]
                continue
            found[0] = min(found[0], value)
            found[1] += value
            found[2] = max(found[2], value)
            found[3] += 1
    return {
        name: [least, total / count, most, count]
        for name, (least, total, most, count) in sums.items()
    }


def _begin(at: datetime, step_s: int) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // step_s * step_s, UTC)
