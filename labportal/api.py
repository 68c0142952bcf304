"""The REST interface under /api/v1/: each app's part, the schema, and the page that explains it."""

from importlib.util import find_spec

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

APPS = (
    "labportal.accounts",
    "labportal.notifications",
    "labportal.audit",
    "calculations",
    "clusters",
)

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    *[path("", include(f"{app}.api.urls")) for app in APPS if find_spec(f"{app}.api.urls")],
]
