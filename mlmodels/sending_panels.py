"""What models show beside structures and results: where they can be sent, what was answered."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string

from labportal.common.errors import NotFound
from labportal.common.sending import find_subject
from mlmodels.models import RegisteredModel
from mlmodels.predictions.listing import rows_of
from mlmodels.predictions.searching import about
from mlmodels.selectors.offers import offers

MOST_ANSWERS = 5
MOST_OFFERS = 8


def about_structure(request: HttpRequest, *, structure: Any, **_: object) -> str:
    return _panel(request, f"structure:{structure.pk}")


def about_calculation(request: HttpRequest, *, calculation: Any, **_: object) -> str:
    """Results alone are sent; before there are any there is nothing to say."""
    return _panel(request, f"calculation:{calculation.pk}") if calculation.state == "valid" else ""


def _panel(request: HttpRequest, key: str) -> str:
    if not RegisteredModel.objects.visible_to(request.user).exists():
        return ""
    try:
        subject = find_subject(request.user, key)
    except NotFound:
        return ""
    found = offers(request.user, subject)
    rows = list(about(request.user, key)[: MOST_ANSWERS + 1])
    if not found and not rows:
        return ""
    context = {
        "subject": subject,
        "offers": found[:MOST_OFFERS],
        "answers": rows_of(rows[:MOST_ANSWERS]),
        "more": len(rows) > MOST_ANSWERS,
        "here": request.get_full_path(),
    }
    return render_to_string("mlmodels/_about.html", context, request)
