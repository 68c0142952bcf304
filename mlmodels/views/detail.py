"""A model: its header, and a tab for each question that one may have about it.

A tab is a line of TABS: its context comes from its function, its page from
templates/mlmodels/detail_<name>.html, which extends mlmodels/detail.html and fills the block `tab`.
The first tab is the one that opens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from labportal.accounts.decorators import needs
from mlmodels.models import RegisteredModel
from mlmodels.policy import verbs_for
from mlmodels.selectors import cards
from mlmodels.selectors.finding import find
from mlmodels.selectors.versions import versions_of
from mlmodels.views import predictions, tabs, trying, using


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    context: Callable[[HttpRequest, RegisteredModel], dict[str, Any]]

    def url(self, model: RegisteredModel) -> str:
        first = self is TABS[0]
        return reverse("model-detail", args=[model.name] if first else [model.name, self.name])


TABS: tuple[Tab, ...] = (
    Tab("try", "Try it", trying.try_it),
    Tab("health", "Health", tabs.health),
    Tab("versions", "Versions", tabs.versions),
    Tab("use", "Use", using.use_tab),
    Tab("predictions", "Predictions", predictions.predictions),
    Tab("contract", "Contract", tabs.contract),
    Tab("timeline", "Timeline", tabs.timeline),
    Tab("settings", "Settings", tabs.settings),
)


@require_safe
@needs()
def model_detail(request: HttpRequest, name: str, tab: str = "") -> HttpResponse:
    wanted = tab or TABS[0].name
    shown = next((one for one in TABS if one.name == wanted), None)
    if shown is None:
        raise Http404
    return page(request, find(request.user, name), shown)


def page(
    request: HttpRequest, model: RegisteredModel, tab: Tab, *, status: int = 200, **more: Any
) -> HttpResponse:
    """Draw a tab of a model; `more` stands in for what the tab itself would say."""
    context = header(request, model, tab) | tab.context(request, model) | more
    return render(request, f"mlmodels/detail_{tab.name}.html", context, status=status)


def tab_of(name: str) -> Tab:
    return next(tab for tab in TABS if tab.name == name)


def header(request: HttpRequest, model: RegisteredModel, now: Tab) -> dict[str, Any]:
    return {
        "model": model,
        "card": cards.card_of(model),
        "verbs": verbs_for(request.user, model),
        "waiting": versions_of(model).filter(approved_at=None).first(),
        "tab": now.name,
        "tabs": [
            {"label": tab.label, "url": tab.url(model), "current": tab is now} for tab in TABS
        ],
        "here": request.get_full_path(),
    }
