"""The verbs of the standing of results, and the list of what waits for a second person."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from calculations import overviews, selectors
from calculations.models import Calculation
from calculations.services import keeping, standing
from calculations.states import Standing
from calculations.views.reviews import review_tabs
from calculations.views.rows import rows_of
from calculations.views.safe import safe_next
from calculations.views.topics import project_topics
from calculations.views.verbs import verb
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can

MOST = 50
MOST_WORDS = 2000


@verb
def validate(request: HttpRequest, calculation: Calculation) -> str:
    standing.validate(calculation, actor=request.user, note=_note(request))
    messages.success(request, f"{calculation.number} is validated, in your name.")
    return safe_next(request, "calculation-detail", calculation.pk)


@verb
def retract(request: HttpRequest, calculation: Calculation) -> str:
    standing.retract(calculation, actor=request.user, reason=_note(request))
    messages.success(request, f"{calculation.number} is retracted; what follows from it is marked.")
    return safe_next(request, "calculation-detail", calculation.pk)


@verb
def restore(request: HttpRequest, calculation: Calculation) -> str:
    standing.restore(calculation, actor=request.user, reason=_note(request))
    checked = calculation.standing == Standing.CHECKED
    words = "checked by rule again" if checked else "back, but the check by rule fails"
    messages.success(request, f"{calculation.number} is {words}.")
    return safe_next(request, "calculation-detail", calculation.pk)


@verb
def keep_files(request: HttpRequest, calculation: Calculation) -> str:
    keep = request.POST.get("keep") == "1"
    keeping.keep_files(calculation, keep=keep, actor=request.user)
    words = "stay on the cluster" if keep else "go when their time is over"
    messages.success(request, f"The raw files of {calculation.number} {words}.")
    return safe_next(request, "calculation-detail", calculation.pk)


def _note(request: HttpRequest) -> str:
    return request.POST.get("note", "")[:MOST_WORDS]


@require_safe
@needs(Can.REVIEW)
def to_validate(request: HttpRequest) -> HttpResponse:
    """What is checked by rule and waits for a second person, and what failed the check."""
    waiting = list(selectors.to_validate(request.user)[: MOST + 1])
    shown = waiting[:MOST]
    context = {
        "rows": rows_of(shown, overviews.moving_runs(shown)),
        "more": len(waiting) > MOST,
        "tabs": review_tabs("validate"),
        "topics": project_topics(request.user),
        "here": request.get_full_path(),
    }
    return render(request, "calculations/to_validate.html", context)
