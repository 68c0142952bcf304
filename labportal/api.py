"""The REST interface under /api/v1/: each app's part, the schema, and the page that explains it."""

import hashlib
import json
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response


class TokenScheme(OpenApiAuthenticationExtension):
    """Tells the schema what programs send."""

    target_class = "labportal.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SessionScheme(OpenApiAuthenticationExtension):
    """Tells the schema what the portal's own pages send."""

    target_class = "labportal.accounts.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


@cache
def schema_tag() -> str:
    """The ETag of the description, which changes only with the code."""
    document = SchemaGenerator().get_schema(request=None, public=True)
    text = json.dumps(document, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


class SchemaView(SpectacularAPIView):
    """The description of this interface; a client that has it already is told so at once."""

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        tag = schema_tag()
        headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept"}
        if request.headers.get("If-None-Match") == tag:
            return Response(status=304, headers=headers)
        response = super().get(request, *args, **kwargs)
        for name, value in headers.items():
            response[name] = value
        return response


urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("", include("labportal.accounts.api.urls")),
    path("", include("labportal.audit.api.urls")),
    path("", include("labportal.notifications.api.urls")),
    path("", include("calculations.api.urls")),
    path("", include("clusters.api.urls")),
    path("", include("mlmodels.api.urls")),
]
