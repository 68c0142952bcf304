"""Templates in the REST interface: what calculations start from."""

from __future__ import annotations

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.models import Calculation, Template
from calculations.selectors import templates_of
from calculations.services import templates


class TemplateSerializer(serializers.ModelSerializer):
    """`content` holds the fields of a draft: parameters, sweep, analyses, resources, cluster."""

    project = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Template
        fields = [
            "id",
            "name",
            "description",
            "project",
            "software",
            "content",
            "created_by",
            "created_at",
        ]
        read_only_fields = [f for f in fields if f not in ("name", "description")]


class NewTemplateSerializer(serializers.Serializer):
    calculation = serializers.IntegerField(min_value=1, help_text="that it is made of")
    name = serializers.CharField(max_length=templates.MAX_NAME)
    description = serializers.CharField(max_length=2000, required=False, default="")


class TemplateViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    queryset = Template.objects.none()
    serializer_class = TemplateSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[Template]:
        text = self.request.query_params.get("text", "")[:100].replace("\0", "")
        return templates_of(self.request.user, text=text).order_by("-id")

    @extend_schema(parameters=[OpenApiParameter("text", OpenApiTypes.STR)])
    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewTemplateSerializer, responses={201: TemplateSerializer})
    def create(self, request: Request) -> Response:
        """Keep how a calculation is set up, in its project."""
        asked = NewTemplateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        visible = Calculation.objects.visible_to(request.user).select_related("project", "cluster")
        saved = templates.save(
            get_object_or_404(visible, pk=said["calculation"]),
            name=said["name"],
            description=said["description"],
            actor=request.user,
        )
        return Response(TemplateSerializer(saved).data, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        template = self.get_object()
        asked = TemplateSerializer(template, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        words = {"name": template.name, "description": template.description}
        words |= asked.validated_data
        return Response(
            TemplateSerializer(templates.change(template, **words, actor=request.user)).data
        )

    def perform_destroy(self, instance: Template) -> None:
        templates.delete(instance, actor=self.request.user)
