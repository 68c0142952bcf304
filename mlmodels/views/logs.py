"""The log of a replica: lines for who asks for those after or before one, and all of it as a
file.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from clusters.intake import line_document
from clusters.selectors import logs as windows
from labportal.accounts.decorators import needs
from mlmodels.selectors import logs
from mlmodels.selectors.finding import find, find_replica
from mlmodels.views.tabs import line_id


@require_safe
@needs()
def replica_log(request: HttpRequest, name: str, replica: UUID) -> JsonResponse:
    found = find_replica(find(request.user, name), replica)
    lines = logs.lines_of(request.user, found, logs.launch_asked(found, request.GET))
    after, before = (line_id(request.GET.get(side, "")) for side in ("after", "before"))
    window = windows.after(lines, after) if after is not None else windows.before(lines, before)
    drawn = [line_document(line) for line in window.lines]
    return JsonResponse({"lines": drawn, "older": window.older, "more": window.newer})


@require_safe
@needs()
def replica_log_download(request: HttpRequest, name: str, replica: UUID) -> StreamingHttpResponse:
    found = find_replica(find(request.user, name), replica)
    lines = logs.lines_of(request.user, found).order_by("pk")

    def text() -> Iterator[str]:
        for line in lines.iterator(2000):
            at = f"{line.at:%Y-%m-%dT%H:%M:%S.%fZ}"
            yield f"{at} launch {line.launch} {line.level} {line.text}\n"

    response = StreamingHttpResponse(text(), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{found.name}.log"'
    return response
