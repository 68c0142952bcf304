"""Verbs for many rows of the list at once, the way back, and the bin of drafts."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from calculations.selectors import deleted_drafts
from calculations.services import bulk, drafts
from calculations.views.safe import safe_next
from labportal.accounts.decorators import needs
from labportal.accounts.paging import page_of
from labportal.common.errors import InvalidInput, NotFound
from labportal.common.navigation import forget_counts

MOST_WORDS = 3


@needs()
@require_POST
def calculation_bulk(request: HttpRequest) -> HttpResponse:
    """Do one verb to the chosen rows; what cannot be done is said, and stops nothing else."""
    chosen = [int(key) for key in request.POST.getlist("id") if key.isdecimal() and len(key) < 16]
    if request.POST.get("verb") == "compare":
        pairs = [("id", str(key)) for key in chosen]
        return redirect(f"{reverse('calculation-compare')}?{urlencode(pairs)}")
    try:
        verb, value = request.POST.get("verb", ""), request.POST.get("priority", "")
        said = bulk.do(verb, chosen, actor=request.user, value=value)
    except InvalidInput as error:
        messages.error(request, error.message)
    else:
        tell(request, said)
    return redirect(safe_next(request, "calculation-list"))


@needs()
@require_POST
def calculation_undo(request: HttpRequest, token: str) -> HttpResponse:
    try:
        tell(request, bulk.undo(token, actor=request.user))
    except InvalidInput as error:
        messages.error(request, error.message)
    return redirect(safe_next(request, "calculation-list"))


def tell(request: HttpRequest, said: bulk.Told) -> None:
    """Say what came of it; the message carries the address of the way back."""
    forget_counts(request.user.pk)
    if said.done:
        back = reverse("calculation-undo", args=[said.undo]) if said.undo else ""
        messages.success(request, f"{said.done} {said.words}.", extra_tags=back)
    if said.problems:
        left = len(said.problems) - MOST_WORDS
        more = f" And {left} more." if left > 0 else ""
        messages.warning(request, " ".join(said.problems[:MOST_WORDS]) + more)
    if not said.done and not said.problems:
        messages.info(request, "Nothing was chosen.")


@needs()
@require_safe
def calculation_bin(request: HttpRequest) -> HttpResponse:
    """Drafts that were deleted and can still be taken back."""
    rows = deleted_drafts(request.user).select_related("project", "created_by")
    context = {"page": page_of(rows, request), "days": drafts.BIN_DAYS}
    return render(request, "calculations/bin.html", context)


@needs()
@require_POST
def calculation_take_back(request: HttpRequest, pk: int) -> HttpResponse:
    draft = deleted_drafts(request.user).filter(pk=pk).first()
    if draft is None:
        raise NotFound(f"There is no C-{pk} in your bin.")
    drafts.restore(draft, actor=request.user)
    messages.success(request, f"{draft.number} is a draft again.")
    return redirect("calculation-edit", pk)
