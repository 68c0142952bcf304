"""The search: one field for calculations, runs, structures and results, which says what it
understood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from calculations import overviews
from calculations.models import Run
from calculations.search import Query, groups, parse
from calculations.search.suggesting import suggestions
from calculations.views.rows import rows_of, run_label
from labportal.accounts.decorators import needs
from labportal.common.errors import InvalidInput

SOME, SIZE, RECENT = 6, 50, 8
RECENTLY = "recent-searches"  # in the session
TITLES = {
    "calculations": "Calculations",
    "runs": "Runs",
    "structures": "Structures",
    "results": "Results",
}
EXAMPLES = (
    "valid water runs with a gap above 5 eV",
    "failed siesta since monday",
    "element:Si gap 1..3 eV",
    "mine validated finished>2026-01",
    '"water in a field" -draft',
    "force at most 0.01 eV/Å",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Some rows of a kind; `url` leads to all of them, `older_url` to the next page of them."""

    kind: str
    title: str
    count: groups.Count
    rows: list[Any]
    url: str
    older_url: str = ""


@needs()
def search_page(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    kind = request.GET.get("in", "")
    context: dict[str, Any] = {"text": text, "examples": EXAMPLES, "kind": kind, "titles": TITLES}
    try:
        query = parse(text, user=request.user)
    except InvalidInput as error:
        context |= {"problem": error.message, "recent": _recent(request)}
        return render(request, "calculations/search.html", context, status=400)
    if query.conditions:
        _remember(request, str(query))
        shown = [kind] if kind in groups.KINDS else list(groups.KINDS)
        found = [group for name in shown if (group := _group(request, name, query))]
        context |= {"query": query, "chips": _chips(query, kind), "groups": found}
        context["list_url"] = _url("calculation-list", text=str(query))
    context["recent"] = _recent(request)
    return render(request, "calculations/search.html", context)


@needs()
def search_suggest(request: HttpRequest) -> HttpResponse:
    """What the field offers while one types."""
    return JsonResponse({"suggestions": suggestions(request.GET.get("q", ""), request.user)})


def _group(request: HttpRequest, kind: str, query: Query) -> Group | None:
    alone = request.GET.get("in") == kind
    counted = groups.count(kind, query, request.user)
    if not counted.number and not alone:
        return None
    rows = groups.rows_of(kind, query, request.user)
    size = SIZE if alone else SOME
    if alone:
        rows = groups.behind(kind, rows, request.GET.get("after", "")[:120])
    found = list(rows[: size + 1])
    shown, words = found[:size], {"q": str(query), "in": kind}
    older = ""
    if alone and len(found) > size:
        older = _url("search", **words, after=groups.place_of(kind, shown[-1]))
    filled = _filled(kind, shown, query)
    return Group(kind, TITLES[kind], counted, filled, _url("search", **words), older)


def _filled(kind: str, shown: list[Any], query: Query) -> list[Any]:
    """Each row with what a page says of it."""
    values = groups.values_of(kind, shown, query)
    if kind == "calculations":
        rows = rows_of(shown, overviews.moving_runs(shown))
        return [{"row": row, "values": values.get(row.calculation.pk, ())} for row in rows]
    if kind == "runs":
        return [_run(run, values.get(run.pk, ())) for run in shown]
    if kind == "results":
        return [{"quantity": q, "shown": groups.in_unit(q, query.measured)} for q in shown]
    return shown


def _run(run: Run, values: Any) -> dict[str, Any]:
    label = run_label(run.calculation, run) or f"run {run.index + 1}"
    return {"run": run, "label": label, "values": values}


def _chips(query: Query, kind: str) -> list[dict[str, Any]]:
    """What was understood; the link of each leaves it out."""
    more = {"in": kind} if kind else {}
    return [
        {
            "label": condition.said,
            "url": _url("search", q=str(query.without(condition)), **more),
            "current": True,
        }
        for condition in query.conditions
    ]


def _url(name: str, **words: str) -> str:
    return f"{reverse(name)}?{urlencode(words)}"


def _remember(request: HttpRequest, text: str) -> None:
    recent = _recent(request)
    if recent[:1] != [text]:
        request.session[RECENTLY] = [text, *(one for one in recent if one != text)][:RECENT]


def _recent(request: HttpRequest) -> list[str]:
    return list(request.session.get(RECENTLY, ()))
