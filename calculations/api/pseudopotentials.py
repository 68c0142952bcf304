"""The lab's library of pseudopotentials in the REST interface."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.models import Pseudopotential
from calculations.sending import send
from calculations.services import pseudopotentials as service
from calculations.services.pseudo_families import library
from labportal.accounts.roles import Can, require

FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description="narrows the list")
    for name in ("family", "element", "format")
]


class PseudopotentialSerializer(serializers.ModelSerializer):
    """One file; what the head says of functional, valence electrons and relativity."""

    added_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Pseudopotential
        fields = [
            "id",
            "family",
            "element",
            "format",
            "name",
            "functional",
            "valence",
            "relativistic",
            "source",
            "size",
            "sha256",
            "added_by",
            "added_at",
        ]


class UploadSerializer(serializers.Serializer):
    """Files of one family, or one zip of them, as multipart/form-data."""

    family = serializers.CharField(max_length=80)
    files = serializers.ListField(child=serializers.FileField(), allow_empty=False, max_length=200)


class RenameSerializer(serializers.Serializer):
    family = serializers.CharField(max_length=80)
    name = serializers.CharField(max_length=80)


class AddedSerializer(serializers.Serializer):
    added = PseudopotentialSerializer(source="rows", many=True)
    replaced = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())


class PseudopotentialViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet
):
    """Everybody reads and adds; moderators and admins replace, rename and delete."""

    queryset = Pseudopotential.objects.none()
    serializer_class = PseudopotentialSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Pseudopotential]:
        asked = self.request.query_params
        wanted = {n: asked[n][:80] for n in ("family", "element", "format") if asked.get(n)}
        return library().filter(**wanted)

    @extend_schema(parameters=FILTERS)
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request={"multipart/form-data": UploadSerializer}, responses={201: AddedSerializer}
    )
    def create(self, request: Request) -> Response:
        asked = UploadSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        uploads = [(file.name, file) for file in asked.validated_data["files"]]
        added = service.add(asked.validated_data["family"], uploads, actor=request.user)
        return Response(AddedSerializer(added).data, status.HTTP_201_CREATED)

    def get_parsers(self) -> list[Any]:
        uploads = getattr(self, "action_map", {}).get("post") == "create"
        return [MultiPartParser()] if uploads else super().get_parsers()

    def destroy(self, request: Request, pk: str) -> Response:
        service.delete(self.get_object(), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=RenameSerializer, responses={204: None})
    @action(detail=False, methods=["post"])
    def rename(self, request: Request) -> Response:
        """Give a family another name."""
        require(request.user, Can.MANAGE_PSEUDOPOTENTIALS)
        asked = RenameSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        service.rename(**asked.validated_data, actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True)
    def file(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the file."""
        item = self.get_object()
        return send(item.key, item.name)
