"""No-op calculations through the whole life cycle: submitted through the API, carried to one site
in one of three ways, and run there by one of four schedulers.

Latency is one calculation at a time, from the create request until its end is heard on the live
socket; the rate is all of them at once. `where` says where the time of the latency goes, from the
portal's own events.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from bench.client import Client
from bench.live import Watcher
from bench.sites import KINDS, portal_with
from bench.stack import Stack

# Quoted from earlier measurements on two cores; no peer runs here.
PEERS = {
    "AiiDA 2.9.4": {"latency_ms": [650, 700], "per_s": 2.3},
    "Prefect 3.8.8": {"latency_ms": 1900, "per_s": 1.2},
    "Celery alone": {"latency_ms": [2, 3], "per_s": [650, 790]},
}
OF_PROCESSES = {
    "peers_quoted": PEERS,
    "first_mark": {"latency_ms_p50": 250, "per_s": 40},
    "goal": {"latency_ms_p50": 60, "per_s": 150},
}
SPANS = """
import json, statistics
from calculations.models import Calculation, Event
spans = {"submit": [], "place": [], "run and report": []}
for calculation in Calculation.objects.filter(name="latency"):
    at = {e.verb + ("-run" if e.run_id else ""): e.at for e in calculation.events.all()}
    spans["submit"].append((at["approve_by_rule"] - at["create"]).total_seconds())
    spans["place"].append((at["assign-run"] - at["approve_by_rule"]).total_seconds())
    spans["run and report"].append((at["finish_valid-run"] - at["assign-run"]).total_seconds())
print(json.dumps({k: round(1000 * statistics.median(v), 1) for k, v in spans.items() if v}))
"""
COUNTS = """
import json
from django.db.models import Count
from calculations.models import Attempt, Calculation, OrphanResult
valid = Calculation.objects.filter(name="rate", state="valid").count()
doubled = Attempt.objects.values("run").annotate(n=Count("pk")).filter(n__gt=1).count()
print(json.dumps({"valid": valid, "doubled": doubled + OrphanResult.objects.count()}))
"""


SLOTS = {"process": 2, "queue": 2, "ssh": 2}
BATCH_SLOTS = 64  # jobs in a scheduler's queue at once


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--carrier", choices=("https", "ssh", "queue"), default="https")
    kinds = [kind for kind, site in KINDS.items() if site.carrier == "https"]
    parser.add_argument("--scheduler", choices=kinds, default="process", help="with https")
    parser.add_argument("--n", type=int, default=500, help="calculations for the rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--single", type=int, default=40, help="calculations for the latency")


def run(options: argparse.Namespace) -> dict[str, Any]:
    kind = options.scheduler if options.carrier == "https" else options.carrier
    name = {"name": "lifecycle", "carrier": options.carrier, "scheduler": options.scheduler}
    missing = KINDS[kind].missing()
    if missing:
        return {**name, "left_out": missing}
    nodes = [0] if KINDS[kind].carrier == "queue" else ()
    slots = SLOTS.get(kind, BATCH_SLOTS)
    with Stack(nodes=nodes) as stack, portal_with(stack, kind, slots=slots):
        with stack.client() as client, stack.watcher(client) as watcher:
            _one(client, watcher, "warm-up")
            latencies = [_one(client, watcher, "latency") for _ in range(options.single)]
            rates = [rate(client, watcher, options.n) for _ in range(options.rounds)]
        where = stack.python(SPANS)
        counts = stack.python(COUNTS)
    latencies.sort()
    total = options.n * options.rounds
    measured = {
        **name,
        "n": options.n,
        "rounds": options.rounds,
        "seconds": round(sum(options.n / rate for rate in rates), 2),
        "latency_ms_p50": round(1000 * statistics.median(latencies), 1),
        "latency_ms_p95": round(1000 * latencies[int(0.95 * (len(latencies) - 1))], 1),
        "per_s": round(statistics.median(rates), 1),
        "rates_per_s": [round(rate, 1) for rate in rates],
        "lost": total - counts["valid"],
        "doubled": counts["doubled"],
        "where_ms": where,
    }
    return measured | (OF_PROCESSES if kind == "process" else {})


def _one(client: Client, watcher: Watcher, name: str) -> float:
    began = time.perf_counter()
    body = {"calculations": [{"name": name, "software": "noop"}], "submit": True}
    watcher.wait_for(client.post("/api/v1/calculations/bulk/", body)[0]["id"])
    return time.perf_counter() - began


def submit_many(client: Client, count: int) -> set[int]:
    """Submit `count` calculations in requests of 100 and return their numbers."""
    ids: set[int] = set()
    for start in range(0, count, 100):
        body = {
            "calculations": [
                {"name": "rate", "software": "noop", "parameters": {"value": number}}
                for number in range(start, min(start + 100, count))
            ],
            "submit": True,
        }
        ids |= {item["id"] for item in client.post("/api/v1/calculations/bulk/", body)}
    return ids


def rate(client: Client, watcher: Watcher, count: int) -> float:
    """Submit `count` at once and return how many ended per second."""
    began = time.perf_counter()
    watcher.wait_for_all(submit_many(client, count), seconds=60 + count)
    return count / (time.perf_counter() - began)
