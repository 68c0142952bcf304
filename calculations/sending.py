"""Answers with a file of the store: always to be saved, never shown in a page."""

from __future__ import annotations

from django.http import FileResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from labportal.common.storage import storage


def send(key: str, name: str, content_type: str = "application/octet-stream") -> HttpResponseBase:
    """The file, or the way to it where the store hands out addresses."""
    url = storage().presigned_url(key, filename=name)
    if url:
        return HttpResponseRedirect(url)
    stream = storage().open(key)
    return FileResponse(stream, as_attachment=True, filename=name, content_type=content_type)
