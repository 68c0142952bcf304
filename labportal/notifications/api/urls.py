"""The addresses of the inbox in the API, below /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from labportal.notifications.api.views import NotificationViewSet

router = SimpleRouter(trailing_slash=False)
router.trailing_slash = "/?"
router.register("notifications", NotificationViewSet, basename="api-notification")

urlpatterns = [path("", include(router.urls))]
