"""Replicas of a model in the REST interface: how they do, what they print, starting one anew."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.api.logs import number, page_of
from labportal.common.errors import InvalidInput
from mlmodels.api import serializers as shapes
from mlmodels.models import RegisteredModel, Replica
from mlmodels.selectors import logs
from mlmodels.selectors.finding import find, find_replica
from mlmodels.selectors.health import health_of, replicas_of
from mlmodels.services import operation


class ReplicasView(APIView):
    @extend_schema(operation_id="model_replicas", responses=shapes.ReplicaSerializer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """Those that are there, each with its three signs: process, ready, last good answer."""
        model = find(request.user, name)
        found = [health_of(replica) for replica in replicas_of(model).filter(removed_at=None)]
        return Response(shapes.ReplicaSerializer(found, many=True).data)


class RestartView(APIView):
    @extend_schema(
        operation_id="model_replica_restart", request=None, responses=shapes.ReplicaSerializer
    )
    def post(self, request: Request, name: str, replica: UUID) -> Response:
        """Start this replica anew."""
        model = find(request.user, name)
        found = find_replica(model, replica)
        operation.restart(model, replica=found, actor=request.user)
        return Response(shapes.ReplicaSerializer(health_of(find_replica(model, replica))).data)


class LogsView(APIView):
    """Lines of one replica, or of the one that was made last."""

    @extend_schema(
        operation_id="model_logs",
        parameters=[
            OpenApiParameter("replica", OpenApiTypes.UUID),
            OpenApiParameter("launch", OpenApiTypes.INT, description="all unless told"),
            OpenApiParameter("after", OpenApiTypes.INT, description="lines after this id"),
            OpenApiParameter("before", OpenApiTypes.INT, description="lines before this id"),
            OpenApiParameter("page_size", OpenApiTypes.INT, description="200 unless told"),
        ],
        responses=shapes.ModelLinesSerializer,
    )
    def get(self, request: Request, name: str) -> Response:
        """The newest lines, or those after or before an id, in the order of their ids."""
        replica = _replica(request, find(request.user, name))
        if replica is None:
            return Response({"next": None, "results": []})
        launch = number(request, "launch") if "launch" in request.query_params else None
        lines = logs.lines_of(request.user, replica, launch)
        return page_of(request, lines, shapes.ModelLineSerializer)


def _replica(request: Request, model: RegisteredModel) -> Replica | None:
    said = request.query_params.get("replica", "")
    if not said:
        return replicas_of(model).order_by("-created_at").first()
    try:
        return find_replica(model, UUID(said))
    except ValueError:
        raise InvalidInput("must be the id of a replica", field="replica") from None
