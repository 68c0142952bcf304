"""Downloads: what a scientist supplied, and what a run left. Files are never shown in the page."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from calculations import overviews
from calculations.models.file import StoredFile
from calculations.sending import send
from calculations.views.finding import find
from labportal.accounts.decorators import needs
from labportal.common.errors import NotFound


@needs()
def input_file(request: HttpRequest, pk: int, file_id: int) -> HttpResponseBase:
    return _send(find(request.user, pk).input_files.filter(pk=file_id).first())


@needs()
def output_file(request: HttpRequest, pk: int, file_id: int) -> HttpResponseBase:
    return _send(overviews.output_files(find(request.user, pk)).filter(pk=file_id).first())


def _send(file: StoredFile | None) -> HttpResponseBase:
    if file is None:
        raise NotFound("There is no such file.")
    return send(file.key, file.name)
