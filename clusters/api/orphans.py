"""Late results in the REST interface: what may still be adopted, and adopting it."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.models import OrphanResult, Run
from calculations.services import orphans


class OrphanSerializer(serializers.ModelSerializer):
    """`message` is what the report says of its outcome."""

    calculation = serializers.IntegerField(source="run.calculation_id", read_only=True)
    index = serializers.IntegerField(source="run.index", read_only=True)
    cluster = serializers.SlugRelatedField(slug_field="name", read_only=True)
    adopted_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    verdict = serializers.CharField(read_only=True)
    message = serializers.CharField(read_only=True)

    class Meta:
        model = OrphanResult
        fields: ClassVar = [
            "id",
            "calculation",
            "run",
            "index",
            "attempt",
            "cluster",
            "verdict",
            "message",
            "why",
            "received_at",
            "adopted_at",
            "adopted_by",
        ]


@extend_schema_view(
    list=extend_schema(
        parameters=[OpenApiParameter("calculation", OpenApiTypes.INT, description="its id")]
    )
)
class OrphanViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Results of attempts that were given up. They change nothing until an admin adopts them."""

    queryset = OrphanResult.objects.none()
    serializer_class = OrphanSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[OrphanResult]:
        seen = OrphanResult.objects.filter(run__in=Run.objects.visible_to(self.request.user))
        calculation = self.request.query_params.get("calculation", "")
        if calculation:
            known = calculation.isascii() and calculation.isdecimal() and len(calculation) < 19
            seen = seen.filter(run__calculation=calculation) if known else seen.none()
        return seen.select_related("run", "cluster", "adopted_by")

    @extend_schema(request=None, responses=OrphanSerializer)
    @action(detail=True, methods=["post"])
    def adopt(self, request: Request, pk: str) -> Response:
        """Let it be the run's result after all; 409 while the run could still end by itself."""
        orphan = self.get_object()
        orphans.adopt(orphan, actor=request.user)
        return Response(self.get_serializer(self.get_queryset().get(pk=orphan.pk)).data)
