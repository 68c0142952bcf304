"""A thousand simulated agents on one portal process: each sends its heartbeats and has a request
held, as the real ones do; no lease may be missed.

Every agent holds one lease all the time, so that whoever is heard too late loses it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import Any

from bench.stack import Stack
from clusters.agent.protocol import EXCHANGE_PATH, MAX_WAIT_S, PROTOCOL

LIMITS = {"p99_ms": 2000, "missed": 0, "lost": 0}
HEARTBEAT_S = 10.0
# One run for each cluster, assigned to it, as placement would.
LEASES = """
import json
from datetime import timedelta
from calculations.models import Calculation, Run
from clusters.models import Cluster
from labportal.accounts.models import Project, User
from labportal.common.clock import now
person = User.objects.get(username="bench")
project = Project.objects.get(is_default=True)
clusters = list(Cluster.objects.order_by("pk"))
made = Calculation.objects.bulk_create(
    Calculation(project=project, name="leased", software="noop", parameters={}, state="running",
        created_by=person) for _ in clusters)
runs = Run.objects.bulk_create(
    Run(calculation=c, state="running", attempt=1, cluster=k, started_at=now(),
        lease_expires_at=now() + timedelta(seconds=300)) for c, k in zip(made, clusters))
print(json.dumps({k.name: str(r.pk) for k, r in zip(clusters, runs)}))
"""
COUNTS = """
import json
from calculations.models import Attempt, Run
from clusters.models import Metrics
from labportal.common.clock import now
ended = Run.objects.filter(lease_expires_at__lt=now()).count()
print(json.dumps([Attempt.objects.count() + ended, Metrics.objects.count()]))
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=300)


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack(clusters=options.agents) as stack:
        stack.start_web()
        stack.start_worker()
        stack.start_beat()
        leases = stack.python(LEASES)
        agents = [Simulated(name, key, leases[name]) for _, name, key in stack.keys]
        began = time.perf_counter()
        asyncio.run(_all(agents, stack.port, options.seconds))
        seconds = time.perf_counter() - began
        missed, stored = stack.python(COUNTS)
    times = sorted(t for agent in agents for t in agent.times)
    sent = sum(agent.acknowledged for agent in agents)
    found = {
        "name": "agents",
        "n": len(agents),
        "seconds": round(seconds, 1),
        "exchanges": len(times) + sum(agent.held for agent in agents),
        "held": sum(agent.held for agent in agents),
        "per_s": round(len(times) / seconds, 1),
        "p50_ms": round(1000 * times[len(times) // 2], 1),
        "p99_ms": round(1000 * times[int(0.99 * (len(times) - 1))], 1),
        "longest_silence_s": round(max(agent.silence for agent in agents), 1),
        "failures": sum(agent.failures for agent in agents),
        "missed": missed,
        "lost": max(sent - stored, 0),
        "doubled": max(stored - sent, 0),
        "limit": LIMITS,
    }
    return found | {"within": all(found[name] <= most for name, most in LIMITS.items())}


class Simulated:
    """One agent with its two lines. `times` are those of the exchanges that are answered at once;
    `silence` the longest time between two answers.
    """

    def __init__(self, name: str, key: str, run: str) -> None:
        self.name, self.key, self.run = name, key, run
        self.seq = self.acknowledged = 0
        self.times: list[float] = []
        self.held = self.failures = 0
        self.silence, self._heard = 0.0, time.perf_counter()

    async def news(self, port: int, until: float) -> None:
        """A heartbeat every ten seconds."""
        await asyncio.sleep(random.uniform(0, HEARTBEAT_S))  # noqa: S311
        while time.perf_counter() < until:
            began = time.perf_counter()
            self.seq += 1
            if await self._exchange(port, 0.0, self.seq):
                self.times.append(time.perf_counter() - began)
                self.acknowledged = self.seq
            await asyncio.sleep(max(0.0, HEARTBEAT_S - (time.perf_counter() - began)))

    async def idle(self, port: int, until: float) -> None:
        """A request that the portal holds; a newer one releases it, and it is made again."""
        await asyncio.sleep(random.uniform(0, HEARTBEAT_S))  # noqa: S311
        while time.perf_counter() < until:
            wait = min(MAX_WAIT_S, max(1.0, until - time.perf_counter()))
            if await self._exchange(port, wait, None):
                self.held += 1

    async def _exchange(self, port: int, wait_s: float, seq: int | None) -> bool:
        body = json.dumps(self._document(wait_s, seq)).encode()
        head = (
            f"POST {EXCHANGE_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Authorization: Api-Key {self.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            answer = await asyncio.wait_for(reader.read(), wait_s + 30)
            writer.close()
        except (TimeoutError, OSError):
            self.failures += 1
            await asyncio.sleep(1.0)
            return False
        good = answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204"))
        self.failures += not good
        if good:
            now = time.perf_counter()
            self.silence, self._heard = max(self.silence, now - self._heard), now
        else:
            await asyncio.sleep(1.0)
        return good

    def _document(self, wait_s: float, seq: int | None) -> dict[str, Any]:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        beat = {"seq": seq, "at": at, "kind": "metrics", "cpu_percent": 41.5, "gpus": []}
        return {
            "protocol": PROTOCOL,
            "agent": {"id": self.name, "boot": "1", "version": "1", "host": "n1", "clock": at},
            "took_in": 0,
            "wait_s": wait_s,
            "capacity": {"slots": {"total": 1, "free": 0}, "software": {}},
            "runs": [{"run": self.run, "attempt": 1, "state": "running", "since": at}],
            "events": [beat] if seq else [],
        }


async def _all(agents: list[Simulated], port: int, seconds: float) -> None:
    until = time.perf_counter() + seconds
    lines = [line for agent in agents for line in (agent.news, agent.idle)]
    await asyncio.gather(*(line(port, until) for line in lines))
