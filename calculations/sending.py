"""Answers with a file of the store: always to be saved, never shown in a page."""

from __future__ import annotations

import re

from django.http import FileResponse, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from labportal.common.storage import storage

BYTES = "application/octet-stream"
REST = re.compile(r"bytes=(\d{1,18})-")


def send(key: str, name: str, content_type: str = BYTES, *, span: str = "") -> HttpResponseBase:
    """The file, or the way to it where the store hands out addresses.

    `span` is the header Range of a download that is taken up again; from one byte to the end is
    understood, anything else gets the whole file.
    """
    url = storage().presigned_url(key, filename=name)
    if url:
        return HttpResponseRedirect(url)
    size = storage().size(key)
    found = REST.fullmatch(span)
    start = int(found.group(1)) if found else 0
    if start >= size and found:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    stream = storage().open(key)
    stream.seek(start)
    response = FileResponse(stream, as_attachment=True, filename=name, content_type=content_type)
    response["Accept-Ranges"] = "bytes"
    response["Content-Length"] = str(size - start)
    if found:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    return response
