"""The lab's library of pseudopotentials: which elements each family covers, and its files."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from calculations.models import Pseudopotential
from calculations.sending import send
from calculations.services import pseudopotentials
from calculations.services.pseudo_families import Family, families, library
from calculations.software.structure import SYMBOLS
from calculations.views.verbs import said
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment

LANTHANIDES, ACTINIDES = range(57, 72), range(89, 104)


@dataclass(frozen=True, slots=True)
class Place:
    """An element in the periodic table; `file` is the family's for it."""

    symbol: str
    row: int
    column: int
    file: Pseudopotential | None


@dataclass(frozen=True, slots=True)
class Shown:
    family: Family
    table: list[Place]
    size: int


@require_safe
@needs()
def pseudopotential_list(request: HttpRequest) -> HttpResponse:
    shown = [
        Shown(family, periodic_table(family), sum(file.size for file in family.files))
        for family in families()
    ]
    context = {
        "shown": shown,
        "may_add": can(request.user, Can.CREATE_CALCULATION),
        "may_manage": can(request.user, Can.MANAGE_PSEUDOPOTENTIALS),
        "family": request.GET.get("family", "")[:80],
    }
    return render(request, "calculations/pseudopotentials.html", context)


def periodic_table(family: Family) -> list[Place]:
    """All elements at their places; lanthanides and actinides stand below."""
    files = {file.element: file for file in family.files}
    found = []
    for number, symbol in enumerate(SYMBOLS, start=1):
        row, column = place_of(number)
        found.append(Place(symbol, row, column, files.get(symbol)))
    return found


def place_of(number: int) -> tuple[int, int]:
    """Return row and column, both from 1."""
    for row, series in ((9, LANTHANIDES), (10, ACTINIDES)):
        if number in series:
            return row, 3 + number - series[0]
    ends = (0, 2, 10, 18, 36, 54, 86, 118)
    row = next(i for i in range(1, 8) if number <= ends[i])
    place, length = number - ends[row - 1], ends[row] - ends[row - 1]
    if row == 1:
        return row, 1 if place == 1 else 18
    if length == 8:
        return row, place if place <= 2 else place + 10
    if length == 32 and place > 17:
        place -= 14
    return row, place


@require_POST
@needs(Can.CREATE_CALCULATION)
def pseudopotential_add(request: HttpRequest) -> HttpResponse:
    family = request.POST.get("family", "")[:200]
    uploads = [(file.name or "", file) for file in request.FILES.getlist("files")]
    try:
        added = pseudopotentials.add(family, uploads, actor=request.user)
    except (InvalidInput, NotAllowed) as error:
        messages.error(request, said(error))
        return redirect("pseudopotential-list")
    count = len(added.rows)
    words = f"{count} file{'' if count == 1 else 's'} added to {family.strip()}."
    if added.replaced:
        words += f" Replaced: {', '.join(added.replaced)}."
    messages.success(request, " ".join([words, *(f"{note}." for note in added.notes[:5])]))
    return redirect("pseudopotential-list")


@require_POST
@needs(Can.MANAGE_PSEUDOPOTENTIALS)
def pseudopotential_rename(request: HttpRequest) -> HttpResponse:
    family, name = request.POST.get("family", ""), request.POST.get("name", "")
    try:
        pseudopotentials.rename(family, name, actor=request.user)
        messages.success(request, f"{family} is {name.strip()} now.")
    except InvalidInput as error:
        messages.error(request, said(error))
    return redirect("pseudopotential-list")


@require_POST
@needs(Can.MANAGE_PSEUDOPOTENTIALS)
def pseudopotential_delete(request: HttpRequest, pk: int) -> HttpResponse:
    file = get_object_or_404(library(), pk=pk)
    name = str(file)
    try:
        pseudopotentials.delete(file, actor=request.user)
        messages.success(request, f"{name} is deleted.")
    except WrongMoment as error:
        messages.error(request, error.message)
    return redirect("pseudopotential-list")


@require_safe
@needs()
def pseudopotential_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    file = get_object_or_404(library(), pk=pk)
    return send(file.key, file.name)
