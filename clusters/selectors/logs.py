"""Log lines that a person may read: narrowed, in windows by id, and around one line.

A cluster's own lines and those of models are for everybody; a run's lines for those who see its
calculation. No other module asks for log lines.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from calculations.models import Run
from clusters.models import Cluster, LogLine
from labportal.accounts.models import Project, User
from labportal.common.clock import now
from labportal.common.errors import InvalidInput

WINDOW = 500
MOST_TOPICS = 90  # the socket takes a hundred
AROUND = 20
LEVELS = tuple(LogLine.Level.values)  # from the least to the most serious
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
SHOWN = (
    "at",
    "service",
    "level",
    "text",
    "cluster__name",
    "run__index",
    "run__calculation_id",
    "replica",
    "launch",
)


@dataclass(frozen=True, slots=True)
class LogFilters:
    """What lines are narrowed to; the names are also the parameters of addresses.

    `level`: this one and what is more serious. `since`, `until`: a moment, or an age such as 2h.
    """

    cluster: str = ""
    service: str = ""
    level: str = ""
    text: str = ""
    run: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def read(cls, query: Mapping[str, Any]) -> LogFilters:
        """Raises InvalidInput, with the name of each value that means nothing."""
        given = {n: str(query.get(n) or "").replace("\0", "").strip() for n in cls.__slots__}
        filters = cls(
            **{n: v[:200] for n, v in given.items() if n != "level"}, level=given["level"].upper()
        )
        errors = {}
        if filters.level and filters.level not in LEVELS:
            errors["level"] = f"must be one of {', '.join(LEVELS)}"
        if filters.run and _uuid(filters.run) is None:
            errors["run"] = "must be the id of a run"
        for name in ("since", "until"):
            value = getattr(filters, name)
            if value and moment_of(value) is None:
                errors[name] = "must be a time such as 2026-05-01T14:00 or an age such as 2h"
        if errors:
            raise InvalidInput(errors=errors)
        return filters

    def active(self) -> dict[str, str]:
        return {name: v for name in self.__slots__ if (v := getattr(self, name))}

    @property
    def levels(self) -> tuple[str, ...]:
        return LEVELS[LEVELS.index(self.level) :] if self.level else LEVELS


@dataclass(frozen=True, slots=True)
class Window:
    """Lines in the order of their ids, and whether there are more on either side."""

    lines: list[LogLine]
    older: bool
    newer: bool


def moment_of(text: str) -> datetime | None:
    """Read a moment (without a zone: in the zone at hand) or an age; None where it is neither."""
    age = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if age:
        return now() - timedelta(**{UNITS[age[2]]: int(age[1])})
    try:
        moment = parse_datetime(text.replace(" ", "T")) or parse_datetime(f"{text}T00:00")
    except ValueError:
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo else timezone.make_aware(moment)


def visible_lines(user: User) -> QuerySet[LogLine]:
    theirs = Q(run__calculation__project__in=Project.objects.visible_to(user))
    lines = LogLine.objects.filter(Q(run=None) | theirs)
    return lines.select_related("cluster", "run").only(*SHOWN)


def topics(user: User) -> str:
    """Where new lines are told: the clusters' own, and those of runs of each visible project."""
    keys = Project.objects.visible_to(user).values_list("pk", flat=True)[:MOST_TOPICS]
    return " ".join(["logs", *(f"logs:{key}" for key in keys)])


def narrow(lines: QuerySet[LogLine], filters: LogFilters) -> QuerySet[LogLine]:
    exact = {
        # A subquery: joined by its name, a cluster of few lines would cost a walk through them all.
        "cluster": filters.cluster
        and Cluster.objects.filter(name=filters.cluster).values("pk")[:1],
        "service": filters.service,
        "level__in": filters.levels if filters.level else "",
        "text__icontains": filters.text,
        "run": filters.run,
        "at__gte": moment_of(filters.since) if filters.since else "",
        "at__lt": moment_of(filters.until) if filters.until else "",
    }
    return lines.filter(**{name: value for name, value in exact.items() if value != ""})


def newest(lines: QuerySet[LogLine], size: int = WINDOW) -> Window:
    return before(lines, None, size)


def before(lines: QuerySet[LogLine], line_id: int | None, size: int = WINDOW) -> Window:
    """The last lines before one, or of all."""
    rows = lines.filter(pk__lt=line_id) if line_id is not None else lines
    found = list(rows.order_by("-pk")[: size + 1])
    return Window(found[:size][::-1], older=len(found) > size, newer=line_id is not None)


def after(lines: QuerySet[LogLine], line_id: int, size: int = WINDOW) -> Window:
    """The first lines after one: what was missed meanwhile."""
    found = list(lines.filter(pk__gt=line_id).order_by("pk")[: size + 1])
    return Window(found[:size], older=True, newer=len(found) > size)


def around(user: User, line: LogLine) -> list[LogLine]:
    """The line with those before and after it, of the same run or replica, or of the cluster's own
    log.
    """
    same = {"cluster": line.cluster_id, "run": line.run_id, "replica": line.replica}
    lines = visible_lines(user).filter(**same)
    return [
        *before(lines, line.pk, AROUND).lines,
        line,
        *after(lines, line.pk, AROUND).lines,
    ]


def run_lines(user: User, run_id: uuid.UUID) -> QuerySet[LogLine]:
    return visible_lines(user).filter(run=run_id)


def replica_lines(user: User, replica_id: uuid.UUID) -> QuerySet[LogLine]:
    """What the launches of a model's server printed."""
    return visible_lines(user).filter(replica=replica_id)


def shown(user: User, run: Run) -> dict[str, object]:
    """What templates/clusters/_run_log.html draws of a run's log."""
    window = newest(run_lines(user, run.pk))
    older = {"run": run.pk, "before": window.lines[0].pk} if window.older else {}
    return {
        "lines": window.lines,
        "topic": f"calculation:{run.calculation_id}",
        "url": reverse("run-log", args=[run.pk]),
        "download": reverse("run-log-download", args=[run.pk]),
        "older_url": f"{reverse('log-list')}?{urlencode(older)}" if older else "",
    }


def services() -> list[str]:
    return ["agent", "program"]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
