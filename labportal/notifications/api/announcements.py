"""What is announced to everybody, in the API."""

from __future__ import annotations

from django.apps import apps
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from labportal.accounts.roles import Can, require
from labportal.notifications import announcements as services
from labportal.notifications.models import Announcement


class AnnouncementOut(serializers.ModelSerializer):
    cluster = serializers.SlugRelatedField(slug_field="name", read_only=True)
    author = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Announcement
        fields = ("id", "level", "text", "from_at", "until_at", "cluster", "author")
        read_only_fields = fields


class AnnouncementIn(serializers.Serializer):
    """`cluster`: the name of the one that it is about; null for the whole lab."""

    text = serializers.CharField(max_length=500)
    level = serializers.ChoiceField(choices=Announcement.Level.choices, required=False)
    from_at = serializers.DateTimeField(required=False)
    until_at = serializers.DateTimeField(required=False, allow_null=True)
    cluster = serializers.SlugRelatedField(
        slug_field="name",
        queryset=Announcement.objects.none(),
        required=False,
        allow_null=True,
    )

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        fields["cluster"].queryset = apps.get_model("clusters", "Cluster").objects.all()
        return fields


@extend_schema_view(
    list=extend_schema(parameters=[OpenApiParameter("current", bool, description="Only those on")])
)
class AnnouncementViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """Lines on top of every page. Everybody reads those that are on; admins see and change all."""

    serializer_class = AnnouncementOut
    lookup_value_regex = r"\d{1,18}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Announcement]:
        rows = services.announcements(self.request.user)
        current = self.request.query_params.get("current") == "true"
        return services.on_now(rows) if current else rows

    @extend_schema(request=AnnouncementIn, responses={201: AnnouncementOut})
    def create(self, request: Request) -> Response:
        require(request.user, Can.MANAGE_SETTINGS)
        row = services.announce(self._asked(request), actor=request.user)
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=AnnouncementIn, responses=AnnouncementOut)
    def partial_update(self, request: Request, pk: str) -> Response:
        require(request.user, Can.MANAGE_SETTINGS)
        row = self.get_object()
        services.edit(row, self._asked(request, partial=True), actor=request.user)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: str) -> Response:
        """Show it no more."""
        require(request.user, Can.MANAGE_SETTINGS)
        row = self.get_object()
        services.end(row, actor=request.user)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def away(self, request: Request, pk: str) -> Response:
        """Show it no more to you."""
        services.put_away(self.get_object(), actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _asked(self, request: Request, *, partial: bool = False) -> dict[str, object]:
        asked = AnnouncementIn(data=request.data, partial=partial)
        asked.is_valid(raise_exception=True)
        return asked.validated_data
