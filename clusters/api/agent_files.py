"""Files between agent and portal: inputs that it stages, outputs that it brings. Authenticated by
API key.
"""

from __future__ import annotations

import uuid
from typing import BinaryIO

from django.http import FileResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.models import InputFile, Run
from calculations.services.drafts import check_file_name
from calculations.services.results import file_key
from calculations.states import LEASED_RUNS
from clusters.agent.protocol import MAX_RETRIEVED_FILE, SHA256_HEADER
from clusters.authentication import AgentAuthentication, IsAgent, cluster_of
from labportal.common.errors import InvalidInput, TooLarge, WrongMoment
from labportal.common.storage import storage


class AgentView(APIView):
    authentication_classes = [AgentAuthentication]
    permission_classes = [IsAgent]

    def leased_run(self, run_id: uuid.UUID) -> Run:
        """Return the run if this agent's cluster holds its lease; 404 otherwise."""
        runs = Run.objects.filter(cluster=cluster_of(self.request), state__in=LEASED_RUNS)
        return get_object_or_404(runs, pk=run_id)


@extend_schema(exclude=True)
class StagedFileView(AgentView):
    def get(self, request: Request, run: uuid.UUID, name: str) -> FileResponse:
        held = self.leased_run(run)
        item = get_object_or_404(InputFile, calculation=held.calculation_id, name=name)
        return FileResponse(storage().open(item.key), as_attachment=True, filename=item.name)


@extend_schema(exclude=True)
class RetrievedFileView(AgentView):
    parser_classes = []

    def put(self, request: Request, run: uuid.UUID, attempt: int, name: str) -> Response:
        """Keep a file of the current attempt; sending it again replaces it."""
        check_file_name(name)
        held = Run.objects.filter(pk=run, cluster=cluster_of(request)).first()
        if held is None or not held.is_leased or held.attempt != attempt:
            raise WrongMoment("This attempt is not held by this cluster.", code="not-current")
        key = file_key(held.pk, attempt, name)
        size, sha256 = storage().save(key, _limited(request))
        if sha256 != request.headers.get(SHA256_HEADER, "").lower():
            storage().delete(key)
            raise InvalidInput("The checksum does not match what arrived.", code="checksum")
        return Response({"name": name, "size": size, "sha256": sha256}, status=201)


def _limited(request: Request) -> BinaryIO:
    length = request.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise InvalidInput("Send the header Content-Length.", code="length")
    if int(length) > MAX_RETRIEVED_FILE:
        raise TooLarge(f"A file is at most {MAX_RETRIEVED_FILE} bytes.")
    return request._request
