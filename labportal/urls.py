"""Every address of the portal that Django answers; each app brings its own."""

from importlib.util import find_spec

from django.urls import include, path

from labportal.common import health, middleware

APPS = (
    "labportal.accounts",
    "labportal.notifications",
    "labportal.audit",
    "calculations",
    "clusters",
)

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/v1/", include("labportal.api")),
    *[path("", include(f"{app}.urls")) for app in APPS if find_spec(f"{app}.urls")],
]

handler400 = middleware.bad_request
handler403 = middleware.permission_denied
handler404 = middleware.page_not_found
handler500 = middleware.server_error
