"""What a run's cluster did while it ran, in the REST interface."""

from __future__ import annotations

import uuid

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.models import Run
from clusters.api import serializers as shapes
from clusters.selectors import metrics
from labportal.common.errors import WrongMoment


class RunMetricsView(APIView):
    @extend_schema(operation_id="run_cluster_metrics", responses=shapes.RunSeriesSerializer)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Processor, memory, load, GPUs and the site over the time of the run's last attempt, a
        little before and after it, at most 400 points.
        """
        run = get_object_or_404(
            Run.objects.visible_to(request.user).select_related("cluster"), pk=pk
        )
        window = metrics.window_of_run(run)
        if window is None or run.cluster is None:
            raise WrongMoment(f"{run} has not begun: no cluster did anything meanwhile.")
        found = metrics.document(run.cluster.pk, window)
        ends = {"started_at": run.started_at, "finished_at": run.finished_at}
        return Response({"cluster": run.cluster.name, **ends, **found})
