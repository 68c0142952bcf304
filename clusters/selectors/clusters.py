"""Clusters as pages and the API show them: load, newest metrics, software, who runs and who waits.

Clusters are for everybody who may sign in; runs pass `visible_to`. A list of clusters costs two
queries however many there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from calculations.models import OrphanResult, Run
from calculations.software.registry import all_software
from calculations.states import LEASED_RUNS, RunState
from clusters import serving
from clusters.intake import percent
from clusters.models import Cluster, Metrics
from clusters.selectors.states import standing_of
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.clock import now

MOST_RUNNING, MOST_WAITING = 50, 10
TIMES = "\u00d7"


@dataclass(frozen=True, slots=True)
class Software:
    """A program as an agent found it; `problem` where it cannot be used."""

    name: str
    label: str
    version: str
    ok: bool
    problem: str


@dataclass(frozen=True, slots=True)
class Card:
    """A cluster with what its machine does at the moment; percentages are None where not known."""

    cluster: Cluster
    leased: int
    state: str
    label: str
    why: str
    hardware: str
    cpu: float | None
    memory: float | None
    gpu: float | None
    has_gpus: bool
    software: tuple[Software, ...]

    @property
    def usable(self) -> list[Software]:
        return [program for program in self.software if program.ok]

    @property
    def slots(self) -> int:
        return self.cluster.slots_total

    @property
    def slots_words(self) -> str:
        return f"{self.leased} of {self.slots}"

    @property
    def is_heard(self) -> bool:
        return not self.cluster.is_silent()


def clusters(user: User) -> QuerySet[Cluster]:
    """Every cluster with how many runs it holds (`leased`) and its newest metrics (`latest`)."""
    if not can(user, Can.SIGN_IN):
        return Cluster.objects.none()
    held = Run.objects.filter(cluster=OuterRef("pk"), state__in=LEASED_RUNS).order_by()
    counted = held.values("cluster").annotate(count=Count("pk")).values("count")
    newest = Metrics.objects.filter(cluster=OuterRef("pk")).order_by("-at").values("pk")[:1]
    return Cluster.objects.annotate(
        leased=Coalesce(Subquery(counted, output_field=IntegerField()), Value(0)),
        latest=Subquery(newest),
    )


def cards(rows: Iterable[Cluster]) -> list[Card]:
    """Draw rows of `clusters`."""
    found = list(rows)
    heartbeats = Metrics.objects.in_bulk([row.latest for row in found if row.latest])
    moment = now()
    leaving = any(row.draining or not row.enabled for row in found)
    served = serving.held() if leaving else {}
    return [
        _card(row, heartbeats.get(row.latest), moment, served=len(served.get(row.pk, ())))
        for row in found
    ]


def _card(cluster: Cluster, heartbeat: Metrics | None, moment: datetime, *, served: int) -> Card:
    if cluster.is_silent(moment):
        heartbeat = None
    standing = standing_of(cluster, cluster.leased, moment, served=served)
    gpus = parts(cluster.capacity.get("gpus"))
    used = [number(gpu.get("utilisation_percent")) for gpu in parts(heartbeat and heartbeat.gpus)]
    known = [value for value in used if value is not None]
    return Card(
        cluster=cluster,
        leased=cluster.leased,
        state=standing.state,
        label=standing.label,
        why=standing.why,
        hardware=hardware(cluster.capacity),
        cpu=heartbeat and heartbeat.cpu_percent,
        memory=heartbeat and percent(heartbeat.memory_mib, heartbeat.memory_total_mib),
        gpu=sum(known) / len(known) if known else None,
        has_gpus=bool(gpus),
        software=software(cluster.capacity),
    )


def hardware(capacity: Mapping[str, Any]) -> str:
    """Say in a few words what the machine has: 128 cores · 251 GiB · two H200."""
    words = []
    if cores := number(capacity.get("cores")):
        words.append(f"{cores:.0f} core{'' if cores == 1 else 's'}")
    if memory := number(capacity.get("memory_mib")):
        words.append(f"{memory / 1024:.0f} GiB")
    names = [str(gpu.get("name", "GPU"))[:40] for gpu in parts(capacity.get("gpus"))]
    for name in dict.fromkeys(names):
        count = names.count(name)
        words.append(f"{count} {TIMES} {name}" if count > 1 else name)
    return " · ".join(words)


def software(capacity: Mapping[str, Any]) -> tuple[Software, ...]:
    told = capacity.get("software")
    known = all_software()
    found = [
        Software(
            name=name,
            label=known[name].label if name in known else name,
            version=str(item.get("version") or "")[:40],
            ok=bool(item.get("ok")),
            problem=str(item.get("problem") or "")[:300],
        )
        for name, item in (told.items() if isinstance(told, Mapping) else ())
        if isinstance(item, Mapping)
    ]
    return tuple(sorted(found, key=lambda program: (not program.ok, program.label.lower())))


def parts(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list that an agent told, without whatever else stands in it."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else None


@dataclass(frozen=True, slots=True)
class Runs:
    """The first runs that the person may see, how many they may see, and how many there are."""

    rows: list[Run]
    seen: int
    total: int

    @property
    def more(self) -> int:
        return self.seen - len(self.rows)

    @property
    def hidden(self) -> int:
        return self.total - self.seen


def running(cluster: Cluster, user: User) -> Runs:
    held = Run.objects.filter(cluster=cluster, state__in=LEASED_RUNS)
    return _runs(held, user, MOST_RUNNING, "started_at", "queued_at", "index")


def queue(cluster: Cluster, user: User) -> Runs:
    """What waits for this cluster, or for any that could as well be this, in placement's order."""
    offered = [program.name for program in software(cluster.capacity) if program.ok]
    waiting = Run.objects.filter(
        Q(calculation__cluster=cluster)
        | Q(calculation__cluster=None, calculation__software__in=offered),
        Q(predecessor=None) | Q(predecessor__cluster=cluster),
        state=RunState.QUEUED,
    )
    return _runs(waiting, user, MOST_WAITING, "-priority", "queued_at", "index")


