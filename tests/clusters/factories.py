"""Makes clusters with keys, and an agent that speaks the protocol without a machine behind it."""

from __future__ import annotations

from typing import Any

from clusters import keys
from clusters.agent.protocol import PROTOCOL
from clusters.exchange import Answer, handle
from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.common.clock import now

OFFERS = {"noop": {"version": "1", "ok": True, "problem": ""}}


def cluster(name: str = "metis", *, slots: int = 2, **fields: Any) -> Cluster:
    """A cluster whose agent was heard just now."""
    defaults = {
        "last_exchange_at": now(),
        "capacity": {"slots": {"total": slots, "free": slots}, "software": OFFERS},
    }
    return Cluster.objects.create(name=name, **{**defaults, **fields})


class Agent:
    """Says what a test tells it to say; remembers what it was told."""

    def __init__(self, site: Cluster, root: User, *, agent_id: str = "agent-1") -> None:
        self.cluster = site
        self.key, self.secret = keys.issue(site, actor=root)
        self.agent_id, self.boot = agent_id, "b1"
        self.runs: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.seq = 0

    def document(self, **changes: Any) -> dict[str, Any]:
        document = {
            "protocol": PROTOCOL,
            "agent": {"id": self.agent_id, "boot": self.boot, "version": "1", "host": "node1"},
            "took_in": 0,
            "wait_s": 0,
            "capacity": self.cluster.capacity,
            "runs": list(self.runs.values()),
            "events": self.events,
        }
        return {**document, **changes}

    def exchange(self, **changes: Any) -> Answer:
        """Exchange, and take in the reply as an agent does."""
        answer = handle(f"Api-Key {self.secret}", self.document(**changes))
        acknowledged = answer.document["acknowledged"]
        self.events = [e for e in self.events if e["seq"] > acknowledged]
        for item in answer.document["runs"]:
            if item["verb"] == "execute":
                self.runs.setdefault(
                    item["run"],
                    {"run": item["run"], "attempt": item["attempt"], "state": "preparing"},
                )
            elif item["verb"] in ("close", "abandon"):
                self.runs.pop(item["run"], None)
        return answer

    def verbs(self, **changes: Any) -> dict[str, str]:
        return {item["run"]: item["verb"] for item in self.exchange(**changes).document["runs"]}

    def tell(self, run: Any, state: str, **details: Any) -> None:
        self.runs[str(run)].update(state=state, **details)

    def log(self, text: str, *, run: Any = None, level: str = "INFO", service: str = "") -> None:
        self.seq += 1
        self.events.append(
            {
                "seq": self.seq,
                "at": now().isoformat(),
                "kind": "log",
                "run": str(run) if run else None,
                "service": service or ("program" if run else "agent"),
                "level": level,
                "text": text,
            }
        )


def finished(
    verdict: str = "valid", *, value: float | None = None, **details: Any
) -> dict[str, Any]:
    """The rest of a terminal report."""
    quantities = (
        []
        if value is None
        else [{"name": "energy", "label": "Energy", "value": value, "unit": "eV"}]
    )
    return {
        "outcome": {
            "verdict": verdict,
            "code": "converged" if verdict == "valid" else "scf_not_converged",
            "message": f"it is {verdict}",
            "remedy": "" if verdict == "valid" else "mix less",
            "evidence": ["the output says so"],
        },
        "exit": {"code": 0, "signal": None, "timed_out": False},
        "usage": {"elapsed_s": 0.5, "cpu_s": 0.4, "max_rss_mib": 12.0},
        "results": {"quantities": quantities, "datasets": []},
        "analyses": [],
        "files": [],
        **details,
    }
