"""One prediction: what was asked and what was answered, both drawn."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from labportal.accounts.decorators import needs
from labportal.common.errors import NotFound
from labportal.common.sending import named
from labportal.common.storage import storage
from mlmodels.answers.drawing import MOST_DRAWN, drawn
from mlmodels.answers.parts import Drawn
from mlmodels.models import Prediction
from mlmodels.predictions.searching import find
from mlmodels.selectors.finding import find as find_model
from mlmodels.views import detail


@require_safe
@needs()
def prediction_detail(request: HttpRequest, name: str, prediction_id: int) -> HttpResponse:
    model = find_model(request.user, name)
    found = find(request.user, model, prediction_id)
    version = found.version
    about, about_url = named(found.subject) if found.subject else ("", "")
    context = {
        **detail.header(request, model, detail.tab_of("predictions")),
        "prediction": found,
        "asked": _drawn(found, "input", version.input_schema if version else None),
        "answered": _drawn(found, "output", version.output_schema if version else None),
        "about": about,
        "about_url": about_url,
    }
    return render(request, "mlmodels/prediction.html", context)


def _drawn(prediction: Prediction, part: str, schema: Any) -> Drawn:
    kind, key = getattr(prediction, f"{part}_type"), getattr(prediction, f"{part}_key")
    if not key:
        return drawn(getattr(prediction, f"{part}_text").encode(), kind, schema)
    try:
        size = storage().size(key)
        if size > MOST_DRAWN:
            return Drawn(kind, size, note="It is too large to be drawn; download it.")
        with storage().open(key) as stream:
            return drawn(stream.read(), kind, schema)
    except NotFound as error:
        return Drawn(kind, 0, note=error.message)
