"""The audit trail in the API: to read, for moderators and admins."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.viewsets import GenericViewSet

from labportal.accounts.authentication import IsActiveUser, Needs
from labportal.accounts.roles import Can
from labportal.audit import selectors
from labportal.audit.models import AuditEntry


class AuditEntryOut(serializers.ModelSerializer):
    class Meta:
        model = AuditEntry
        fields = ("id", "at", "actor_id", "actor_name", "verb", "target", "detail", "digest")
        read_only_fields = fields


@extend_schema_view(
    list=extend_schema(
        parameters=[OpenApiParameter("text", str, description="Person, verb or target")]
    )
)
class AuditViewSet(mixins.ListModelMixin, GenericViewSet):
    """Who did what, newest first."""

    serializer_class = AuditEntryOut
    permission_classes = (IsActiveUser, Needs)
    needs = Can.VIEW_AUDIT
    ordering = "-id"

    def get_queryset(self) -> QuerySet[AuditEntry]:
        text = self.request.query_params.get("text", "")[:100].replace("\0", "")
        return selectors.search(selectors.visible_to(self.request.user), text=text)
