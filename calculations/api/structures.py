"""The library of structures in the REST interface."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.api.serializers import CalculationSerializer
from calculations.models import Run, Structure
from calculations.services import structures as service
from calculations.structures import library
from calculations.structures.formats import FORMATS
from calculations.structures.reading import MAX_BYTES
from calculations.views.molecules import attached
from labportal.accounts.models import Project
from labportal.common.errors import InvalidInput
from labportal.common.negotiation import AsItIs

FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description="narrows the list")
    for name in ("formula", "element", "tag", "project", "text")
]


class StructureSerializer(serializers.ModelSerializer):
    """One row of the list. `formula` is in Hill's order, `periodic` T or F along a, b and c."""

    number = serializers.CharField(read_only=True)
    project = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    calculation_count = serializers.IntegerField(read_only=True, default=0)
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = Structure
        fields = [
            "id",
            "number",
            "name",
            "description",
            "project",
            "formula",
            "elements",
            "atom_count",
            "periodic",
            "volume",
            "tags",
            "fingerprint",
            "source_name",
            "source_format",
            "derived_from",
            "calculation_count",
            "created_by",
            "created_at",
            "url",
        ]
        read_only_fields = [f for f in fields if f not in ("name", "description", "tags")]


class StructureDetailSerializer(StructureSerializer):
    """`content` is extended xyz; coordinates and cell in Å."""

    class Meta(StructureSerializer.Meta):
        fields = [*StructureSerializer.Meta.fields, "content"]
        read_only_fields = [*StructureSerializer.Meta.read_only_fields, "content"]


class NewStructureSerializer(serializers.Serializer):
    """Text in `content`, a file in `file`, or a run whose last geometry is kept."""

    name = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    description = serializers.CharField(required=False, allow_blank=True, default="")
    project = serializers.SlugRelatedField(
        slug_field="slug", queryset=Project.objects.none(), required=False, allow_null=True
    )
    content = serializers.CharField(
        required=False, allow_blank=True, default="", trim_whitespace=False
    )
    file = serializers.FileField(required=False, allow_null=True, default=None)
    format = serializers.ChoiceField(choices=sorted(FORMATS), required=False, default="")
    tags = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, default=list
    )
    run = serializers.UUIDField(required=False, allow_null=True, default=None)

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        request = self.context.get("request")
        if request is not None and request.user.is_authenticated:
            fields["project"].queryset = Project.objects.visible_to(request.user)
        return fields


class ChangedStructureSerializer(serializers.Serializer):
    """What may change; the atoms never do."""

    name = serializers.CharField(max_length=200, required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=60), required=False)


class StructureViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Structures that calculations share. An identical one is kept once in each project."""

    queryset = Structure.objects.none()
    serializer_class = StructureSerializer
    lookup_value_regex = r"\d{1,18}"
    parser_classes = [JSONParser, MultiPartParser]

    def get_queryset(self) -> QuerySet[Structure]:
        filters = library.StructureFilters.read(self.request.query_params)
        rows = library.structures(self.request.user, filters)
        return rows if self.action == "list" else rows.defer(None)

    def get_serializer_class(self) -> type:
        return StructureDetailSerializer if self.action == "retrieve" else StructureSerializer

    @extend_schema(parameters=FILTERS)
    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        request={
            "application/json": NewStructureSerializer,
            "multipart/form-data": NewStructureSerializer,
        },
        responses={201: StructureDetailSerializer, 200: StructureDetailSerializer},
    )
    def create(self, request: Request) -> Response:
        """Keep a structure; 200 with the row that is there where the project has it already."""
        asked = NewStructureSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        if said["run"] is not None:
            runs = Run.objects.visible_to(request.user).select_related("calculation__structure")
            run = get_object_or_404(runs, pk=said["run"])
            structure, is_new = service.create_from_run(run, actor=request.user, name=said["name"])
        else:
            structure, is_new = self._of_text(said)
        code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
        return Response(StructureDetailSerializer(structure).data, status=code)

    def _of_text(self, said: dict[str, Any]) -> tuple[Structure, bool]:
        upload, content = said["file"], said["content"]
        if (upload is None) == (not content):
            raise InvalidInput("send either a file or text", field="content")
        return service.create(
            said.get("project") or Project.objects.get(is_default=True),
            name=said["name"],
            description=said["description"],
            content=upload.read(MAX_BYTES + 1) if upload else content,
            file_name=upload.name if upload else "",
            format=said["format"],
            tags=said["tags"],
            actor=self.request.user,
        )

    @extend_schema(request=ChangedStructureSerializer, responses=StructureDetailSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        structure = self.get_object()
        asked = ChangedStructureSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        service.change(structure, actor=request.user, **asked.validated_data)
        return Response(StructureDetailSerializer(structure).data)

    def destroy(self, request: Request, pk: str) -> Response:
        service.delete(self.get_object(), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        parameters=[OpenApiParameter("format", OpenApiTypes.STR, enum=sorted(FORMATS))],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    @action(detail=True, content_negotiation_class=AsItIs)
    def download(self, request: Request, pk: str) -> HttpResponse:
        """The file in a format that can hold it: ?format=cif; extended xyz unless told."""
        return attached(self.get_object(), request.query_params.get("format", "extxyz"))

    @extend_schema(responses=CalculationSerializer(many=True))
    @action(detail=True)
    def calculations(self, request: Request, pk: str) -> Response:
        """The calculations of this structure, newest first."""
        rows = library.calculations_of(self.get_object(), request.user)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(CalculationSerializer(page, many=True).data)
