"""The address of the audit trail in the API, below /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from labportal.audit.api.views import AuditViewSet

router = SimpleRouter(trailing_slash=False)
router.trailing_slash = "/?"
router.register("audit", AuditViewSet, basename="api-audit")

urlpatterns = [path("", include(router.urls))]
