"""Which model is answered by which replicas: the table that calls are routed by, read from the
database when something changed and every few seconds in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.conf import settings
from yarl import URL

from clusters.agent.protocol import ReplicaState
from clusters.transports.wakeups import Wakeups
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.proxy.pool import in_pool
from mlmodels.services.events import ROUTES_CHANGED
from mlmodels.states import Desired, Purpose, ReplicaWanted

MOSTLY_S = 10.0
WITHOUT_REDIS_S = 1.0
FRESH_S = 0.2  # who finds nobody to answer looks again, unless the table is as new as this


@dataclass(frozen=True, slots=True)
class Target:
    """A replica that is ready, and where it takes calls."""

    id: str
    url: URL
    name: str  # for people: "3f2a9c1e on metis"


@dataclass(frozen=True, slots=True)
class Version:
    id: int
    number: int
    accepts: tuple[str, ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """A model as calls see it. `order`: the numbers of the versions that may answer a call that
    names none, the first with a ready replica does.
    """

    id: int
    name: str
    wanted: bool
    state: str
    why: str
    timeout_s: float
    max_body: int
    max_in_flight: int
    calls_per_minute: int
    stores_bodies: bool
    order: tuple[int, ...]
    versions: Mapping[int, Version] = field(default_factory=dict)

    def version(self, number: int | None) -> Version | None:
        """The version of that number, or the one that answers; None where there is none."""
        if number is not None:
            return self.versions.get(number)
        known = [self.versions[number] for number in self.order if number in self.versions]
        return next((version for version in known if version.targets), known[0] if known else None)


def load() -> dict[str, Route]:
    """Read the table, by model name."""
    targets = _targets()
    versions: dict[int, dict[int, Version]] = {}
    rows = ModelVersion.objects.filter(model__deleted_at=None)
    for pk, model_id, number, accepts in rows.values_list("pk", "model_id", "number", "accepts"):
        kinds = tuple(str(kind).lower() for kind in accepts or ())
        version = Version(pk, number, kinds, tuple(targets.get(pk, ())))
        versions.setdefault(model_id, {})[number] = version
    routes = {}
    models = RegisteredModel.objects.filter(deleted_at=None)
    models = models.select_related("serving", "current", "previous")
    for model in models.defer(*without_heavy("serving", "current", "previous")):
        chosen = (model.serving, model.current, model.previous)
        routes[model.name] = Route(
            id=model.pk,
            name=model.name,
            wanted=model.desired == Desired.RUNNING and not model.asleep,
            state=model.get_state_display(),
            why=model.why,
            timeout_s=float(model.timeout_s),
            max_body=model.max_body_mib * 1024 * 1024,
            max_in_flight=model.max_in_flight,
            calls_per_minute=model.calls_per_minute,
            stores_bodies=model.stores_bodies,
            order=tuple(dict.fromkeys(version.number for version in chosen if version)),
            versions=versions.get(model.pk, {}),
        )
    return routes


def _targets() -> dict[int, list[Target]]:
    """The ready replicas of each version, those that drain left out."""
    found: dict[int, list[Target]] = {}
    ready = Replica.objects.filter(
        purpose=Purpose.SERVE,
        wanted=ReplicaWanted.SERVE,
        state=ReplicaState.READY,
        draining_at=None,
        removed_at=None,
    ).exclude(address="")
    for replica in ready.select_related("cluster").only("address", "version", "cluster__name"):
        host, _, port = replica.address.rpartition(":")
        with contextlib.suppress(ValueError):  # an agent that told nonsense has no replica
            url = URL.build(
                scheme="http", host=host.strip("[]"), port=int(port), path="/invocations"
            )
            name = f"{replica.name} on {replica.cluster.name}"
            found.setdefault(replica.version_id, []).append(Target(str(replica.pk), url, name))
    return found


class Table:
    """The table of one process, kept fresh while the proxy runs."""

    def __init__(self, load: Callable[[], dict[str, Route]]) -> None:
        self._load = load
        self._routes: dict[str, Route] = {}
        self._loaded_at = float("-inf")
        self._lock = asyncio.Lock()
        self._wakeups = Wakeups(settings.REDIS_URL, ROUTES_CHANGED)

    async def find(self, name: str, number: int | None) -> tuple[Route | None, Version | None]:
        """Look the model up; where nobody could answer, look whether that has changed just now."""
        route, version = self._look(name, number)
        if version is None or not version.targets or not route or not route.wanted:
            await self.renew(FRESH_S)
            route, version = self._look(name, number)
        return route, version

    def _look(self, name: str, number: int | None) -> tuple[Route | None, Version | None]:
        route = self._routes.get(name)
        return route, route.version(number) if route else None

    async def renew(self, fresh_s: float = 0.0) -> None:
        """Read the table anew, unless it was read within the last `fresh_s` seconds."""
        asked_at = time.monotonic()
        async with self._lock:
            if self._loaded_at > asked_at - fresh_s:
                return
            began = time.monotonic()
            self._routes = await in_pool(self._load)
            self._loaded_at = began

    async def close(self) -> None:
        await self._wakeups.stop()

    async def follow(self) -> None:
        """Keep the table fresh until cancelled."""
        forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._wakeups.waiter(ROUTES_CHANGED) as waiter:
            while True:
                pause = MOSTLY_S if self._wakeups.listening else WITHOUT_REDIS_S
                await waiter.wait(pause, forever)
                with contextlib.suppress(Exception):  # a lost database: the old table goes on
                    await self.renew()
