"""What may be read of calculations: querysets that already passed `visible_to`, each with what its
page shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from calculations.models import Calculation, Run
from calculations.states import CalculationState, RunState
from labportal.accounts.models import User

STRIP_FIELDS = ("id", "calculation_id", "index", "state", "parameters", "main_value", "reason")


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; each field is also a parameter of the page's and the API's
    address.
    """

    state: str = ""
    software: str = ""
    project: str = ""
    person: str = ""
    cluster: str = ""
    text: str = ""

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Filters:
        known = {name: str(query.get(name, "")).strip()[:200] for name in cls.__slots__}
        known["text"] = known["text"] or str(query.get("q", "")).strip()[:200]
        return cls(**known)

    def active(self) -> dict[str, str]:
        return {name: v for name in self.__slots__ if (v := getattr(self, name))}


def calculations(user: User, filters: Filters | None = None) -> QuerySet[Calculation]:
    """Return visible calculations, newest first, with what a row shows: a constant number of
    queries.
    """
    rows = Calculation.objects.visible_to(user)
    rows = _narrow(rows, filters) if filters else rows
    return rows.select_related("project", "created_by", "cluster").prefetch_related(
        Prefetch("runs", Run.objects.order_by("index").only(*STRIP_FIELDS))
    )


def _narrow(rows: QuerySet[Calculation], filters: Filters) -> QuerySet[Calculation]:
    exact = {
        "state__in": filters.state.split(",") if filters.state else "",
        "software": filters.software,
        "project__slug": filters.project,
        "created_by__username": filters.person,
        "cluster__name": filters.cluster,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    for word in filters.text.split():
        found = Q(name__icontains=word) | Q(description__icontains=word) | Q(software__iexact=word)
        number = word.upper().removeprefix("C-")
        if number.isdecimal() and len(number) < 16:
            found |= Q(pk=int(number))
        rows = rows.filter(found)
    return rows


def runs_of(calculation: Calculation) -> QuerySet[Run]:
    return calculation.runs.select_related("cluster").order_by("index")


def to_review(user: User) -> QuerySet[Calculation]:
    """Return what waits for a moderator, the oldest first."""
    waiting = calculations(user).filter(state=CalculationState.IN_REVIEW)
    return waiting.order_by("submitted_at", "pk")


def running(user: User) -> QuerySet[Calculation]:
    return calculations(user).filter(state=CalculationState.RUNNING).order_by("-state_since")


def queued(user: User) -> QuerySet[Calculation]:
    return calculations(user).filter(state=CalculationState.QUEUED).order_by("state_since")


def last_ended(user: User) -> QuerySet[Calculation]:
    ended = calculations(user).filter(finished_at__isnull=False)
    return ended.order_by("-finished_at")


def waiting_reason(calculation: Calculation) -> str:
    """Say in one sentence what a queued calculation waits for."""
    cluster = calculation.cluster
    if cluster is None:
        return "waits for a cluster that has the software and a free slot"
    if not cluster.enabled:
        note = f": {cluster.maintenance_note}" if cluster.maintenance_note else ""
        return f"waits for {cluster.name}, which is disabled{note}"
    if cluster.last_exchange_at is None:
        return f"waits for {cluster.name}, whose agent was never heard"
    if cluster.is_silent():
        return f"waits for {cluster.name}, which is silent"
    if not cluster.offers(calculation.software):
        return f"waits for {cluster.name}, which has no {calculation.software} now"
    return f"waits for a free slot on {cluster.name}"


def progress_of(calculation: Calculation) -> dict[str, Any]:
    """Return how many runs have ended of how many, from the prefetched runs."""
    runs = list(calculation.runs.all())
    ended = [run for run in runs if run.state not in OPEN_RUNS]
    total = len(runs) or calculation.run_count
    return {"done": len(ended), "of": total, "percent": round(100 * len(ended) / max(total, 1))}


OPEN_RUNS = frozenset({RunState.WAITING, RunState.QUEUED, RunState.ASSIGNED, RunState.RUNNING})
