"""Exports in the REST interface: ask, look how far it is, fetch the file, delete."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.exports.registry import KINDS
from calculations.models import Export
from calculations.sending import send
from calculations.services import exports


class ExportSerializer(serializers.ModelSerializer):
    """`done` and `of` count what the kind counts (runs, files); `of` is null while unknown."""

    class Meta:
        model = Export
        fields = [
            "id",
            "kind",
            "label",
            "asked",
            "state",
            "done",
            "of",
            "problem",
            "file_name",
            "content_type",
            "size",
            "sha256",
            "created_at",
            "finished_at",
            "expires_at",
        ]
        read_only_fields = fields


class AskSerializer(serializers.Serializer):
    """`calculation` for kinds of one calculation, the rest for kinds of a set of runs."""

    kind = serializers.CharField(max_length=30)
    calculation = serializers.IntegerField(required=False)
    filters = serializers.DictField(child=serializers.CharField(max_length=500), required=False)
    where = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, help_text="gap>5 eV"
    )
    standing = serializers.CharField(required=False, help_text="validated (default) or checked")
    include = serializers.ListField(child=serializers.CharField(max_length=80), required=False)
    files = serializers.CharField(required=False, help_text="of a crate: all, inputs or none")
    note = serializers.CharField(required=False, allow_blank=True, max_length=500)


class KindSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    help = serializers.CharField()
    of = serializers.CharField(help_text="calculation or set")
    content_type = serializers.CharField()


class ExportViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """One's own exports; files are kept for 14 days."""

    queryset = Export.objects.none()
    serializer_class = ExportSerializer
    lookup_value_regex = r"[0-9a-fA-F-]{36}"

    def get_queryset(self) -> QuerySet[Export]:
        return exports.exports_of(self.request.user)

    @extend_schema(request=AskSerializer, responses={202: ExportSerializer})
    def create(self, request: Request) -> Response:
        """Have a file made. It is ready when `state` says so; then fetch `file/`."""
        asked = AskSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said: dict[str, Any] = dict(asked.validated_data)
        export = exports.ask(said.pop("kind"), said, user=request.user)
        return Response(self.get_serializer(export).data, status.HTTP_202_ACCEPTED)

    def perform_destroy(self, instance: Export) -> None:
        exports.delete(instance, actor=self.request.user)

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            409: OpenApiResponse(description="not ready"),
        }
    )
    @action(detail=True)
    def file(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the file, or be led to where it is."""
        export = exports.fetched(self.get_object(), user=request.user)
        span = request.headers.get("Range", "")
        return send(export.key, export.file_name, export.content_type, span=span)

    @extend_schema(responses=KindSerializer(many=True))
    @action(detail=False, pagination_class=None)
    def kinds(self, request: Request) -> Response:
        """The forms that may be asked for."""
        return Response(KindSerializer(list(KINDS.values()), many=True).data)
