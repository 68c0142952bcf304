"""Metrics of a year and many clusters: how long one run of the task that summarises them takes, how
fast it catches up after a day without it, and how long charts take to read.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.stack import Stack

SEED_AND_MEASURE = """
import json, resource, time
from django.db import connection
from clusters import summaries
from clusters.models import Cluster, Metrics, MetricsSummary
from clusters.selectors.metrics import CHARTS, SPANS, chart_document
from labportal.common.clock import now
COUNT, DAYS, CATCH_UP_H = {clusters}, {days}, {catch_up_hours}
Cluster.objects.all().delete()
Cluster.objects.bulk_create(
    Cluster(name=f"c{{n}}", last_exchange_at=now()) for n in range(COUNT))
NAMES = ("cpu_percent", "memory_percent", "load1", "disk_free_gib", "gpu0_use", "gpu0_memory",
         "gpu1_use", "gpu1_memory", "site_jobs_pending", "site_cores_use")
VALUES = "'" + json.dumps({{name: [0.0, 40.0, 99.0, 30] for name in NAMES}}) + "'::jsonb"
def insert_summaries(step, days):
    cursor.execute(f'''INSERT INTO clusters_metricssummary (cluster_id, step_s, at, count, "values")
      SELECT c.id, {{step}}, t, 30, {{VALUES}} FROM clusters_cluster c,
      generate_series(to_timestamp(floor(extract(epoch FROM now()) / {{step}}) * {{step}})
        - interval '{{days}} days', now() - interval '{{CATCH_UP_H + 1}} hours',
        interval '{{step}} seconds') t''')
def insert_beats(since, until):
    cursor.execute('''INSERT INTO clusters_metrics (cluster_id, at, cpu_percent, memory_mib,
      memory_total_mib, load1, disk_free_mib, gpus, site)
      SELECT c.id, t, 50, 100000, 257000, 8, 800000,
      '[{{"index": 0, "utilisation_percent": 50, "memory_mib": 9, "memory_total_mib": 10}},
        {{"index": 1, "utilisation_percent": 50, "memory_mib": 9, "memory_total_mib": 10}}]',
      '{{"cores": {{"allocated": 10, "total": 20}}, "jobs": {{"pending": 5}}}}'
      FROM generate_series(now() - %s::interval, now() - %s::interval, interval '10 seconds') t,
      clusters_cluster c''', [since, until])
with connection.cursor() as cursor:
    insert_summaries(300, min(DAYS, 40))
    insert_summaries(3600, DAYS)
    insert_beats(f"{{CATCH_UP_H}} hours", "1 minute")
    cursor.execute("ANALYZE clusters_metrics, clusters_metricssummary")
def timed(work):
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
catch_up_s, caught_up = timed(lambda: summaries.summarise(budget_s=3600))
memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
rounds = []
for _ in range(5):
    with connection.cursor() as cursor:
        insert_beats("50 seconds", "0 seconds")
    rounds.append(timed(summaries.summarise))
cluster = Cluster.objects.first().pk
def read(span, name):
    return timed(lambda: chart_document(cluster, CHARTS[name], SPANS[span].window()))[0]
charts = {{
    f"{{span}}_{{name}}_ms": round(1000 * min(read(span, name) for _ in range(3)), 1)
    for span in SPANS for name in ("cpu", "gpu")
}}
kept = MetricsSummary.objects.count() + Metrics.objects.count()
forget_s, _ = timed(summaries.forget)
seconds, n = sorted(rounds)[len(rounds) // 2]
print(json.dumps({{
    "n": n, "seconds": round(seconds, 3), "per_s": round(n / seconds), "rows_kept": kept,
    "catch_up_n": caught_up, "catch_up_s": round(catch_up_s, 1),
    "catch_up_per_s": round(caught_up / catch_up_s), "catch_up_memory_mib": round(memory, 1),
    "forget_s": round(forget_s, 2), **charts}}))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--catch-up-hours", type=int, default=24)


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack(clusters=0) as stack:
        found = stack.python(SEED_AND_MEASURE.format(**vars(options)))
    return {"name": "metrics", "clusters": options.clusters, "days": options.days, **found}
