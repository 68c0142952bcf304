"""Every address of the portal that Django answers; each app brings its own."""

from django.urls import include, path

from labportal.common import health, middleware

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/", include("labportal.api")),
    path("", include("labportal.accounts.urls")),
    path("", include("labportal.audit.urls")),
    path("", include("labportal.notifications.urls")),
    path("", include("calculations.urls")),
    path("", include("clusters.urls")),
    path("", include("mlmodels.urls")),
]

handler400 = middleware.bad_request
handler403 = middleware.permission_denied
handler404 = middleware.page_not_found
handler500 = middleware.server_error
