"""The addresses of the inbox and of announcements in the API, below /api/v1/."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from labportal.notifications.api.announcements import AnnouncementViewSet
from labportal.notifications.api.views import NotificationViewSet

router = SimpleRouter(trailing_slash=False)
router.trailing_slash = "/?"
router.register("notifications", NotificationViewSet, basename="api-notification")
router.register("announcements", AnnouncementViewSet, basename="api-announcement")

urlpatterns = [path("", include(router.urls))]
