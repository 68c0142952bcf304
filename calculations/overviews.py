"""What pages show beside the rows of selectors.py: needs, moving runs, use, differences.

Called by views alone. Everything here has passed `visible_to`, and each function costs a fixed
number of queries however many calculations it is asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber

from calculations.models import Attempt, Calculation, Event, OutputFile, Run
from calculations.software.registry import UnknownSoftware, get_software
from calculations.states import (
    ACTIVE,
    TERMINAL,
    UNCHECKED,
    UNPLACED_RUNS,
    CalculationState,
    RunState,
)
from calculations.wording import RESOURCES
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.clock import now
from labportal.common.templatetags.labportal import NOTHING

RECENT = timedelta(days=7)
USE_SECONDS = 60
MOST_NEEDS = 3
MOST_MOVING = 8  # of one calculation; the others are counted
APPROVED = frozenset(CalculationState) - {CalculationState.DRAFT, CalculationState.IN_REVIEW}
UNSURE = ~Q(doubt="") | (Q(standing=UNCHECKED) & ~Q(standing_reason=""))
NOT_GOOD = (CalculationState.NOT_VALID, CalculationState.FAILED)


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that waits for this person; `kind` gives the colour of its dot."""

    kind: str
    words: str
    why: str
    since: datetime | None = None
    calculation: Calculation | None = None


def needs_of(user: User) -> list[Need]:
    """Return what waits for the person: reviews, drafts sent back, their own recent bad endings."""
    needs: list[Need] = []
    visible = Calculation.objects.visible_to(user)
    if can(user, Can.REVIEW):
        waiting = visible.filter(state=CalculationState.IN_REVIEW).aggregate(
            count=Count("pk"), oldest=Min("submitted_at")
        )
        if waiting["count"]:
            state = CalculationState.IN_REVIEW
            needs.append(Need(state, f"{waiting['count']} to review", "", waiting["oldest"]))
    mine = visible.filter(created_by=user)
    for draft in mine.filter(state=CalculationState.DRAFT).exclude(reason="")[:MOST_NEEDS]:
        needs.append(Need(draft.state, "Sent back", f"{draft.name}: {draft.reason}", None, draft))
    doubtful = mine.filter(UNSURE, state=CalculationState.VALID, finished_at__gt=now() - RECENT)
    for found in doubtful.order_by("-finished_at")[:MOST_NEEDS]:
        words = "In doubt" if found.doubt else "Check failed"
        why = f"{found.name}: {found.doubt or found.standing_reason}"
        needs.append(Need(CalculationState.NOT_VALID, words, why, None, found))
    bad = mine.filter(state__in=NOT_GOOD, finished_at__gt=now() - RECENT, copies=None)
    for ended in bad.order_by("-finished_at")[:MOST_NEEDS]:
        words = ended.get_state_display()
        needs.append(Need(ended.state, words, f"{ended.name}: {ended.reason}", None, ended))
    return needs


def moving_runs(calculations: Iterable[Calculation]) -> dict[int, list[Run]]:
    """Return the first runs that execute now by calculation, with cluster and progress."""
    runs: dict[int, list[Run]] = {}
    ids = [c.pk for c in calculations]
    if not ids:
        return runs
    place = Window(RowNumber(), partition_by="calculation_id", order_by="index")
    moving = Run.objects.filter(calculation__in=ids, state=RunState.RUNNING)
    first = moving.annotate(place=place).filter(place__lte=MOST_MOVING)
    for run in first.select_related("cluster").defer("parameters").order_by("index"):
        runs.setdefault(run.calculation_id, []).append(run)
    return runs


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits in the queue, and since when."""

    runs: int
    oldest: datetime | None


def waiting(user: User) -> Waiting:
    queue = Run.objects.visible_to(user).filter(state__in=UNPLACED_RUNS)
    found = queue.aggregate(count=Count("pk"), oldest=Min("queued_at"))
    return Waiting(found["count"], found["oldest"])


@dataclass(frozen=True, slots=True)
class Use:
    core_hours: float
    attempts: int


def use_this_month(user: User) -> Use:
    """Return what the person used since the first of the month; a minute old at most."""

    def count() -> Use:
        start = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        used = Attempt.objects.filter(
            run__calculation__created_by=user, recorded_at__gte=start, elapsed_s__isnull=False
        ).aggregate(seconds=Sum(F("elapsed_s") * F("run__calculation__cores")), count=Count("pk"))
        return Use((used["seconds"] or 0.0) / 3600, used["count"])

    return cache.get_or_set(f"use-this-month:{user.pk}", count, USE_SECONDS)


def count_active(user: User) -> int:
    return Calculation.objects.visible_to(user).filter(state__in=ACTIVE).count()


def count_to_review(user: User) -> int:
    waiting = Calculation.objects.visible_to(user).filter(state=CalculationState.IN_REVIEW)
    return waiting.count()


@dataclass(frozen=True, slots=True)
class History:
    """How a person's calculations ended so far."""

    valid: int = 0
    not_valid: int = 0
    failed: int = 0

    @property
    def any(self) -> bool:
        return bool(self.valid or self.not_valid or self.failed)


