"""What charts of metrics draw: of a cluster over a time, and of it while a run ran."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from calculations.models import Run
from clusters.selectors import clusters as selectors
from clusters.selectors import metrics
from labportal.accounts.decorators import needs
from labportal.common.errors import NotFound


@require_safe
@needs()
def cluster_metrics(request: HttpRequest, name: str, chart: str) -> JsonResponse:
    cluster = get_object_or_404(selectors.clusters(request.user), name=name)
    window = metrics.span_of(request.GET.get("range", "hour")).window()
    return JsonResponse(metrics.chart_document(cluster.pk, _chart(chart), window))


@require_safe
@needs()
def run_metrics(request: HttpRequest, run: uuid.UUID, chart: str) -> JsonResponse:
    """Of the cluster of a run that one may see, over the time of its last attempt."""
    row = get_object_or_404(Run.objects.visible_to(request.user), pk=run)
    window, drawn = metrics.window_of_run(row), _chart(chart)
    if window is None or row.cluster_id is None:
        return JsonResponse({"x": [], "series": []})
    return JsonResponse(metrics.chart_document(row.cluster_id, drawn, window, run=row))


def _chart(name: str) -> metrics.Chart:
    if name not in metrics.CHARTS:
        raise NotFound
    return metrics.CHARTS[name]
