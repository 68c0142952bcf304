"""The verbs of one calculation, as forms post them; refusals are said on the page itself."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations.models import Calculation
from calculations.services import bulk, drafts, lifecycle, submission
from calculations.services.sweeps import run_numbers
from calculations.states import CalculationState
from calculations.views.bulk import tell
from calculations.views.finding import find
from calculations.views.safe import safe_next
from labportal.accounts.decorators import needs
from labportal.common.errors import DomainError, InvalidInput, WrongMoment
from labportal.common.navigation import forget_counts

View = Callable[..., HttpResponse]


def verb(act: Callable[[HttpRequest, Calculation], str]) -> View:
    """Make a view of `act`, which does the verb and returns where to go."""

    @needs()
    @require_POST
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        calculation = find(request.user, pk)
        try:
            target = act(request, calculation)
        except (InvalidInput, WrongMoment) as error:
            messages.error(request, said(error))
            target = safe_next(request, "calculation-detail", pk)
        forget_counts(request.user.pk)
        return redirect(target)

    return view


def said(error: DomainError) -> str:
    """The error as one sentence, with the fields' words where there are several."""
    fields = [f"{name}: {' '.join(texts)}" for name, texts in error.field_errors.items()]
    return ". ".join(fields) or error.message


@verb
def submit(request: HttpRequest, calculation: Calculation) -> str:
    submission.submit(calculation, actor=request.user)
    if calculation.state == CalculationState.IN_REVIEW:
        messages.info(request, f"{calculation.number} waits for a moderator: {calculation.reason}.")
    else:
        messages.success(request, f"{calculation.number} is queued.")
    return safe_next(request, "calculation-detail", calculation.pk)


@verb
def withdraw(request: HttpRequest, calculation: Calculation) -> str:
    submission.withdraw(calculation, actor=request.user)
    messages.success(request, f"{calculation.number} is a draft again.")
    return reverse("calculation-edit", args=[calculation.pk])


@verb
def cancel(request: HttpRequest, calculation: Calculation) -> str:
    numbers = run_numbers(request.POST.get("runs"))
    why = request.POST.get("note", "")[:2000]
    lifecycle.cancel(calculation, actor=request.user, why=why, numbers=numbers)
    messages.success(
        request,
        f"{calculation.number}: what has not started is cancelled, the rest is asked to stop.",
    )
    return safe_next(request, "calculation-detail", calculation.pk)


@verb
def retry(request: HttpRequest, calculation: Calculation) -> str:
    advised = request.POST.get("advised") == "1"
    numbers = run_numbers(request.POST.get("runs"))
    lifecycle.retry(calculation, actor=request.user, advised=advised, numbers=numbers)
    how = ", with the advised change" if advised else ""
    messages.success(request, f"{calculation.number}: what was not valid is queued again{how}.")
    return safe_next(request, "calculation-detail", calculation.pk)


@verb
def duplicate(request: HttpRequest, calculation: Calculation) -> str:
    copy = drafts.duplicate(calculation, actor=request.user)
    messages.success(
        request, f"{copy.number} is a copy of {calculation.number}; change it and submit."
    )
    return reverse("calculation-edit", args=[copy.pk])


@verb
def delete(request: HttpRequest, calculation: Calculation) -> str:
    drafts.delete(calculation, actor=request.user)
    tell(request, bulk.told("delete", {calculation.pk: True}, actor=request.user))
    return reverse("calculation-list")
