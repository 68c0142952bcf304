"""Downloads: what a scientist supplied, and what a run left. Files are never shown in the page."""

from __future__ import annotations

from django.http import FileResponse, HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from calculations import overviews
from calculations.models.file import StoredFile
from calculations.views.finding import find
from labportal.accounts.decorators import needs
from labportal.common.errors import NotFound
from labportal.common.storage import storage


@needs()
def input_file(request: HttpRequest, pk: int, file_id: int) -> HttpResponseBase:
    return _send(find(request.user, pk).input_files.filter(pk=file_id).first())


@needs()
def output_file(request: HttpRequest, pk: int, file_id: int) -> HttpResponseBase:
    return _send(overviews.output_files(find(request.user, pk)).filter(pk=file_id).first())


def _send(file: StoredFile | None) -> HttpResponseBase:
    if file is None:
        raise NotFound("There is no such file.")
    url = storage().presigned_url(file.key, filename=file.name)
    if url:
        return HttpResponseRedirect(url)
    return FileResponse(storage().open(file.key), as_attachment=True, filename=file.name)
