"""The tab Predictions: what a model was asked and answered, searched and exported."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from labportal.accounts.paging import page_of
from labportal.common.sending import named
from mlmodels.models import AsyncInvocation, RegisteredModel
from mlmodels.models.version import without_heavy
from mlmodels.policy import may_change
from mlmodels.predictions.exporting import FORMATS
from mlmodels.predictions.listing import rows_of
from mlmodels.predictions.searching import Wanted, search

MOST_VERSIONS = 50
MOST_CALLS = 20


def predictions(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    wanted = Wanted.read(request.GET.dict())
    page = page_of(search(request.user, model, wanted), request)
    calls = AsyncInvocation.objects.visible_to(request.user).filter(model=model)
    calls = calls.select_related("user", "version").defer(*without_heavy("version"))
    query = request.GET.copy()
    query.pop("after", None)
    return {
        "page": page,
        "rows": rows_of(page.rows),
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
