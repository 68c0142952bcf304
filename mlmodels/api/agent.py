"""What agents fetch for models, authenticated by API key: files in /opt/ml/model, secrets."""

from __future__ import annotations

import re
import uuid

from django.http import FileResponse, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from clusters.api.agent_files import AgentView
from clusters.authentication import cluster_of
from labportal.common.storage import storage
from mlmodels.services.agent_files import environment, model_file

FROM = re.compile(r"bytes=(\d{1,18})-")


@extend_schema(exclude=True)
class ModelFileView(AgentView):
    def get(self, request: Request, replica: uuid.UUID, name: str) -> HttpResponse:
        """Send the file, or what is left of it where `Range` says from which byte on."""
        version = model_file(cluster_of(request), replica, name)
        size, wanted = version.files_size, FROM.fullmatch(request.headers.get("Range", ""))
        offset = int(wanted[1]) if wanted else 0
        if not 0 < offset < size:
            stream = storage().open(version.files_key)
            return FileResponse(stream, as_attachment=True, filename=name)
        stream = storage().open(version.files_key, offset=offset)
        response = FileResponse(stream, as_attachment=True, filename=name, status=206)
        response["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
        response["Content-Length"] = str(size - offset)
        return response


@extend_schema(exclude=True)
class ModelEnvironmentView(AgentView):
    def get(self, request: Request, replica: uuid.UUID) -> Response:
        found = environment(cluster_of(request), replica)
        return Response({"environment": found}, headers={"Cache-Control": "no-store"})
