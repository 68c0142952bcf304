"""Saving and deleting one's filters of lists, and the chips that show them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations.models import SavedFilter
from calculations.selectors import saved_filters
from calculations.services import filters as service
from labportal.accounts.decorators import needs
from labportal.common.errors import InvalidInput, WrongMoment

Page = SavedFilter.Page
ALL = "all=1"  # the whole list, where a default would narrow it
LISTS = {Page.CALCULATIONS: "calculation-list", Page.ANALYSES: "analyses"}


@dataclass(frozen=True, slots=True)
class Saved:
    """What templates/calculations/_saved.html shows; `here` is the one that is shown now."""

    all: list[SavedFilter]
    here: SavedFilter | None
    query: str
    may_save: bool
    page: str
    list_url: str

    @property
    def all_url(self) -> str:
        return f"{self.list_url}?{ALL}"


def saved_of(
    request: HttpRequest, query: str, *, page: str = Page.CALCULATIONS, narrowed: bool
) -> Saved:
    """Return the person's filters of the page; `query` is what it shows now."""
    found = list(saved_filters(request.user, page))
    here = next((saved for saved in found if saved.query == query), None)
    return Saved(found, here, query, narrowed and here is None, page, reverse(LISTS[page]))


@needs()
@require_POST
def save(request: HttpRequest) -> HttpResponse:
    page = request.POST.get("page", "")
    page = page if page in LISTS else Page.CALCULATIONS
    query = service.written(page, request.POST.get("query", "")[:20_000], actor=request.user)
    try:
        name = request.POST.get("name", "")
        saved = service.save(name, query, page=page, actor=request.user)
    except (InvalidInput, WrongMoment) as problem:
        messages.warning(request, problem.message)
        return redirect(_list(page, query))
    messages.success(request, f"“{saved.name}” is saved.")
    return redirect(_list(page, saved.query))


@needs()
@require_POST
def change(request: HttpRequest, filter_id: int) -> HttpResponse:
    own = service.own(filter_id, actor=request.user)
    name, is_default = request.POST.get("name", ""), bool(request.POST.get("is_default"))
    try:
        own = service.change(own, name=name, is_default=is_default, actor=request.user)
    except InvalidInput as problem:
        messages.warning(request, problem.message)
    else:
        messages.success(request, f"“{own.name}” is saved.")
    return redirect(_list(own.page, own.query))


@needs()
@require_POST
def delete(request: HttpRequest, filter_id: int) -> HttpResponse:
    gone = service.delete(filter_id, actor=request.user)
    messages.success(request, f"“{gone.name}” is deleted; the calculations stay as they are.")
    return redirect(_list(gone.page, gone.query))


def _list(page: str, query: str) -> str:
    return reverse(LISTS[page]) + (f"?{query}" if query else "")