def _runs(runs: QuerySet[Run], user: User, most: int, *order: str) -> Runs:
    seen = runs.visible_to(user)
    rows = seen.select_related("calculation__created_by").order_by(*order)[:most]
    return Runs(list(rows), seen.count(), runs.count())


def waiting_for(rows: Iterable[Cluster]) -> dict[int, int]:
    """How many runs are stuck with each of these clusters: held by it, or asking for it alone."""
    keys = [row.pk for row in rows]
    held = Run.objects.filter(cluster__in=keys, state__in=LEASED_RUNS).order_by()
    asking = Run.objects.filter(calculation__cluster__in=keys, state=RunState.QUEUED).order_by()
    counts = dict.fromkeys(keys, 0)
    for runs, name in ((held, "cluster"), (asking, "calculation__cluster")):
        for key, count in runs.values_list(name).annotate(Count("pk")):
            counts[key] += count
    return counts


def silent(user: User) -> list[Cluster]:
    """The clusters that should speak and do not; one that never spoke is not missed, and neither
    is one that was emptied.
    """
    moment = now()
    enabled = clusters(user).filter(enabled=True, last_exchange_at__isnull=False)
    return [c for c in enabled if c.is_silent(moment) and (c.leased or not c.draining)]


def held(user: User) -> list[Cluster]:
    """The clusters that the circuit breaker keeps work from."""
    return list(clusters(user).filter(enabled=True, held_at__isnull=False))


def orphans(cluster: Cluster) -> QuerySet[OrphanResult]:
    """Late results of this cluster that nobody has adopted; for who may adopt them."""
    rows = OrphanResult.objects.filter(cluster=cluster, adopted_at=None)
    return rows.select_related("run__calculation").order_by("-received_at")
