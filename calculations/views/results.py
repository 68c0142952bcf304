"""The section Analyses: results across calculations as a table and as points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations import selectors
from calculations.findings import rows as finding
from calculations.findings.asking import MOST_COLUMNS, Asked, Column, read
from calculations.findings.catalogue import Kind, Level, catalogue
from calculations.models import SavedFilter
from calculations.services import reanalysis
from calculations.services.sweeps import axes_of
from calculations.software.registry import offered_software
from calculations.states import Standing
from calculations.views.filters import Saved, saved_of
from calculations.views.result_figures import histogram, scatter
from calculations.views.rows import software_label
from calculations.views.safe import safe_next
from calculations.wording import column_words, point_words
from labportal.accounts.decorators import needs
from labportal.accounts.models import Project
from labportal.accounts.roles import Can, can
from labportal.common.errors import Unavailable

LEVELS = ((Level.CALCULATION, "One row per calculation"), (Level.RUN, "One row per run"))


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head: where a click on it leads, how it is sorted now, and how it is taken out."""

    label: str
    unit: str
    url: str
    sorted: str
    without: str
    units: list[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class Line:
    """A row in words."""

    row: finding.Row
    url: str
    about: str
    words: list[str]


@needs()
def result_list(request: HttpRequest) -> HttpResponse:
    kinds = catalogue(request.user)
    asked = _asked(request, kinds)
    if request.GET.get("bound"):
        wheres = [*map(str, asked.conditions), _bound(request)]
        return redirect(f"{request.path}?{asked.query(conditions=())}&{_wheres(wheres)}")
    after = request.GET.get("after", "")[:300]
    page = finding.page(request.user, asked, after=after)
    dots, cut = finding.points(request.user, asked)
    narrowed = bool(asked.conditions or asked.formula or asked.filters.active())
    context = {
        "asked": asked,
        "lines": _lines(asked, page.rows),
        "heads": [_head(asked, column) for column in asked.columns],
        "kinds": [_offered(asked, kind) for kind in kinds.values()],
        "numeric": [kind for kind in kinds.values() if kind.numeric],
        "most_columns": MOST_COLUMNS,
        "levels": [
            (label, "?" + asked.at(level).query(), level is asked.level) for level, label in LEVELS
        ],
        "conditions": [(c.words, "?" + _without(asked, c)) for c in asked.conditions],
        "menus": _menus(request, asked),
        "chips": _chips(asked),
        "figures": [figure for figure in (scatter(asked, dots), histogram(asked, dots)) if figure],
        "cut": finding.MOST_POINTS if cut else 0,
        "page": {
            "words": f"{len(page.rows)} shown",
            "newer_url": "?" + asked.query() if after else "",
            "older_url": f"?{asked.query()}&{urlencode({'after': page.after})}"
            if page.after
            else "",
        },
        "narrowed": narrowed,
        "nothing": _nothing(asked, narrowed=narrowed, chosen=bool(request.GET.get("columns"))),
        "saved": _saved(request, asked),
        "query": asked.query(),
        "shown_query": request.GET.urlencode(),
        "hidden": _hidden(asked),
        "outdated": can(request.user, Can.CREATE_CALCULATION)
        and reanalysis.outdated(selectors.calculations(request.user)).exists(),
    }
    return render(request, "calculations/analyses.html", context)


def _asked(request: HttpRequest, kinds: dict[str, Kind]) -> Asked:
    """Read the address; the form of columns sends each of them by itself."""
    query = request.GET.dict()
    query["columns"] = ",".join(request.GET.getlist("columns"))
    return read(query, request.GET.getlist("where"), kinds)


def _bound(request: HttpRequest) -> str:
    """The condition that the form sends in three parts."""
    parts = (request.GET.get(name, "")[:90] for name in ("quantity", "sign", "bound"))
    return "".join(parts)


def _nothing(asked: Asked, *, narrowed: bool, chosen: bool) -> dict[str, str]:
    """Why there may be no row, and what brings some; `chosen`: the columns are the person's own."""
    title, query, per = "No numbers here", "", asked.level.value
    if narrowed:
        title, action = "Nothing matches", "Show all"
        text = "No valid result that you may see fits these filters."
    elif chosen:
        query, action = f"?per={per}", "Show the usual columns"
        text = f"No valid {per} has a number in any of these columns."
    elif asked.level is Level.CALCULATION:
        query, action = f"?per={Level.RUN}", "Show one row per run"
        text = (
            "No valid calculation has numbers of its own: a sweep's come from analyses of its runs."
        )
    else:
        action, text = "Show calculations", "No valid run has numbers."
    return {"title": title, "text": text, "url": reverse("analyses") + query, "action": action}


def _wheres(conditions: Sequence[str]) -> str:
    return urlencode([("where", condition) for condition in conditions])


def _lines(asked: Asked, rows: Sequence[finding.Row]) -> list[Line]:
    columns = [
        column_words([row.values[place] for row in rows], column.unit)
        for place, column in enumerate(asked.columns)
    ]
    lines = []
    for place, row in enumerate(rows):
        url = reverse("calculation-detail", args=[row.calculation.pk, "results"])
        about = software_label(row.calculation)
        if row.run is not None:
            url += f"?run={row.run.index + 1}"
            words = point_words(axes_of(row.calculation), row.run.point)
            about = f"run {row.run.index + 1}" + (f", {words}" if words else "")
        lines.append(Line(row, url, about, [words[place] for words in columns]))
    return lines


def _head(asked: Asked, column: Column) -> Head:
    name, here = column.kind.name, asked.sort.removeprefix("-")
    falling = asked.sort == f"-{name}"
    others = tuple(one for one in asked.columns if one is not column)
    units = [
        (
            unit or "none",
            "?" + asked.query(columns=_with_unit(asked, column, unit)),
            unit == column.unit,
        )
        for unit in column.kind.units
        if unit in column.factors()
    ]
    return Head(
        label=column.kind.label,
        unit=column.unit,
        url="?" + asked.query(sort=name if falling else f"-{name}") if column.kind.numeric else "",
        sorted="" if here != name else "descending" if falling else "ascending",
        without="?" + asked.query(columns=others, sort="" if here == name else asked.sort)
        if others
        else "",
        units=units if len(units) > 1 else [],
    )


def _with_unit(asked: Asked, column: Column, unit: str) -> tuple[Column, ...]:
    changed = Column(column.kind, unit)
    return tuple(changed if one is column else one for one in asked.columns)


def _offered(asked: Asked, kind: Kind) -> dict[str, Any]:
    here = next((one for one in asked.columns if one.kind.name == kind.name), None)
    return {"kind": kind, "chosen": here is not None, "token": here.token if here else kind.name}


def _without(asked: Asked, condition: Any) -> str:
    return asked.query(conditions=tuple(c for c in asked.conditions if c is not condition))


def _hidden(asked: Asked) -> list[tuple[str, str]]:
    """What the forms of the page carry along: all of the address but what they themselves set."""
    return [(n, v) for n, values in QueryDict(asked.query()).lists() for v in values]


def _menus(request: HttpRequest, asked: Asked) -> list[dict[str, Any]]:
    projects = Project.objects.visible_to(request.user).values_list("slug", "name")
    software = [(one.name, one.label) for one in offered_software().values()]
    people = [(request.user.get_username(), "Mine")]
    menus = [
        _menu(asked, "person", "Person", people),
        _menu(asked, "software", "Software", software),
        _menu(asked, "project", "Project", list(projects)),
    ]
    if hasattr(asked.filters, "standing"):
        standings = [(one.value, str(one.label)) for one in Standing]
        menus.append(_menu(asked, "standing", "Standing", standings))
    return menus


def _menu(asked: Asked, name: str, label: str, choices: list[tuple[str, str]]) -> dict[str, Any]:
    now = getattr(asked.filters, name)
    known = dict(choices)
    if now and now not in known:
        choices = [*choices, (now, now)]
    chips = [
        {
            "label": words,
            "current": value == now,
            "url": "?"
            + asked.query(filters=replace(asked.filters, **{name: "" if value == now else value})),
        }
        for value, words in choices
    ]
    return {"label": label, "chosen": known.get(now, now), "chips": chips}


def _chips(asked: Asked) -> list[tuple[str, str]]:
    """What narrows beside menus and conditions, as words and the address without it."""
    chips = []
    if asked.formula:
        chips.append((asked.formula, "?" + asked.query(formula="")))
    for name in ("text", "state", "cluster", "structure"):
        value = getattr(asked.filters, name, "")
        if value:
            gone = replace(asked.filters, **{name: ""})
            words = f"“{value}”" if name == "text" else f"{name} {value}"
            chips.append((words, "?" + asked.query(filters=gone)))
    return chips


def _saved(request: HttpRequest, asked: Asked) -> Saved:
    return saved_of(request, asked.query(), page=SavedFilter.Page.ANALYSES, narrowed=True)


@needs(Can.CREATE_CALCULATION)
@require_POST
def compute_outdated(request: HttpRequest) -> HttpResponse:
    """Compute anew what is older than its definition, of all that the person may see."""
    try:
        count = reanalysis.ask_outdated(selectors.calculations(request.user), actor=request.user)
    except Unavailable as problem:
        messages.warning(request, problem.message)
    else:
        messages.success(request, f"The analyses of {count} calculations are computed anew.")
    return redirect(safe_next(request, "analyses"))
