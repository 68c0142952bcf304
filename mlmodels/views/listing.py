"""Every model as a card, those that need somebody first; one card alone, to be kept fresh."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from labportal.accounts.decorators import needs
from labportal.accounts.paging import page_of
from labportal.accounts.roles import Can, can
from mlmodels.selectors import cards
from mlmodels.selectors.finding import find
from mlmodels.states import ModelState

FEW = 6  # so many are seen at a glance and need no filter


@require_safe
@needs()
def model_list(request: HttpRequest) -> HttpResponse:
    state, text = request.GET.get("state", ""), request.GET.get("text", "")[:200].strip()
    found = cards.models(request.user)
    counts = cards.counts(found)
    if state not in ModelState.values:
        state = ""
    page = page_of(
        cards.in_order(cards.narrow(found, state=state, text=text)),
        request,
        field="place",
        descending=False,
    )
    total = sum(counts.values())
    context = {
        "cards": cards.cards(page.rows),
        "page": page,
        "chips": _chips(counts, state, text) if total > FEW else [],
        "state": state,
        "text": text,
        "filtered": bool(state or text),
        "may_register": can(request.user, Can.REGISTER_MODEL),
    }
    return render(request, "mlmodels/list.html", context)


def _chips(counts: dict[str, int], chosen: str, text: str) -> list[dict[str, Any]]:
    """The states that there are; the chosen one leads back to all."""
    here = reverse("model-list")
    drawn = []
    for state in cards.TROUBLE_FIRST:
        if not counts.get(state) and state != chosen:
            continue
        current = state == chosen
        query = {name: v for name, v in (("state", not current and state), ("text", text)) if v}
        drawn.append(
            {
                "label": f"{state.label} {counts.get(state, 0)}",
                "url": f"{here}?{urlencode(query)}" if query else here,
                "current": current,
                "state": state.value,
            }
        )
    return drawn


@require_safe
@needs()
def model_card(request: HttpRequest, name: str) -> HttpResponse:
    context = {"card": cards.card_of(find(request.user, name))}
    return render(request, "mlmodels/_card.html", context)
