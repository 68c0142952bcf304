"""The tab Predictions: what a model was asked and answered, searched and exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from labportal.accounts.paging import page_of
from labportal.common.sending import named
from mlmodels.answers.brief import brief
from mlmodels.models import AsyncInvocation, Prediction, RegisteredModel
from mlmodels.policy import may_change
from mlmodels.predictions.exporting import FORMATS
from mlmodels.predictions.searching import Wanted, search

MOST_VERSIONS = 50
MOST_CALLS = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A prediction in one line of the list."""

    prediction: Prediction
    asked: str
    answered: str
    about: str
    about_url: str


def row_of(prediction: Prediction) -> Row:
    version = prediction.version
    words, url = named(prediction.subject) if prediction.subject else ("", "")
    return Row(
        prediction=prediction,
        asked=brief(
            prediction.input_text, prediction.input_type, version.input_schema if version else None
        ),
        answered=brief(
            prediction.output_text,
            prediction.output_type,
            version.output_schema if version else None,
        ),
        about=words,
        about_url=url,
    )


def predictions(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    wanted = Wanted.read(request.GET.dict())
    page = page_of(search(request.user, model, wanted), request)
    calls = AsyncInvocation.objects.visible_to(request.user).filter(model=model)
    calls = calls.select_related("user", "version")
    query = request.GET.copy()
    query.pop("after", None)
    return {
        "page": page,
        "rows": [row_of(one) for one in page.rows],
        "wanted": wanted,
        "is_narrowed": wanted != Wanted(),
        "about": named(wanted.subject)[0] if wanted.subject else "",
        "versions": model.versions.order_by("-number").values_list("number", flat=True)[
            :MOST_VERSIONS
        ],
        "formats": FORMATS.values(),
        "query": query.urlencode(),
        "may_change": may_change(request.user, model),
        "calls": list(calls[:MOST_CALLS]),
    }
