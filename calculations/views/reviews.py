"""Reviews: what waits for a moderator, with what it may cost and what is known of its author."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations import overviews, policy, selectors
from calculations.models import Calculation
from calculations.overviews import Difference, History
from calculations.services import submission
from calculations.views.rows import about
from calculations.views.safe import safe_next
from calculations.views.topics import project_topics
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can
from labportal.common.errors import DomainError
from labportal.common.navigation import forget_counts

MOST = 50


@dataclass(frozen=True, slots=True)
class Case:
    """One calculation to judge."""

    calculation: Calculation
    about: str
    history: History
    last: Calculation | None
    differences: list[Difference]
    may_judge: bool


def review_tabs(now: str) -> list[dict[str, Any]]:
    tabs = (
        ("review", "Before they run", "review-list"),
        ("validate", "Results to validate", "review-results"),
    )
    return [
        {"label": label, "url": reverse(url), "current": name == now} for name, label, url in tabs
    ]


@needs(Can.REVIEW)
def review_list(request: HttpRequest) -> HttpResponse:
    waiting = list(selectors.to_review(request.user)[: MOST + 1])
    shown = waiting[:MOST]
    records = overviews.histories(c.created_by_id for c in shown)
    lasts = overviews.last_approved(shown)
    cases = [
        Case(
            c,
            about(c),
            records.get(c.created_by_id, History()),
            lasts.get(c.pk),
            overviews.differences(c, lasts[c.pk])[:6] if c.pk in lasts else [],
            policy.may_review(request.user, c),
        )
        for c in shown
    ]
    context = {"cases": cases, "more": len(waiting) > MOST, "topics": project_topics(request.user)}
    context["tabs"] = review_tabs("review")
    return render(request, "calculations/reviews.html", context)


@needs(Can.REVIEW)
@require_POST
def review_decide(request: HttpRequest) -> HttpResponse:
    """Approve or send back the chosen ones; each stands for itself."""
    verb, note = request.POST.get("verb", ""), request.POST.get("note", "")[:2000]
    chosen = [key for key in request.POST.getlist("id") if key.isdecimal()][:MOST]
    done, problems = 0, []
    for calculation in selectors.to_review(request.user).filter(pk__in=chosen):
        try:
            _decide(calculation, verb, request, note)
            done += 1
        except DomainError as error:
            words = error.field_errors.get("note", [error.message])[0]
            problems.append(f"{calculation.number}: {words}")
    if done:
        word = "approved and queued" if verb == "approve" else "sent back with your words"
        messages.success(request, f"{done} {word}.")
    for problem in problems[:3]:
        messages.warning(request, problem)
    if not done and not problems:
        messages.info(request, "Nothing was chosen, or somebody else decided meanwhile.")
    forget_counts(request.user.pk)
    return redirect(safe_next(request, "review-list"))


def _decide(calculation: Calculation, verb: str, request: HttpRequest, note: str) -> None:
    if verb == "approve":
        submission.approve(calculation, actor=request.user, note=note)
    else:
        submission.send_back(calculation, actor=request.user, note=note)
