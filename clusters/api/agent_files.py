"""Files between agent and portal: inputs that it stages, outputs that it brings. Authenticated by
API key.
"""

from __future__ import annotations

import uuid
from typing import BinaryIO

from django.http import FileResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from clusters.agent.protocol import MAX_RETRIEVED_FILE, SHA256_HEADER
from clusters.authentication import AgentAuthentication, IsAgent, cluster_of
from clusters.services.agent_files import keep_file, staged_file
from labportal.common.errors import InvalidInput, TooLarge
from labportal.common.storage import storage


class AgentView(APIView):
    authentication_classes = [AgentAuthentication]
    permission_classes = [IsAgent]


@extend_schema(exclude=True)
class StagedFileView(AgentView):
    def get(self, request: Request, run: uuid.UUID, name: str) -> FileResponse:
        item = staged_file(cluster_of(request), run, name)
        return FileResponse(storage().open(item.key), as_attachment=True, filename=item.name)


@extend_schema(exclude=True)
class RetrievedFileView(AgentView):
    parser_classes = []

    def put(self, request: Request, run: uuid.UUID, attempt: int, name: str) -> Response:
        """Keep a file of the current attempt; sending it again replaces it."""
        sha256 = request.headers.get(SHA256_HEADER, "").lower()
        cluster = cluster_of(request)
        size = keep_file(cluster, run, attempt, name, _limited(request), sha256=sha256)
        return Response({"name": name, "size": size, "sha256": sha256}, status=201)


def _limited(request: Request) -> BinaryIO:
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise InvalidInput("Send the header Content-Length.", code="length")
    if int(length) > MAX_RETRIEVED_FILE:
        raise TooLarge(f"A file is at most {MAX_RETRIEVED_FILE} bytes.")
    return request._request
