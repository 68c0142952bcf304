"""A person's exports: what was asked for, how far it is, the file; and the page that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST, require_safe

from calculations.exports.base import Asked
from calculations.exports.registry import KINDS, kind_of, kinds_of
from calculations.exports.runset import OF_STRUCTURE, STRUCTURES, TRUST, RunSet
from calculations.models import Export
from calculations.selectors import Filters
from calculations.sending import send
from calculations.services import exports
from calculations.views.safe import safe_next
from labportal.accounts.decorators import needs
from labportal.accounts.paging import page_of
from labportal.common.errors import DomainError, InvalidInput
from labportal.common.templatetags.labportal import THIN_SPACE

#: The states of an export in the colours of the states of calculations.
COLOURS = {
    Export.State.WAITING: "queued",
    Export.State.RUNNING: "running",
    Export.State.READY: "valid",
    Export.State.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An export as the list shows it; `words` say how far it is, `fetches` marks the one that was
    just asked for.
    """

    export: Export
    kind: str
    colour: str
    is_open: bool
    words: str
    fetches: bool


@require_safe
@needs()
def export_list(request: HttpRequest) -> HttpResponse:
    after = request.GET.get("after", "")
    if after and parse_datetime(after[:150]) is None:
        raise InvalidInput("is no place in the list; open the list anew", field="after")
    page = page_of(exports.exports_of(request.user), request, field="created_at")
    made = request.GET.get("made", "")
    context = {
        "page": page,
        "rows": [_row(export, made) for export in page.rows],
        "here": request.get_full_path(),
        "kept_days": exports.KEPT_DAYS,
    }
    return render(request, "calculations/exports.html", context)


def _row(export: Export, made: str) -> Row:
    kind = KINDS.get(export.kind)
    is_open = export.state in exports.OPEN
    return Row(
        export,
        kind.label if kind else export.kind,
        COLOURS[Export.State(export.state)],
        is_open,
        words=f"{export.done:,} of {export.of:,}".replace(",", THIN_SPACE) if export.of else "",
        fetches=str(export.pk) == made,
    )


@require_safe
@needs()
def export_new(request: HttpRequest) -> HttpResponse:
    """Choose the form of a data set, and what it holds; ?kind=, ?standing= and the filters of the
    list say what is chosen at first.
    """
    if request.GET.get("calculation"):
        return _new_of_calculation(request)
    filters, where = _filters(request.GET), _where(request.GET)
    asked = {"filters": filters, "where": where}
    sets = {name: RunSet.read({**asked, "standing": name}, request.user) for name in TRUST}
    counts = {name: chosen.count() for name, chosen in sets.items()}
    chosen = request.GET.get("standing", "")
    if chosen not in sets:
        chosen = next((name for name in sets if counts[name]), "validated")
    kinds = kinds_of("set")
    wanted = request.GET.get("kind", "")
    context = {
        "kinds": kinds,
        "kind": wanted if wanted in [kind.name for kind in kinds] else kinds[0].name,
        "filters": filters,
        "where": where,
        "narrowed": sets["checked"].narrowed(),
        "trust": [
            {"name": name, "label": label, "count": counts[name], "chosen": name == chosen}
            for name, label in (
                ("validated", "Validated by a second person"),
                ("checked", "Validated, or checked by rule"),
            )
        ],
        "structures": STRUCTURES,
        "available": sets["checked"].available(),
        "here": request.get_full_path(),
    }
    return render(request, "calculations/export_new.html", context)


def _new_of_calculation(request: HttpRequest) -> HttpResponse:
    kinds = kinds_of("calculation")
    asked: Asked = kinds[0].check(request.GET, request.user)
    chosen = request.GET.get("kind", "")
    context = {
        "calculation": asked.about,
        "kinds": kinds,
        "kind": chosen if chosen in [kind.name for kind in kinds] else kinds[0].name,
    }
    return render(request, "calculations/export_new.html", context)


@require_POST
@needs()
def export_ask(request: HttpRequest) -> HttpResponse:
    """`kind`, and `calculation` or the filters of the list, `standing`, `include` and `note`."""
    said = request.POST
    try:
        kind = kind_of(said.get("kind", ""))
        export = exports.ask(kind.name, _asked(kind.of, said), user=request.user)
    except InvalidInput as problem:
        messages.warning(request, problem.message)
        return redirect(safe_next(request, "export-list"))
    return redirect(f"{reverse('export-list')}?made={export.pk}")


def _asked(subject: str, said: QueryDict) -> dict[str, Any]:
    if subject == "calculation":
        return said.dict()
    return {
        "filters": _filters(said),
        "where": _where(said),
        "standing": said.get("standing", ""),
        "include": said.getlist("include") if "chosen" in said else [STRUCTURES],
        "note": said.get("note", ""),
    }


def _filters(said: QueryDict) -> dict[str, str]:
    """What narrows the list of calculations; how far results are trusted is asked apart."""
    names = {*Filters.__slots__, *OF_STRUCTURE, "q"} - {"standing", "state"}
    return {name: said[name].strip() for name in sorted(names) if said.get(name, "").strip()}


def _where(said: QueryDict) -> list[str]:
    """Bounds of quantities, as the section Analyses writes them."""
    return [text for text in said.getlist("where") if text.strip()]


@require_safe
@needs()
def export_file(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    export = exports.fetched(exports.find(request.user, export_id), user=request.user)
    return send(export.key, export.file_name, export.content_type)


@require_POST
@needs()
def export_delete(request: HttpRequest, export_id: UUID) -> HttpResponse:
    export = exports.find(request.user, export_id)
    exports.delete(export, actor=request.user)
    messages.success(request, f"The export of “{export.label}” is deleted.")
    return redirect("export-list")


@require_POST
@needs()
def export_again(request: HttpRequest, export_id: UUID) -> HttpResponse:
    before = exports.find(request.user, export_id)
    try:
        export = exports.again(before, actor=request.user)
    except DomainError as problem:
        messages.warning(request, problem.message)
        return redirect("export-list")
    return redirect(f"{reverse('export-list')}?made={export.pk}")
