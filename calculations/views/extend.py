"""Further points for a sweep that was submitted: what they would be, and the verb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from calculations.models import Calculation, Run, Structure
from calculations.policy import may_review
from calculations.services import extension
from calculations.services.extension import Extension
from calculations.services.sweeps import Axis, axes_of
from calculations.sweeps.axes import STRUCTURE
from calculations.views.finding import find
from calculations.wording import point_words, span_words
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can
from labportal.common.errors import DomainError, InvalidInput, WrongMoment
from labportal.common.navigation import forget_counts

MOST_LINES = 60
MOST_STRUCTURES = 300


@dataclass(frozen=True, slots=True)
class Field:
    """The further values of one axis, as they were entered."""

    number: int
    axis: Axis
    there: str
    said: str
    errors: list[str]
    structures: list[tuple[str, str, bool]]

    @property
    def name(self) -> str:
        return f"values{self.number}"


@needs(Can.CREATE_CALCULATION)
def calculation_extend(request: HttpRequest, pk: int) -> HttpResponse:
    calculation = find(request.user, pk)
    axes = axes_of(calculation)
    asked = _asked(request, axes) if request.method == "POST" else []
    errors: dict[str, list[str]] = {}
    found: Extension | None = None
    try:
        if asked:
            found = extension.preview(calculation, asked, actor=request.user)
        if found is not None and request.POST.get("verb") == "add":
            runs = extension.extend(calculation, asked, actor=request.user)
            forget_counts(request.user.pk)
            words = f"{len(runs)} run{'s'[: len(runs) != 1]} more"
            messages.success(request, f"{calculation.number}: {words}, queued.")
            return redirect("calculation-detail", pk)
    except InvalidInput as error:
        errors = _placed(error, asked, axes)
    except WrongMoment as error:
        messages.error(request, error.message)
        return redirect("calculation-detail", pk)
    except DomainError as error:
        errors = {"": [error.message]}
    context = {
        "calculation": calculation,
        "fields": _fields(request, calculation, axes, errors),
        "errors": errors.get("", []),
        "found": found,
        "lines": _lines(found, axes) if found else [],
        "more": max(0, len(found.runs) - MOST_LINES) if found else 0,
        "refused": bool(found and found.review and not may_review(request.user, calculation)),
        "core_hours": len(found.runs) * calculation.cores * calculation.walltime_s / 3600
        if found
        else 0.0,
    }
    partial = bool(request.headers.get("HX-Request"))
    name = "calculations/_extension.html" if partial else "calculations/extend.html"
    return render(request, name, context, status=400 if errors and not partial else 200)


def _asked(request: HttpRequest, axes: list[Axis]) -> list[dict[str, Any]]:
    """The axes for which something was entered."""
    found: list[dict[str, Any]] = []
    for number, axis in enumerate(axes):
        if axis.kind == STRUCTURE:
            keys = request.POST.getlist(f"values{number}")
            found += [{"parameter": axis.name, "structures": keys}] if keys else []
        elif text := request.POST.get(f"values{number}", "").strip():
            found.append({"parameter": axis.name, "values": text})
    return found


def _placed(
    error: InvalidInput, asked: list[dict[str, Any]], axes: list[Axis]
) -> dict[str, list[str]]:
    """The errors by the names of the axes; "" for those of none."""
    found: dict[str, list[str]] = {}
    names = [axis.name for axis in axes]
    for field, texts in error.field_errors.items():
        place = field.removeprefix("axes.").partition(".")[0]
        known = place.isdecimal() and int(place) < len(asked)
        name = asked[int(place)]["parameter"] if known else ""
        words = texts if name in names else [f"{field} {text}" for text in texts]
        found.setdefault(name if name in names else "", []).extend(words)
    return found


def _fields(
    request: HttpRequest, calculation: Calculation, axes: list[Axis], errors: dict[str, list[str]]
) -> list[Field]:
    return [
        Field(
            number,
            axis,
            span_words(axis, 12),
            request.POST.get(f"values{number}", ""),
            errors.get(axis.name, []),
            _structures(request, calculation, axis, number),
        )
        for number, axis in enumerate(axes)
    ]


def _structures(
    request: HttpRequest, calculation: Calculation, axis: Axis, number: int
) -> list[tuple[str, str, bool]]:
    if axis.kind != STRUCTURE:
        return []
    chosen = request.POST.getlist(f"values{number}")
    rows = Structure.objects.visible_to(request.user).filter(project=calculation.project)
    found = rows.exclude(pk__in=axis.keys).order_by("-id")[:MOST_STRUCTURES]
    return [
        (str(pk), f"{name} · {formula} · S-{pk}", str(pk) in chosen)
        for pk, name, formula in found.values_list("pk", "name", "formula")
    ]


def _lines(found: Extension, axes: list[Axis]) -> list[tuple[str, str]]:
    """(where, from which run) of the first new runs."""
    lines = []
    for new in found.runs[:MOST_LINES]:
        if new.before is None:
            start = "anew"
        elif isinstance(new.before, Run):
            start = f"from run {new.before.index + 1}"
        else:
            start = f"from {point_words(axes, found.runs[new.before].planned.point)}"
        lines.append((point_words(axes, new.planned.point), start))
    return lines
