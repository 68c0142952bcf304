"""The library of structures: list, page, verbs, and what its pages fetch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.cache import cache
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST

from calculations.models import Run, Structure
from calculations.services import structures as service
from calculations.software.registry import UnknownSoftware, get_software
from calculations.software.structure import Structure as Atoms
from calculations.software.structure import StructureError
from calculations.structures import geometry, library
from calculations.structures.fingerprint import fingerprints
from calculations.structures.formats import FORMATS
from calculations.structures.library import StructureFilters
from calculations.structures.picture import svg
from calculations.structures.writing import formats_of, write
from calculations.views.paging import Sort, page_of
from calculations.views.rows import rows_of, software_label
from calculations.views.safe import safe_next
from calculations.views.verbs import said
from labportal.accounts.decorators import needs
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput, NotFound, WrongMoment

SORTS = {
    "new": Sort("pk", descending=True),
    "name": Sort("name_lower"),
    "atoms": Sort("atom_count"),
}
SORT_LABELS = (("new", "Newest"), ("name", "Name"), ("atoms", "Atoms"))
MOST_CALCULATIONS = 50
MOST_CHOICES = 24
MOST_ATOM_ROWS = 400
MOST_COMPARED = 2_000
PICTURE_SECONDS = 24 * 3600
FOREVER = "private, max-age=31536000, immutable"  # a structure's content never changes


@dataclass(frozen=True, slots=True)
class Chip:
    label: str
    url: str
    current: bool = False


def find(user: User, pk: int) -> Structure:
    """Raises NotFound."""
    rows = Structure.objects.visible_to(user).filter(pk=pk)
    found = rows.select_related("project", "created_by", "derived_from__calculation").first()
    if found is None:
        raise NotFound(f"There is no structure S-{pk}, or it is in a project of others.")
    return found


@needs()
def molecule_list(request: HttpRequest) -> HttpResponse:
    filters = StructureFilters.read(request.GET)
    rows = library.structures(request.user, filters).annotate(name_lower=Lower("name"))
    context = {
        "page": page_of(rows, request, SORTS, default="new"),
        "filters": filters,
        "active": filters.active(),
        "tags": _tag_chips(request, filters),
        "sorts": _sort_chips(request),
        "may_create": can(request.user, Can.CREATE_CALCULATION),
    }
    return render(request, "molecules/list.html", context)


def _address(request: HttpRequest, name: str, value: str) -> str:
    query: QueryDict = request.GET.copy()
    query.pop(name, None)
    query.pop("after", None)
    if value:
        query[name] = value
    return f"{request.path}?{query.urlencode()}" if query else request.path


def _tag_chips(request: HttpRequest, filters: StructureFilters) -> list[Chip]:
    chips = [
        Chip(f"{label} {value}", _address(request, name, ""), True)
        for name, label, value in (
            ("formula", "Formula", filters.formula),
            ("element", "With", filters.element),
            ("project", "Project", filters.project),
        )
        if value
    ]
    known = library.tags_of(request.user)
    for tag in [*known, *([filters.tag] if filters.tag and filters.tag not in known else [])]:
        here = tag == filters.tag
        chips.append(Chip(tag, _address(request, "tag", "" if here else tag), here))
    return chips


def _sort_chips(request: HttpRequest) -> list[Chip]:
    now = request.GET.get("sort", "new")
    return [
        Chip(label, _address(request, "sort", "" if name == "new" else name), name == now)
        for name, label in SORT_LABELS
    ]


@needs()
def molecule_detail(request: HttpRequest, pk: int) -> HttpResponse:
    structure = find(request.user, pk)
    atoms = service.atoms_of(structure)
    found = library.calculations_of(structure, request.user).order_by("-pk")
    shown = list(found[: MOST_CALCULATIONS + 1])
    context = {
        "structure": structure,
        "facts": geometry.facts(atoms),
        "atoms": atoms.atoms[:MOST_ATOM_ROWS],
        "more_atoms": max(0, len(atoms.atoms) - MOST_ATOM_ROWS),
        "properties": [
            (found, software_label(found.calculation))
            for found in library.properties(structure, request.user)
        ],
        "rows": rows_of(shown[:MOST_CALCULATIONS], {}),
        "more": len(shown) > MOST_CALCULATIONS,
        "twins": list(library.twins(structure, _hashes(structure, atoms), request.user)[:12]),
        "formats": [FORMATS[name] for name in formats_of(atoms)],
        "may_change": can(request.user, Can.CREATE_CALCULATION),
        "tags": ", ".join(structure.tags),
    }
    return render(request, "molecules/detail.html", context)


def _hashes(structure: Structure, atoms: Atoms) -> tuple[str, ...]:
    """What the same structure may be stored under; of a large one its own alone, for speed."""
    few = structure.atom_count <= MOST_COMPARED
    return fingerprints(atoms) if few else (structure.fingerprint,)


@needs(Can.CREATE_CALCULATION)
@require_POST
def molecule_edit(request: HttpRequest, pk: int) -> HttpResponse:
    structure = find(request.user, pk)
    try:
        service.change(
            structure,
            actor=request.user,
            name=request.POST.get("name"),
            description=request.POST.get("description"),
            tags=request.POST["tags"].split(",") if "tags" in request.POST else None,
        )
        messages.success(request, f"{structure.number} is changed.")
    except InvalidInput as error:
        messages.error(request, f"Not changed. {said(error)}")
    return redirect("molecule-detail", pk)


@needs(Can.CREATE_CALCULATION)
@require_POST
def molecule_delete(request: HttpRequest, pk: int) -> HttpResponse:
    structure = find(request.user, pk)
    try:
        service.delete(structure, actor=request.user)
    except WrongMoment as error:
        messages.error(request, error.message)
        return redirect("molecule-detail", pk)
    messages.success(request, f"{structure.number} {structure.name} is deleted.")
    return redirect("molecule-list")


@needs(Can.CREATE_CALCULATION)
@require_POST
def molecule_from_run(request: HttpRequest, run: UUID) -> HttpResponse:
    rows = Run.objects.visible_to(request.user).select_related("calculation__structure")
    found = rows.filter(pk=run).select_related("calculation__project").first()
    if found is None:
        raise NotFound("There is no such run, or it is in a project of others.")
    try:
        structure, is_new = service.create_from_run(
            found, actor=request.user, name=request.POST.get("name", "")[:200]
        )
    except WrongMoment as error:
        messages.error(request, error.message)
        return redirect(safe_next(request, "calculation-detail", found.calculation_id))
    messages.success(request, _kept(structure, is_new))
    return redirect(structure)


def _kept(structure: Structure, is_new: bool) -> str:
    if is_new:
        return f"{structure.number} is in the library."
    return f"It was here already, as {structure.number}; nothing was added."


@needs()
def molecule_picture(request: HttpRequest, pk: int) -> HttpResponse:
    visible = Structure.objects.visible_to(request.user).filter(pk=pk)
    key = f"structure-picture:3:{pk}"
    drawn = cache.get(key)
    if drawn is None or not visible.exists():
        drawn = svg(service.atoms_of(find(request.user, pk)))
        cache.set(key, drawn, PICTURE_SECONDS)
    return HttpResponse(drawn, "image/svg+xml", headers={"Cache-Control": FOREVER})


@needs()
def molecule_geometry(request: HttpRequest, pk: int) -> JsonResponse:
    """What the viewer draws."""
    atoms = service.atoms_of(find(request.user, pk))
    return JsonResponse(geometry.document(atoms), headers={"Cache-Control": FOREVER})


@needs()
def molecule_download(request: HttpRequest, pk: int) -> HttpResponse:
    """?format= one of those that the page offers; extended xyz unless told."""
    structure = find(request.user, pk)
    return attached(structure, request.GET.get("format", "extxyz"))


def attached(structure: Structure, format: str) -> HttpResponse:
    """Raises InvalidInput for a format that cannot hold it."""
    try:
        text = write(service.atoms_of(structure), format)
    except StructureError as error:
        raise InvalidInput(str(error), field="format") from None
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in structure.name)
    name = f"{structure.number}-{safe[:60].strip('-')}{FORMATS[format].suffix}"
    kind = FORMATS[format].media_type
    head = content_disposition_header(True, name) or ""
    return HttpResponse(text, f"{kind}; charset=utf-8", headers={"Content-Disposition": head})


@needs()
def molecule_choose(request: HttpRequest) -> HttpResponse:
    """The choices of the form of a calculation, as a fragment; ?q= narrows them."""
    rows = library.structures(request.user, StructureFilters.read(request.GET)).order_by("-pk")
    found = list(rows[: MOST_CHOICES + 1])
    context = {"found": found[:MOST_CHOICES], "more": len(found) > MOST_CHOICES}
    return render(request, "molecules/_choices.html", context)


@needs()
def molecule_parameters(request: HttpRequest, pk: int) -> JsonResponse:
    """The fields of a program's form that this structure fills."""
    structure = find(request.user, pk)
    try:
        software = get_software(request.GET.get("software", ""))
    except UnknownSoftware as error:
        raise InvalidInput(str(error), field="software") from None
    found: dict[str, Any] = software.structure_parameters(service.atoms_of(structure))
    return JsonResponse({"parameters": found})
