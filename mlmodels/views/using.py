"""The tab Use: who calls a model, how quickly it answers, what fails."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from labportal.accounts.decorators import needs
from labportal.common.errors import InvalidInput, NotFound
from mlmodels.models import RegisteredModel
from mlmodels.selectors import use
from mlmodels.selectors.finding import find
from mlmodels.selectors.use import Series, Window

CALLER_GONE = 499  # as nginx counts it


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines`: which lists of Series are drawn, and what they are called."""

    name: str
    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]


CHARTS = {
    chart.name: chart
    for chart in (
        Chart(
            "rate",
            "Calls",
            "/min",
            (
                ("per_minute", "all"),
                ("refused_per_minute", "refused"),
                ("failed_per_minute", "failed"),
            ),
        ),
        Chart(
            "latency",
            "Time to answer",
            "ms",
            (("p50_ms", "median"), ("p95_ms", "p95")),
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """`error` is what the portal refused or missed; "" where the model itself answered so."""

    status: int
    error: str
    calls: int

    @property
    def words(self) -> str:
        if self.status == CALLER_GONE:
            return "The caller left"
        return next((one.phrase for one in HTTPStatus if one.value == self.status), "")


def use_tab(request: HttpRequest, model: RegisteredModel) -> dict[str, Any]:
    """?range= is one of use.SPANS."""
    span, within = _asked(request)
    return {
        "span": span,
        "spans": list(use.SPANS),
        "charts": CHARTS.values(),
        "total": use.total(model, within),
        "people": use.by_person(model, within, viewer=request.user),
        "sees_everybody": use.sees_everybody(request.user, model),
        "versions": use.by_version(model, within),
        "troubles": [Trouble(*row) for row in use.by_error(model, within)],
    }


@require_safe
@needs()
def model_chart(request: HttpRequest, name: str, chart: str) -> JsonResponse:
    model = find(request.user, name)
    if chart not in CHARTS:
        raise NotFound
    _, within = _asked(request)
    return JsonResponse(document(CHARTS[chart], use.series(model, within)))


def document(chart: Chart, series: Series) -> dict[str, Any]:
    """What static/js/charts.js draws: each bucket where it ends, nothing where nobody called."""
    within = series.window
    called = any(series.per_minute)
    last = within.until.timestamp()
    return {
        "x": [min(at + within.bucket_s, last) for at in series.x] if called else [],
        "series": [
            {"name": name, "label": label, "unit": chart.unit, "y": getattr(series, name)}
            for name, label in chart.lines
        ],
        "low": 0,
        "gap_s": 3 * within.bucket_s,
    }


def _asked(request: HttpRequest) -> tuple[str, Window]:
    span = request.GET.get("range", "day")
    if span not in use.SPANS:
        raise InvalidInput(f"must be one of {', '.join(use.SPANS)}", field="range")
    return span, use.window(span)
