"""One's notifications in the API."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from labportal.notifications import selectors, services
from labportal.notifications.models import Notification


class NotificationOut(serializers.ModelSerializer):
    class Meta:
        model = Notification
        fields = ("id", "level", "subject", "body", "url", "created_at", "read_at")
        read_only_fields = fields


@extend_schema_view(
    list=extend_schema(parameters=[OpenApiParameter("unread", bool, description="Only these")])
)
class NotificationViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet):
    """What the portal told you, newest first."""

    serializer_class = NotificationOut
    lookup_value_regex = r"\d{1,18}"
    ordering = "-id"

    def get_queryset(self) -> QuerySet[Notification]:
        rows = selectors.inbox(self.request.user)
        return rows.unread() if self.request.query_params.get("unread") == "true" else rows

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def read(self, request: Request, pk: str) -> Response:
        row = services.mark_read(int(pk), actor=request.user)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses={204: None}, operation_id="notification_read_all")
    @action(detail=False, methods=["post"], url_path="read")
    def read_all(self, request: Request) -> Response:
        services.mark_all_read(actor=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