def histories(user_ids: Iterable[int]) -> dict[int, History]:
    """Return the records of several people in one query."""
    rows = (
        Calculation.objects.filter(created_by__in=set(user_ids), state__in=TERMINAL)
        .order_by()
        .values("created_by")
        .annotate(
            valid=Count("pk", filter=Q(state=CalculationState.VALID)),
            not_valid=Count("pk", filter=Q(state=CalculationState.NOT_VALID)),
            failed=Count("pk", filter=Q(state=CalculationState.FAILED)),
        )
    )
    return {
        row["created_by"]: History(row["valid"], row["not_valid"], row["failed"]) for row in rows
    }


@dataclass(frozen=True, slots=True)
class Difference:
    """A parameter or resource that is set differently, in words."""

    label: str
    before: str
    after: str
    unit: str


def last_approved(calculations: Sequence[Calculation]) -> dict[int, Calculation]:
    """Return, for each, the last approved one of the same person and software, in two queries."""
    pairs = {(c.created_by_id, c.software) for c in calculations}
    if not pairs:
        return {}
    wanted = Q()
    for person, software in pairs:
        wanted |= Q(created_by=person, software=software)
    newest = (
        Calculation.objects.filter(wanted, state__in=APPROVED)
        .order_by()
        .values("created_by", "software")
        .annotate(newest=Max("pk"))
    )
    found = {
        (c.created_by_id, c.software): c
        for c in Calculation.objects.filter(pk__in=[row["newest"] for row in newest])
    }
    return {
        c.pk: found[c.created_by_id, c.software]
        for c in calculations
        if (c.created_by_id, c.software) in found
    }


def differences(calculation: Calculation, other: Calculation) -> list[Difference]:
    """Say in which parameters and resources `calculation` differs from `other`."""
    try:
        parameters = get_software(calculation.software).parameters
    except UnknownSoftware:
        parameters = ()
    found = [
        Difference(p.label, _words(other.parameters.get(p.name)), _words(value), p.unit)
        for p in parameters
        if (value := calculation.parameters.get(p.name)) != other.parameters.get(p.name)
    ]
    for label, name, worded, unit in (("Runs", "run_count", str, ""), *RESOURCES):
        before, after = getattr(other, name), getattr(calculation, name)
        if before != after:
            words = (worded(value) or NOTHING for value in (before, after))
            found.append(Difference(label, *words, unit))
    return found


def _words(value: Any) -> str:
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return " ".join(_words(part) for part in value)
    text = str(value)
    lines = text.count("\n") + 1
    return f"{lines} lines" if lines > 1 else text


def last_check(calculation: Calculation) -> Event | None:
    """The newest outcome of the rules of the check, by themselves or as a person saw them."""
    told = calculation.events.filter(verb__in=("check", "check_fails", "validate"))
    return told.exclude(evidence=[]).order_by("-id").first()


def last_events(calculation: Calculation) -> QuerySet[Event]:
    """What happened last, without the steps between the queue and the start."""
    rows = calculation.events.select_related("run").exclude(verb__in=BETWEEN)
    return rows.exclude(verb="start", run=None).order_by("-id")


BETWEEN = ("assign", "release", "approve_by_rule")


def attempts(calculation: Calculation) -> QuerySet[Attempt]:
    """Every ended attempt of the calculation's runs, in order, with run and cluster."""
    rows = Attempt.objects.filter(run__calculation=calculation).select_related("run", "cluster")
    return rows.order_by("run__index", "number")


def output_files(calculation: Calculation) -> QuerySet[OutputFile]:
    """What the runs left and the portal keeps."""
    rows = OutputFile.objects.filter(run__calculation=calculation).select_related("run")
    return rows.order_by("run__index", "-attempt", "name")
