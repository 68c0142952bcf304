"""The portal's share alone: bulk creation, placement, hand-out, results and one terminal state
each, one simulated agent.

The agent answers at once and finds one number per run, so that what is measured is the portal.
"""

from __future__ import annotations

import argparse
import statistics
import threading
from typing import Any

from bench.client import Client
from bench.lifecycle import COUNTS, rate
from bench.stack import Stack
from clusters.agent.protocol import EXCHANGE_PATH, PROTOCOL

# Quoted from an earlier measurement on two cores; no peer runs here.
PEERS = {"QCFractal 0.71": {"per_s": [284, 301]}}
WARM_UP = 100


class SimulatedAgent(threading.Thread):
    """Speaks the protocol over HTTPS' own path; each run ends as soon as it is handed out."""

    def __init__(self, url: str, secret: str, *, name: str = "simulated", slots: int = 64) -> None:
        super().__init__(daemon=True)
        self._client = Client(url, authorization=f"Api-Key {secret}")
        self._agent = {"id": name, "boot": "1", "version": "1", "host": "simulated"}
        self._slots = slots
        self.stopping = False
        self.greeted = threading.Event()

    def run(self) -> None:
        runs: dict[str, dict[str, Any]] = {}
        with self._client as client:
            while not self.stopping:
                answer = client.post(EXCHANGE_PATH, self.document(list(runs.values()), wait_s=2))
                self.greeted.set()
                for item in answer["runs"] if answer else ():
                    if item["verb"] == "execute":
                        runs[item["run"]] = self.report(item)
                    elif item["verb"] in ("close", "abandon"):
                        runs.pop(item["run"], None)

    def document(self, runs: list[dict[str, Any]], *, wait_s: float) -> dict[str, Any]:
        return {
            "protocol": PROTOCOL,
            "agent": self._agent,
            "took_in": 0,
            "wait_s": wait_s,
            "capacity": {
                "slots": {"total": self._slots, "free": self._slots},
                "software": {"noop": {"version": "1", "ok": True, "problem": ""}},
            },
            "runs": runs,
            "events": [],
        }

    @staticmethod
    def report(item: dict[str, Any]) -> dict[str, Any]:
        energy = {"name": "energy", "label": "Energy", "value": -1.5, "unit": "eV"}
        return {
            "run": item["run"],
            "attempt": item["attempt"],
            "state": "finished",
            "outcome": {
                "verdict": "valid",
                "code": "done",
                "message": "simulated",
                "evidence": ["simulated"],
            },
            "exit": {"code": 0},
            "usage": {"elapsed_s": 0.001},
            "results": {"quantities": [energy], "datasets": []},
        }


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)


def run(options: argparse.Namespace) -> dict[str, Any]:
    with Stack() as stack:
        stack.start_web()
        stack.start_worker()
        agent = SimulatedAgent(stack.url, stack.keys[0][2])
        agent.start()
        agent.greeted.wait(30)
        with stack.client() as client, stack.watcher(client) as watcher:
            rate(client, watcher, WARM_UP)
            rates = [rate(client, watcher, options.n) for _ in range(options.rounds)]
        agent.stopping = True
        agent.join(10)
        counts = stack.python(COUNTS)
    total = options.n * options.rounds + WARM_UP
    return {
        "name": "records",
        "n": options.n,
        "rounds": options.rounds,
        "per_s": round(statistics.median(rates), 1),
        "rates_per_s": [round(rate, 1) for rate in rates],
        "lost": total - counts["valid"],
        "doubled": counts["doubled"],
        "peers_quoted": PEERS,
        "first_mark": {"per_s": 150},
        "goal": {"per_s": 600},
    }
