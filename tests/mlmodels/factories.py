"""Makes models, versions and replicas; clusters that serve models; an agent that serves without a
machine behind it.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.common.clock import now
from mlmodels.models import Invocation, ModelVersion, RegisteredModel, Replica
from mlmodels.services import models, operation, versions
from tests.clusters import factories as clusters

_numbers = itertools.count(1)

SERVING = {
    "runtimes": {
        "podman": {"version": "4.9.3", "rootless": True, "gpus": True},
        "process": {"version": "1", "rootless": True, "gpus": True},
    },
    "host": "127.0.0.1",
    "free": {"cores": 8, "memory_mib": 16_384, "gpus": 0},
}
SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": "number", "title": "Redshift", "minimum": 0}},
    "required": ["x"],
}


def cluster(name: str = "metis", *, free: dict[str, Any] | None = None, **fields: Any) -> Cluster:
    """A cluster that was heard just now and serves models, in containers and as processes."""
    site = clusters.cluster(name, **fields)
    serving = {**SERVING, "free": {**SERVING["free"], **(free or {})}}
    site.capacity = {**site.capacity, "serving": serving}
    site.save(update_fields=["capacity"])
    return site


def registered(by: User, name: str = "", **settings: Any) -> RegisteredModel:
    """A model without a version."""
    name = name or f"model-{next(_numbers)}"
    return models.register(name=name, actor=by, **settings)


def version(
    model: RegisteredModel, *, by: User | None = None, approved: bool = True, **values: Any
) -> ModelVersion:
    """The next version, in a container unless a folder is given; approved unless told otherwise."""
    by = by or model.created_by
    runs: dict[str, Any] = {"runtime": "container", "image": "localhost/echo:1"}
    if "folder" in values:
        runs = {"runtime": "process", "command": ["python3", "serve"]}
    made = versions.add_version(
        model,
        actor=by,
        **{"accepts": ["application/json"], "example": '{"x": 1}', **runs, **values},
    )
    if approved != made.approved:
        made.approved_at = now() if approved else None
        made.save(update_fields=["approved_at"])
    model.refresh_from_db()
    return made


def replica(of: ModelVersion, on: Cluster, state: str = "ready", **fields: Any) -> Replica:
    """A replica as its agent told of it."""
    moment = now()
    told: dict[str, Any] = {"state": state, "told_generation": 1, "launch": 1, "started_at": moment}
    if state in ("ready", "unhealthy"):
        told |= {"address": f"127.0.0.1:{40_000 + next(_numbers)}", "ready_at": moment}
        told |= {"pinged_at": moment}
    return Replica.objects.create(version=of, cluster=on, **{**told, **fields})


def running(by: User, name: str = "", *, on: Cluster | None = None, **values: Any) -> Replica:
    """A model that runs and is ready: return its replica. `values` are of the version."""
    on = on or Cluster.objects.first() or cluster()
    model = registered(by, name)
    version(model, **values)
    operation.start(model, actor=by)
    one = Replica.objects.get(version__model=model)
    agent = Agent(one.cluster)
    agent.exchange()
    agent.tell(one, "ready")
    agent.exchange()
    one.refresh_from_db()
    one.version.model.refresh_from_db()
    return one


def called(of: RegisteredModel, by: User, *, ago_s: float = 90, **values: Any) -> Invocation:
    """A call as it was metered."""
    given = {"ms": 10.0, "status": 200, "bytes_in": 100, "bytes_out": 50, **values}
    given.setdefault("version", of.versions.first())
    moment = now() - timedelta(seconds=ago_s)
    return Invocation.objects.create(model=of, user=by, **{"at": moment, **given})


class Agent:
    """Serves what it is told to, as a test says how that goes; only the serving part is spoken."""

    def __init__(self, site: Cluster) -> None:
        self.cluster = site
        self.entries: dict[str, dict[str, Any]] = {}
        self.specs: dict[str, dict[str, Any]] = {}
        self.ports = itertools.count(40_000)

    def ask(self) -> list[dict[str, Any]]:
        """Say what is, return what the portal wants."""
        from mlmodels.serving import take

        self.cluster.refresh_from_db()
        Cluster.objects.filter(pk=self.cluster.pk).update(last_exchange_at=now())
        return take(self.cluster, list(self.entries.values())).entries

    def exchange(self) -> dict[str, str]:
        """Ask, and take the answer in; return the verbs by replica."""
        wanted = self.ask()
        for one in wanted:
            self.take_in(one)
        return {one["replica"]: one["verb"] for one in wanted}

    def take_in(self, wanted: dict[str, Any]) -> None:
        key, verb = wanted["replica"], wanted["verb"]
        if verb == "serve":
            self.specs[key] = wanted["spec"]
            self.entries[key] = {
                "replica": key,
                "generation": wanted["generation"],
                "state": "preparing",
                "runtime": "podman",
                "launch": 0,
            }
        elif verb == "stop":
            self.entries[key].update(state="stopped")
        elif verb == "remove":
            self.entries.pop(key, None)

    def tell(self, replica: Replica, state: str, **details: Any) -> None:
        """Change what is said of a replica from now on."""
        entry = self.entries[str(replica.pk)]
        entry.update(state=state, **details)
        if state in ("starting", "ready", "unhealthy"):
            entry["launch"] = entry["launch"] or 1
            entry.setdefault("address", f"127.0.0.1:{next(self.ports)}")
