"""What may be read of calculations: querysets that already passed `visible_to`, each with what its
page shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet
from django.db.models.fields.json import KT
from django.utils.dateparse import parse_datetime
from django.utils.timezone import localtime

from calculations import search
from calculations.models import Calculation, Run, SavedFilter, Template
from calculations.states import TRUSTED, UNCHECKED, CalculationState, RunState, Standing
from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can

MOST_LISTED = 100  # the runs of a larger sweep are counted, not listed
OPEN_RUNS = frozenset({RunState.WAITING, RunState.QUEUED, RunState.ASSIGNED, RunState.RUNNING})


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
    standing: str = ""  # STANDINGS, several by commas
    structure: str = ""  # the number of one of the library
    text: str = ""  # in the language of the search

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Filters:
        known = {name: str(query.get(name, "")).strip()[:200] for name in cls.__slots__}
        known["text"] = str(query.get("text", "")).strip()
        known["text"] = known["text"] or str(query.get("q", "")).strip()
        known["text"] = known["text"][: search.LONGEST]
        return cls(**known)

    def active(self) -> dict[str, str]:
        return {name: v for name in self.__slots__ if (v := getattr(self, name))}


# What the filter `standing` understands, beside the words of states.Standing.
UNCHECKED_WORD, DOUBTFUL, TRUSTED_WORD = "unchecked", "doubtful", "trusted"
STANDINGS = (*Standing.values, UNCHECKED_WORD, DOUBTFUL, TRUSTED_WORD)


def with_standing(words: str) -> Q:
    """The condition for valid calculations of one of these standings; nothing for other words."""
    found = Q(pk__in=())
    for word in words.split(","):
        if word in Standing.values:
            found |= Q(standing=word)
        elif word == UNCHECKED_WORD:
            found |= Q(standing=UNCHECKED)
        elif word == DOUBTFUL:
            found |= ~Q(doubt="")
        elif word == TRUSTED_WORD:
            found |= Q(standing__in=TRUSTED, doubt="")
    return Q(state=CalculationState.VALID) & found


def calculations(user: User, filters: Filters | None = None) -> QuerySet[Calculation]:
    """Return visible calculations, newest first; what a row shows of their runs is runs_seen."""
    rows = Calculation.objects.visible_to(user)
    rows = _narrow(rows, filters, user) if filters else rows
    related = ("project", "created_by", "cluster", "standing_by", "structure")
    return rows.select_related(*related).defer("structure__content")


def _narrow(rows: QuerySet[Calculation], filters: Filters, user: User) -> QuerySet[Calculation]:
    exact = {
        "state__in": filters.state.split(",") if filters.state else "",
        "software": filters.software,
        "project__slug": filters.project,
        "created_by__username": filters.person,
        "cluster__name": filters.cluster,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if filters.standing:
        rows = rows.filter(with_standing(filters.standing))
    if filters.structure:
        number = filters.structure.upper().removeprefix("S-")
        readable = number.isascii() and number.isdecimal() and len(number) < 16
        rows = rows.filter(structure=int(number)) if readable else rows.none()
    if filters.text:
        rows = search.apply(search.parse(filters.text, user=user), rows)
    return rows


def saved_filters(user: User, page: str) -> QuerySet[SavedFilter]:
    return SavedFilter.objects.filter(user=user, page=page)


def default_filter(user: User) -> SavedFilter | None:
    """Return the one with which the list of calculations opens."""
    return saved_filters(user, SavedFilter.Page.CALCULATIONS).filter(is_default=True).first()


def deleted_drafts(user: User) -> QuerySet[Calculation]:
    """Return what lies in the bin and may be taken out: one's own, all for moderators."""
    projects = Project.objects.visible_to(user)
    rows = Calculation.objects.filter(deleted_at__isnull=False, project__in=projects)
    return rows if can(user, Can.REVIEW) else rows.filter(created_by=user)


def templates_of(user: User, *, text: str = "") -> QuerySet[Template]:
    """Return what calculations may start from; `text` narrows it by name and purpose."""
    rows = Template.objects.visible_to(user).select_related("project", "created_by")
    return rows.filter(Q(name__icontains=text) | Q(description__icontains=text)) if text else rows


def runs_of(calculation: Calculation) -> QuerySet[Run]:
    return calculation.runs.select_related("cluster").order_by("index")


def to_review(user: User) -> QuerySet[Calculation]:
    """Return what waits for a moderator, the oldest first."""
    waiting = calculations(user).filter(state=CalculationState.IN_REVIEW)
    return waiting.order_by("submitted_at", "pk")


def to_validate(user: User) -> QuerySet[Calculation]:
    """Return what others have made and a second person should look at, the oldest first."""
    unsure = Q(standing=Standing.CHECKED) | (Q(standing=UNCHECKED) & ~Q(standing_reason=""))
    waiting = calculations(user).filter(unsure, state=CalculationState.VALID, doubt="")
    return waiting.exclude(created_by=user).order_by("finished_at", "pk")


