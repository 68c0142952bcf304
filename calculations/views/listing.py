"""The list of calculations: filters that are the URL, sortable columns."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import F, FloatField, Value
from django.db.models.functions import Coalesce, Lower
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from calculations import overviews, search, selectors
from calculations.selectors import Filters, default_filter
from calculations.services import drafts
from calculations.services.filters import query_of
from calculations.software.registry import offered_software
from calculations.states import CalculationState
from calculations.views.filters import ALL, saved_of
from calculations.views.paging import Sort, page_of
from calculations.views.rows import rows_of
from labportal.accounts.decorators import needs
from labportal.accounts.models import Project
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput

SORTS = {
    "new": Sort("pk", descending=True),
    "old": Sort("pk"),
    "name": Sort("name_lower"),
    "-name": Sort("name_lower", descending=True),
    "state": Sort("state"),
    "-state": Sort("state", descending=True),
    "result": Sort("result_key"),
    "-result": Sort("result_key", descending=True),
    "moved": Sort("state_since", descending=True),
    "-moved": Sort("state_since"),
}
COLUMNS = (
    ("State", "state", "-state", ""),
    ("Calculation", "name", "-name", ""),
    ("Runs", "", "", ""),
    ("Main result", "-result", "result", "num"),
    ("Cluster", "", "", ""),
    ("Person", "", "", ""),
    ("Last move", "moved", "-moved", ""),
)
LEAST = -1.7e308  # sorts what has no number behind all that have


@dataclass(frozen=True, slots=True)
class Chip:
    label: str
    url: str
    current: bool = False
    state: str = ""


@dataclass(frozen=True, slots=True)
class Menu:
    """A filter with many choices; `chosen` is what stands on its chip."""

    label: str
    chosen: str
    chips: list[Chip]


@needs()
def calculation_list(request: HttpRequest) -> HttpResponse:
    opened_with = default_filter(request.user) if not request.GET else None
    if opened_with:
        return redirect(f"{request.path}?{opened_with.query}")
    filters, problem = Filters.read(request.GET), ""
    try:
        query = search.parse(filters.text, user=request.user)
        rows = selectors.calculations(request.user, filters)
    except InvalidInput as error:
        query, problem = search.Query(), error.message
        rows = selectors.calculations(request.user).none()
    rows = rows.annotate(
        name_lower=Lower("name"),
        result_key=Coalesce(F("main_value"), Value(LEAST), output_field=FloatField()),
    )
    page = page_of(rows, request, SORTS, default="new")
    projects = list(Project.objects.visible_to(request.user))
    context = {
        "page": page,
        "rows": rows_of(page.rows, overviews.moving_runs(page.rows)),
        "filters": filters,
        "active": filters.active(),
        "state_chips": _state_chips(request, filters),
        "software_chips": _software_chips(request, filters, query),
        "problem": problem,
        "others": {n: v for n, v in request.GET.items() if n not in ("text", "q", "after", "all")},
        "menus": [_standing_menu(request, filters), *_menus(request, filters, projects)],
        "saved": saved_of(
            request,
            query_of(filters, request.GET.get("sort", "")[:20]),
            narrowed=bool(filters.active()),
        ),
        "columns": _columns(request),
        "topics": " ".join(f"project:{project.pk}" for project in projects[:60]),
        "here": request.get_full_path(),
        "may_prioritise": can(request.user, Can.PRIORITISE),
    }
    return render(request, "calculations/list.html", context, status=400 if problem else 200)


def _address(request: HttpRequest, name: str, value: str) -> str:
    query = request.GET.copy()
    for gone in (name, "after", "all", "q" if name == "text" else name):
        query.pop(gone, None)
    if value:
        query[name] = value
    return f"{request.path}?{query.urlencode() or ALL}"


def _state_chips(request: HttpRequest, filters: Filters) -> list[Chip]:
    chosen = [state for state in filters.state.split(",") if state]
    chips = []
    for state in CalculationState:
        here = state.value in chosen
        others = [s for s in chosen if s != state.value] if here else [*chosen, state.value]
        url = _address(request, "state", ",".join(others))
        chips.append(Chip(str(state.label), url, here, state.value))
    return chips


def _software_chips(request: HttpRequest, filters: Filters, query: search.Query) -> list[Chip]:
    chips = [_choice(request, "person", request.user.get_username(), "Mine", filters.person)]
    chips += [
        _choice(request, "software", software.name, software.label, filters.software)
        for software in offered_software().values()
    ]
    if filters.person and filters.person != request.user.get_username():
        chips.append(_choice(request, "person", filters.person, filters.person, filters.person))
    if filters.structure:
        number = f"S-{filters.structure.upper().removeprefix('S-')}"
        chips.append(Chip(f"Structure {number}", _address(request, "structure", ""), True))
    chips += [
        Chip(one.said, _address(request, "text", str(query.without(one))), True)
        for one in query.conditions
    ]
    return chips


def _choice(request: HttpRequest, name: str, value: str, label: str, chosen: str) -> Chip:
    here = value == chosen
    return Chip(label, _address(request, name, "" if here else value), here)


def _standing_menu(request: HttpRequest, filters: Filters) -> Menu:
    chips = [
        _choice(request, "standing", value, label, filters.standing)
        for value, label in STANDING_WORDS.items()
    ]
    return Menu("Trust", STANDING_WORDS.get(filters.standing, filters.standing), chips)


STANDING_WORDS = {
    "trusted": "Checked or validated",
    "checked": "Checked by rule",
    "validated": "Validated by a person",
    "unchecked": "Not checked",
    "retracted": "Retracted",
    "doubtful": "In doubt",
}


def _menus(request: HttpRequest, filters: Filters, projects: list[Project]) -> list[Menu]:
    names = list(drafts.clusters().values_list("name", flat=True))
    by_slug = {project.slug: project.name for project in projects}
    return [
        Menu(
            "Project",
            by_slug.get(filters.project, filters.project),
            [_choice(request, "project", s, n, filters.project) for s, n in by_slug.items()],
        ),
        Menu(
            "Cluster",
            filters.cluster,
            [_choice(request, "cluster", name, name, filters.cluster) for name in names],
        ),
    ]


def _columns(request: HttpRequest) -> list[dict[str, str]]:
    now = request.GET.get("sort", "new")
    columns = []
    for label, first, second, kind in COLUMNS:
        here = "" if now not in (first, second) or not first else "ascending"
        if here and SORTS[now].descending:
            here = "descending"
        url = _address(request, "sort", second if now == first else first) if first else ""
        columns.append({"label": label, "url": url, "sorted": here, "kind": kind})
    return columns
