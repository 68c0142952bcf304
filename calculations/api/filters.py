"""One's saved filters in the REST interface: of calculations and of results, found by name."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.models import SavedFilter
from calculations.services import filters

LONGEST_QUERY = 4000


class FilterSerializer(serializers.ModelSerializer):
    """`query` is the list's address behind its question mark; the list opens with `is_default`."""

    class Meta:
        model = SavedFilter
        fields = ["id", "name", "page", "query", "is_default"]
        read_only_fields = ["page", "query"]
        # One's own names alone are compared, by the service.
        extra_kwargs = {"name": {"max_length": 60}}
        validators: list[object] = []


class NewFilterSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=60)
    query = serializers.CharField(
        max_length=LONGEST_QUERY, help_text="such as state=valid&software=siesta"
    )
    page = serializers.ChoiceField(
        choices=SavedFilter.Page.choices, default=SavedFilter.Page.CALCULATIONS
    )


class FilterViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    queryset = SavedFilter.objects.none()
    serializer_class = FilterSerializer
    lookup_value_regex = r"\d{1,18}"

    def get_queryset(self) -> QuerySet[SavedFilter]:
        own = SavedFilter.objects.filter(user=self.request.user).order_by("page", "name")
        page = self.request.query_params.get("of", "")
        return own.filter(page=page) if page else own

    @extend_schema(parameters=[OpenApiParameter("of", OpenApiTypes.STR)])
    def list(self, request: Request, *args: object, **kwargs: object) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(request=NewFilterSerializer, responses={201: FilterSerializer})
    def create(self, request: Request) -> Response:
        """Keep a way to narrow a list; one of the same name is replaced."""
        asked = NewFilterSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        query = filters.written(said["page"], said["query"], actor=request.user)
        saved = filters.save(said["name"], query, actor=request.user, page=said["page"])
        return Response(FilterSerializer(saved).data, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename it, or have its list open with it."""
        saved = self.get_object()
        asked = FilterSerializer(saved, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        words = {"name": saved.name, "is_default": saved.is_default} | asked.validated_data
        return Response(FilterSerializer(filters.change(saved, **words, actor=request.user)).data)

    def perform_destroy(self, instance: SavedFilter) -> None:
        filters.delete(instance.pk, actor=self.request.user)
