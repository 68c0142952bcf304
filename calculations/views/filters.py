"""Saving and deleting one's filters of the list of calculations, and the chips that show them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations.models import SavedFilter
from calculations.selectors import Filters, saved_filters
from calculations.services import filters as service
from labportal.accounts.decorators import needs
from labportal.common.errors import InvalidInput, WrongMoment


@dataclass(frozen=True, slots=True)
class Saved:
    """What templates/calculations/_saved.html shows; `here` is the one that is shown now."""

    all: list[SavedFilter]
    here: SavedFilter | None
    query: str
    may_save: bool


def saved_of(request: HttpRequest, filters: Filters) -> Saved:
    query = service.query_of(filters, request.GET.get("sort", "")[:20])
    found = list(saved_filters(request.user))
    here = next((saved for saved in found if saved.query == query), None)
    return Saved(found, here, query, bool(filters.active()) and here is None)


@needs()
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    query = QueryDict(request.POST.get("query", "")[:20_000])
    filters, sort = Filters.read(query), query.get("sort", "")[:20]
    try:
        saved = service.save(request.POST.get("name", ""), filters, sort=sort, actor=request.user)
    except (InvalidInput, WrongMoment) as problem:
        messages.warning(request, problem.message)
        return redirect(_list(service.query_of(filters, sort)))
    messages.success(request, f"“{saved.name}” is saved.")
    return redirect(_list(saved.query))


@needs()
@require_POST
def delete(request: HttpRequest, filter_id: int) -> HttpResponse:
    gone = service.delete(filter_id, actor=request.user)
    messages.success(request, f"“{gone.name}” is deleted; the calculations stay as they are.")
    return redirect(_list(gone.query))


def _list(query: str) -> str:
    return reverse("calculation-list") + (f"?{query}" if query else "")
