"""Clusters and their keys in the REST interface. An action fetches, calls one service, answers."""

from __future__ import annotations

from collections.abc import Callable

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from clusters import keys
from clusters.api import serializers as shapes
from clusters.models import Cluster
from clusters.selectors import clusters as selectors
from clusters.selectors import metrics
from clusters.services import clusters as services
from clusters.services import operation
from labportal.accounts.roles import Can, require

RANGE = OpenApiParameter(
    "range", OpenApiTypes.STR, enum=list(metrics.SPANS), description="hour unless told"
)
NAME = OpenApiParameter("name", OpenApiTypes.STR, OpenApiParameter.PATH)


class ClusterViewSet(viewsets.ViewSet):
    """Where calculations run. Everybody may look; admins register, edit, drain and delete."""

    lookup_field = "name"
    lookup_value_regex = r"[a-z0-9][a-z0-9.-]{0,59}"

    @extend_schema(responses=shapes.ClusterSerializer(many=True))
    def list(self, request: Request) -> Response:
        cards = selectors.cards(selectors.clusters(request.user))
        return Response(shapes.ClusterSerializer(cards, many=True).data)

    @extend_schema(parameters=[NAME], responses=shapes.ClusterSerializer)
    def retrieve(self, request: Request, name: str) -> Response:
        return self._answer(cluster_of(request, name))

    @extend_schema(request=shapes.RegisterSerializer, responses={201: shapes.ClusterSerializer})
    def create(self, request: Request) -> Response:
        require(request.user, Can.MANAGE_CLUSTERS)
        asked = shapes.RegisterSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        cluster = services.register(**asked.validated_data, actor=request.user)
        return self._answer(cluster, status.HTTP_201_CREATED)

    @extend_schema(
        parameters=[NAME], request=shapes.EditSerializer, responses=shapes.ClusterSerializer
    )
    def partial_update(self, request: Request, name: str) -> Response:
        cluster = cluster_of(request, name, Can.MANAGE_CLUSTERS)
        asked = shapes.EditSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.edit(cluster, **asked.validated_data, actor=request.user)
        return self._answer(cluster)

    @extend_schema(parameters=[NAME], responses={204: None})
    def destroy(self, request: Request, name: str) -> Response:
        services.delete(cluster_of(request, name, Can.MANAGE_CLUSTERS), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        parameters=[NAME], request=shapes.MaintenanceSerializer, responses=shapes.ClusterSerializer
    )
    @action(detail=True, methods=["post"])
    def drain(self, request: Request, name: str) -> Response:
        """Hand out nothing more for a while; people may choose it, and what they submit waits."""
        return self._operate(operation.drain, shapes.MaintenanceSerializer, name)

    @extend_schema(
        parameters=[NAME], request=shapes.MaintenanceSerializer, responses=shapes.ClusterSerializer
    )
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, name: str) -> Response:
        """Hand out nothing more, and let nobody choose it; what runs there runs to its end."""
        return self._operate(operation.disable, shapes.MaintenanceSerializer, name)

    @extend_schema(parameters=[NAME], request=None, responses=shapes.ClusterSerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, name: str) -> Response:
        """Hand out work again, after disable or drain."""
        return self._operate(operation.enable, None, name)

    @extend_schema(parameters=[NAME], request=None, responses=shapes.ClusterSerializer)
    @action(detail=True, methods=["post"])
    def release(self, request: Request, name: str) -> Response:
        """Let work in again after the circuit breaker held it: one run goes first, on trial."""
        return self._operate(operation.release, None, name)

    @extend_schema(
        parameters=[NAME], request=shapes.UpdateSerializer, responses=shapes.ClusterSerializer
    )
    @action(detail=True, methods=["post"], url_path="update-agent")
    def update_agent(self, request: Request, name: str) -> Response:
        """Have the agent change itself to the portal's version; its programs go on running."""
        return self._operate(operation.update_agent, shapes.UpdateSerializer, name)

    @extend_schema(parameters=[NAME, RANGE], responses=shapes.SeriesSerializer)
    @action(detail=True)
    def metrics(self, request: Request, name: str) -> Response:
        """Processor, memory, load, disk, GPUs and the site over time, at most 400 points."""
        cluster = cluster_of(request, name)
        span = metrics.span_of(request.query_params.get("range", "hour"))
        return Response({"range": span.name, **metrics.document(cluster.pk, span.window())})

    def _operate(
        self, verb: Callable[..., None], shape: type[Serializer] | None, name: str
    ) -> Response:
        cluster = cluster_of(self.request, name, Can.MANAGE_CLUSTERS)
        asked = shape(data=self.request.data) if shape else None
        if asked:
            asked.is_valid(raise_exception=True)
        verb(cluster, **(asked.validated_data if asked else {}), actor=self.request.user)
        return self._answer(cluster)

    def _answer(self, cluster: Cluster, code: int = status.HTTP_200_OK) -> Response:
        row = selectors.clusters(self.request.user).get(pk=cluster.pk)
        return Response(shapes.ClusterSerializer(selectors.cards([row])[0]).data, status=code)


class KeysView(APIView):
    """The keys of a cluster's agent; admins alone. Two may be valid at a time, for rotation."""

    @extend_schema(responses=shapes.KeySerializer(many=True))
    def get(self, request: Request, name: str) -> Response:
        cluster = cluster_of(request, name, Can.MANAGE_CLUSTERS)
        rows = cluster.api_keys.select_related("created_by")
        return Response(shapes.KeySerializer(rows, many=True).data)

    @extend_schema(request=shapes.IssueSerializer, responses={201: shapes.IssuedKeySerializer})
    def post(self, request: Request, name: str) -> Response:
        """Issue a key. This answer holds it, and nothing else ever will."""
        cluster = cluster_of(request, name, Can.MANAGE_CLUSTERS)
        asked = shapes.IssueSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        key, secret = keys.issue(cluster, **asked.validated_data, actor=request.user)
        document = {**shapes.KeySerializer(key).data, "key": secret}
        headers = {"Cache-Control": "no-store"}
        return Response(document, status=status.HTTP_201_CREATED, headers=headers)


class KeyRevokeView(APIView):
    @extend_schema(request=None, responses=shapes.KeySerializer)
    def post(self, request: Request, name: str, prefix: str) -> Response:
        """Refuse this key from now on."""
        cluster = cluster_of(request, name, Can.MANAGE_CLUSTERS)
        key = get_object_or_404(cluster.api_keys.select_related("cluster"), prefix=prefix)
        keys.revoke(key, actor=request.user)
        key.refresh_from_db()
        return Response(shapes.KeySerializer(key).data)


def cluster_of(request: Request, name: str, verb: Can | None = None) -> Cluster:
    """Fetch a cluster for `verb`; everybody may know that it is there."""
    cluster = selectors.clusters(request.user).filter(name=name).first()
    if cluster is None:
        raise Http404
    if verb is not None:
        require(request.user, verb)
    return cluster
