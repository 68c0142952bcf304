"""Agent exchanges per second with their heartbeats stored: many agents, each asking again as soon
as it is answered.

The load comes from processes of its own, on the same cores as the portal.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from typing import Any

from bench.client import Client
from bench.stack import Stack
from clusters.agent.protocol import EXCHANGE_PATH, PROTOCOL

STORED = """
import json
from clusters.models import Metrics
print(json.dumps(Metrics.objects.count()))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=16, help="connections that ask at once")


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack(clusters=options.agents) as stack:
        stack.start_web()
        secrets = [secret for _, _, secret in stack.keys]
        rounds = [
            _round(stack.url, secrets, options.at_once, options.seconds, number)
            for number in range(options.rounds)
        ]
        stored = stack.python(STORED)
    answered = sum(len(times) for times in rounds)
    rates = [len(times) / options.seconds for times in rounds]
    times = sorted(t for times in rounds for t in times)
    return {
        "name": "exchange",
        "agents": options.agents,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "per_s": round(statistics.median(rates), 1),
        "rates_per_s": [round(rate, 1) for rate in rates],
        "p50_ms": round(1000 * times[len(times) // 2], 2),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 2),
        "n": answered,
        "lost": answered - stored,
        "first_mark": {"per_s": 300},
        "goal": {"per_s": 1000},
    }


def _round(url: str, secrets: list[str], at_once: int, seconds: float, number: int) -> list[float]:
    queue: multiprocessing.Queue[list[float]] = multiprocessing.Queue()
    shares = [secrets[i::at_once] for i in range(min(at_once, len(secrets)))]
    processes = [
        multiprocessing.Process(target=_ask, args=(url, share, seconds, number, queue))
        for share in shares
    ]
    for process in processes:
        process.start()
    times = [t for _ in processes for t in queue.get(timeout=seconds + 60)]
    for process in processes:
        process.join(10)
    return times


def _ask(
    url: str,
    secrets: list[str],
    seconds: float,
    number: int,
    queue: multiprocessing.Queue[list[float]],
) -> None:
    """Play these agents in turn on one connection, each exchange with one heartbeat."""
    times: list[float] = []
    seqs = dict.fromkeys(secrets, number * 1_000_000)
    deadline = time.perf_counter() + seconds
    with Client(url) as client:
        while time.perf_counter() < deadline:
            for secret in secrets:
                seqs[secret] += 1
                client._authorization = f"Api-Key {secret}"
                began = time.perf_counter()
                status, body = client.request(
                    "POST", EXCHANGE_PATH, _document(secret, seqs[secret])
                )
                times.append(time.perf_counter() - began)
                if status != 200:
                    raise RuntimeError(f"{status}: {body[:500]!r}")
                if json.loads(body)["acknowledged"] != seqs[secret]:
                    raise RuntimeError("the heartbeat was not acknowledged")
                if time.perf_counter() >= deadline:
                    break
    queue.put(times)


def _document(secret: str, seq: int) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "protocol": PROTOCOL,
        "agent": {"id": secret[4:12], "boot": "1", "version": "1", "host": "n1", "clock": at},
        "took_in": 0,
        "wait_s": 0,
        "capacity": {"slots": {"total": 4, "free": 4}, "software": {}},
        "runs": [],
        "events": [
            {
                "seq": seq,
                "at": at,
                "kind": "metrics",
                "cpu_percent": 41.5,
                "memory_mib": 12_000,
                "memory_total_mib": 64_000,
                "load1": 1.5,
                "disk_free_mib": 800_000,
                "gpus": [],
            }
        ],
    }
