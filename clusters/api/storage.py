"""Disk use, tombstones and purges in the REST interface."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.models import Calculation
from clusters import retention
from clusters.models import Purge
from clusters.selectors import storage as selectors
from labportal.accounts.roles import Can, require


class TombstoneSerializer(serializers.ModelSerializer):
    """An order to delete the raw files of a run, and, once it is done, what was deleted: the first
    `files` of `file_count`, each with attempt, name, size and SHA-256.
    """

    index = serializers.IntegerField(source="run.index", read_only=True)
    cluster = serializers.SlugRelatedField(slug_field="name", read_only=True)
    wanted_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Purge
        fields: ClassVar = [
            "run",
            "index",
            "attempt",
            "cluster",
            "wanted_at",
            "wanted_by",
            "done_at",
            "freed_bytes",
            "kept_bytes",
            "file_count",
            "file_bytes",
            "files",
        ]


class OrderedSerializer(serializers.Serializer):
    runs = serializers.IntegerField()


class StorageView(APIView):
    @extend_schema(operation_id="storage", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """What fills the disks, in bytes: by cluster, project and person, with what is freed
        within seven days, what is to be kept, and what is held since it is not verified.
        """
        require(request.user, Can.VIEW_STORAGE)
        found = selectors.overview()
        return Response(
            {
                "retention_days": found.retention_days,
                "freed_in_30_days": found.freed_lately,
                "totals": asdict(found.totals),
                "clusters": [asdict(share) for share in found.clusters],
                "projects": [asdict(share) for share in found.projects],
                "people": [asdict(share) for share in found.people],
                "largest": [_largest(calculation) for calculation in found.largest],
                "held_count": found.held_count,
                "held": [
                    {"run": str(r.pk), "calculation": r.calculation_id, "why": r.purge_held}
                    for r in found.held
                ],
            }
        )


def _largest(calculation: Any) -> dict[str, Any]:
    return {
        "calculation": calculation.pk,
        "name": calculation.name,
        "bytes": calculation.bytes,
        "due_at": calculation.due_at,
        "keep_files": calculation.keep_files,
        "held": calculation.held,
    }


class PurgeView(APIView):
    @extend_schema(operation_id="raw_files", responses=TombstoneSerializer(many=True))
    def get(self, request: Request, pk: str) -> Response:
        """What was ordered to be deleted of a calculation's raw files, and what was."""
        calculation = _visible(request, pk)
        rows = Purge.objects.filter(run__calculation=calculation)
        rows = rows.select_related("run", "cluster", "wanted_by").order_by("run__index", "pk")
        return Response(TombstoneSerializer(rows, many=True).data)

    @extend_schema(operation_id="purge", request=None, responses={202: OrderedSerializer})
    def post(self, request: Request, pk: str) -> Response:
        """Have the raw files deleted now; only where what they held is stored and verified."""
        count = retention.purge_now(_visible(request, pk), actor=request.user)
        return Response({"runs": count}, status=status.HTTP_202_ACCEPTED)


def _visible(request: Request, pk: str) -> Calculation:
    return get_object_or_404(Calculation.objects.visible_to(request.user), pk=pk)
