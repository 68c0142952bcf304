"""A calculation: its header, and a tab for each question that one may have about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Prefetch, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from calculations import overviews, policy, selectors
from calculations.models import Calculation, Run
from calculations.scaling.gathering import scales
from calculations.services.retries import common_advice
from calculations.states import RunState
from calculations.views import tabs
from calculations.views.finding import find
from calculations.views.rows import rows_of, software_label
from calculations.views.scaling import scaling
from labportal.accounts.decorators import needs

TABS: dict[str, tuple[str, Callable[[HttpRequest, Calculation], dict[str, Any]]]] = {
    "overview": ("Overview", tabs.overview),
    "results": ("Results", tabs.results),
    "scaling": ("Scaling", scaling),
    "inputs": ("Inputs", tabs.inputs),
    "log": ("Log", tabs.log),
    "timeline": ("Timeline", tabs.timeline),
    "files": ("Files", tabs.files),
    "use": ("Use", tabs.use),
}
MANY_RUNS = 60  # of more the header reads how many are in which state, the tabs what they show
LAST_VERBS = ("retract", "cancel", "delete", "approve", "send_back")


@needs()
def calculation_detail(request: HttpRequest, pk: int, tab: str = "overview") -> HttpResponse:
    if tab not in TABS:
        raise Http404
    calculation = find(request.user, pk)
    context = _header(request, calculation, tab) | TABS[tab][1](request, calculation)
    return render(request, f"calculations/detail_{tab}.html", context)


def _header(request: HttpRequest, calculation: Calculation, tab: str) -> dict[str, Any]:
    if calculation.run_count <= MANY_RUNS:
        ordered = Run.objects.order_by("index").prefetch_related("cluster")
        prefetch_related_objects([calculation], Prefetch("runs", ordered))
    moving = overviews.moving_runs([calculation]).get(calculation.pk, [])
    row = rows_of([calculation], {calculation.pk: moving})[0]
    verbs = sorted(policy.verbs_for(request.user, calculation), key=_place)
    return {
        "calculation": calculation,
        "row": row,
        "moving": moving,
        "software": software_label(calculation),
        "verbs": verbs,
        "advice": common_advice(calculation) if "retry" in verbs else "",
        "open_runs": sum(row.counts.get(state, 0) for state in selectors.OPEN_RUNS),
        "valid_runs": row.counts.get(RunState.VALID, 0),
        "tabs": _tabs(calculation, tab),
        "tab": tab,
        "many_runs": MANY_RUNS,
        "here": request.get_full_path(),
    }


def _place(verb: str) -> int:
    """Buttons that end something stand apart from those that begin something."""
    return LAST_VERBS.index(verb) + 1 if verb in LAST_VERBS else 0


def _tabs(calculation: Calculation, now: str) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "url": reverse(
                "calculation-detail",
                args=[calculation.pk] if name == "overview" else [calculation.pk, name],
            ),
            "current": name == now,
        }
        for name, (label, _) in TABS.items()
        if name != "scaling" or scales(calculation)
    ]
