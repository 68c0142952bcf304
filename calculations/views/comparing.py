"""The page that lays calculations side by side; its address says which, and is all its state."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from calculations.comparison import asked as asking
from calculations.comparison.asked import LEAST, MOST, Asked, calculations_of, candidates
from calculations.comparison.overlay import name_of, overlaid
from calculations.comparison.table import sections
from calculations.models import Calculation
from calculations.views.figures import figures
from labportal.accounts.decorators import needs
from labportal.common.errors import InvalidInput, NotFound


@needs()
def calculation_compare(request: HttpRequest) -> HttpResponse:
    numbers, added = request.GET.getlist("id"), request.GET.get("add", "").strip()
    context: dict[str, Any] = {"most": MOST}
    try:
        asked = asking.read(numbers, request.GET)
    except InvalidInput as error:
        return render(request, "calculations/compare.html", {"problem": error.message}, status=400)
    if added:
        try:
            more = asking.read([*numbers, added], request.GET)
            calculations_of(more, request.user)
        except (InvalidInput, NotFound) as error:
            context |= {"problem": error.message, "added": added}
        else:
            return redirect(_url(more))
    calculations = calculations_of(asked, request.user)
    offered = candidates(asked, calculations, request.user) if len(asked.ids) < MOST else []
    context |= {
        "offered": [(one, _url(Asked((*asked.ids, one.pk), asked.reference))) for one in offered],
        "heads": [_head(asked, c) for c in calculations],
        "ids": asked.ids,
        "reference": asked.reference,
        "enough": len(calculations) >= LEAST,
    }
    if len(calculations) >= LEAST:
        context |= {
            "sections": sections(calculations, asked.reference),
            "figures": figures(overlaid(calculations)),
            "mixed": len({c.software for c in calculations}) > 1,
            "file": "compared-" + "-".join(str(c.pk) for c in calculations[:6]),
            "csv_url": f"{reverse('api-comparison-csv')}?{asked.query()}",
            "json_url": f"{reverse('api-comparison')}?{asked.query()}",
        }
    status = 400 if context.get("problem") else 200
    return render(request, "calculations/compare.html", context, status=status)


def _head(asked: Asked, calculation: Calculation) -> dict[str, Any]:
    key = calculation.pk
    first = asked.ids[0] == key
    return {
        "calculation": calculation,
        "name": name_of(calculation),
        "is_reference": asked.reference == key,
        "reference_url": _url(Asked(asked.ids, key)),
        "earlier_url": "" if first else _url(asked.before(key)),
        "remove_url": _url(asked.without(key)),
    }


def _url(asked: Asked) -> str:
    return f"{reverse('calculation-compare')}?{asked.query()}"