def running(user: User) -> QuerySet[Calculation]:
    return calculations(user).filter(state=CalculationState.RUNNING).order_by("-state_since")


def queued(user: User) -> QuerySet[Calculation]:
    return calculations(user).filter(state=CalculationState.QUEUED).order_by("state_since")


def last_ended(user: User) -> QuerySet[Calculation]:
    ended = calculations(user).filter(finished_at__isnull=False)
    return ended.order_by("-finished_at")


def waiting_reason(calculation: Calculation, seen: RunsSeen | None = None) -> str:
    """Say in one sentence what a queued calculation waits for; `seen` holds what placement, or the
    cluster's scheduler, said of its runs.
    """
    if seen is not None:
        if seen.waits:
            return seen.waits
        if seen.counts.get(RunState.ASSIGNED) and not seen.counts.get(RunState.QUEUED):
            return "Handed to its cluster, about to start"
    cluster = calculation.cluster
    if cluster is None:
        return "Waits for a cluster that has the software and a free slot"
    if why := cluster.why_not():
        return f"Waits for {cluster.name}, which {why}"
    if not cluster.offers(calculation.software):
        return f"Waits for {cluster.name}, which has no {calculation.software} now"
    return f"Waits for a free slot on {cluster.name}"


def run_waits(state: str, waits_for: str, pending: Mapping[str, Any] | None) -> str:
    """What keeps a run: the words of placement, or of the scheduler where its job is pending."""
    if state == RunState.QUEUED:
        return waits_for.removesuffix(".")
    if state != RunState.ASSIGNED or not pending:
        return ""
    why = str(pending.get("text") or pending.get("reason") or "").strip().removesuffix(".")
    where = f" in {pending['partition']}" if pending.get("partition") else ""
    start = parse_datetime(str(pending.get("expected_start") or ""))
    when = f"; expected to start {relative_start(start)}" if start else ""
    return f"Waits in the cluster's own queue{where}{': ' if why else ''}{why}{when}"


def relative_start(start: datetime) -> str:
    """At 14:05, or on which day."""
    local, today = localtime(start), localtime()
    same = local.date() == today.date()
    return f"{local:%H:%M}" if same else f"{local:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class RunsSeen:
    """The runs of a calculation as lists show them.

    `states` and `values` (main numbers of the valid ones) are in the order of the runs; where there
    are more than MOST_LISTED, `states` is None and `values` empty. `waits`: why the first waits of
    those that do.
    """

    counts: Mapping[str, int]
    states: tuple[str, ...] | None = ()
    values: tuple[float, ...] = ()
    waits: str = ""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> int:
        return sum(count for state, count in self.counts.items() if state not in OPEN_RUNS)


def runs_seen(calculations: Iterable[Calculation]) -> dict[int, RunsSeen]:
    """Return the runs of each in two queries at most, however many there are; none for prefetched
    runs.
    """
    rows: dict[int, list[_SeenRun]] = {}
    many = []
    for c in calculations:
        if "runs" in getattr(c, "_prefetched_objects_cache", {}):
            rows[c.pk] = [tuple(getattr(run, name) for name in _SEEN) for run in c.runs.all()]
        elif c.run_count > MOST_LISTED:
            many.append(c.pk)
        else:
            rows[c.pk] = []
    few = [key for key, known in rows.items() if not known]
    if few:
        listed = Run.objects.filter(calculation__in=few).order_by("calculation", "index")
        for key, *run in listed.values_list("calculation_id", *_SEEN):
            rows[key].append(tuple(run))
    return {key: _seen(known) for key, known in rows.items()} | _counted(many)


_SeenRun = tuple[str, float | None, str, Mapping[str, Any] | None]
_SEEN = ("state", "main_value", "waits_for", "pending")


def _seen(runs: list[_SeenRun]) -> RunsSeen:
    counts = Counter(state for state, *_ in runs)
    waits = next((w for state, _, *told in runs if (w := run_waits(state, *told))), "")
    if len(runs) > MOST_LISTED:
        return RunsSeen(counts, None, waits=waits)
    valid = [value for state, value, *_ in runs if state == RunState.VALID and value is not None]
    return RunsSeen(counts, tuple(state for state, *_ in runs), tuple(valid), waits)


def _counted(keys: list[int]) -> dict[int, RunsSeen]:
    """Of many runs any that waits says why."""
    if not keys:
        return {}
    counts: dict[int, dict[str, int]] = {key: {} for key in keys}
    waits: dict[int, str] = {}
    grouped = Run.objects.filter(calculation__in=keys).order_by()
    found = grouped.values_list("calculation_id", "state").annotate(
        count=Count("pk"), waits=Max("waits_for"), pending=Max(KT("pending__text"))
    )
    for key, state, count, *told in found:
        counts[key][state] = count
        pending = {"text": told[1]} if told[1] else None
        waits[key] = waits.get(key) or run_waits(state, told[0], pending)
    return {
        key: RunsSeen(known, None if known else (), waits=waits.get(key, ""))
        for key, known in counts.items()
    }
