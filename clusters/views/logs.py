"""The pages of logs: the stream, one line with its context, a run's log, deletion by admins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from calculations.models import Run
from clusters.forms import DeleteLogsForm, LogFilterForm
from clusters.intake import line_document, origin
from clusters.models import Cluster
from clusters.selectors import logs as selectors
from clusters.selectors.logs import LogFilters, Window
from clusters.services import logs as services
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput

MAX_ID = 2**63 - 1
PAGE = 200


@require_safe
@needs()
def log_list(request: HttpRequest) -> HttpResponse:
    errors: dict[str, str] = {}
    try:
        filters = LogFilters.read(request.GET)
    except InvalidInput as wrong:
        errors, filters = wrong.errors, LogFilters()
    lines = selectors.narrow(selectors.visible_lines(request.user), filters)
    before = line_id(request.GET, "before")
    window = selectors.before(lines, before, PAGE)
    for line in window.lines:
        line.source = origin(line)
    chosen = filters.active()
    match = {name: chosen[name] for name in ("cluster", "service", "run") if name in chosen}
    context = {
        "lines": window.lines,
        "older_url": _page_url(request, before=window.lines[0].pk) if window.older else "",
        "newest_url": _page_url(request) if before is not None else "",
        "filters": chosen,
        "levels": " ".join(filters.levels) if filters.level else "",
        "match": json.dumps(match) if match else "",
        "open": reverse("log-detail", args=[0]),
        "run": _run(request, uuid.UUID(filters.run)) if filters.run else None,
        "empty": "No line fits these filters." if chosen else "",
        "form": LogFilterForm(filters, list(Cluster.objects.values_list("name", flat=True))),
        "errors": errors,
        "topics": "" if before is not None or filters.until else selectors.topics(request.user),
        "url": f"{reverse('log-lines')}?{urlencode(chosen)}",
        "delete_url": f"{reverse('log-delete')}?{urlencode(chosen)}",
        "may_delete": can(request.user, Can.DELETE_LOGS),
    }
    return render(request, "clusters/log_list.html", context, status=400 if errors else 200)


@require_safe
@needs()
def log_lines(request: HttpRequest) -> JsonResponse:
    """Lines after one (what was missed) or before one (older ones), as JSON."""
    filters = LogFilters.read(request.GET)
    lines = selectors.narrow(selectors.visible_lines(request.user), filters)
    return JsonResponse(_document(_window(lines, request)))


@require_safe
@needs()
def log_detail(request: HttpRequest, line: int) -> HttpResponse:
    found = get_object_or_404(selectors.visible_lines(request.user), pk=min(line, MAX_ID))
    context = {"line": found, "lines": selectors.around(request.user, found)}
    return render(request, "clusters/log_detail.html", context)


@require_safe
@needs()
def run_log(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """A run's lines: JSON for who asks for those after one, else the log to be put into a page."""
    seen = _run(request, run)
    lines = selectors.run_lines(request.user, seen.pk)
    if "after" in request.GET or "before" in request.GET:
        return JsonResponse(_document(_window(lines, request)))
    context = {"run": seen, **selectors.shown(request.user, seen)}
    return render(request, "clusters/_run_log.html", context)


@require_safe
@needs()
def run_log_download(request: HttpRequest, run: uuid.UUID) -> StreamingHttpResponse:
    seen = _run(request, run)
    lines = selectors.run_lines(request.user, seen.pk).order_by("pk")

    def text() -> Iterator[str]:
        for line in lines.iterator(2000):
            yield f"{line.at:%Y-%m-%dT%H:%M:%S.%fZ} {line.service} {line.level} {line.text}\n"

    response = StreamingHttpResponse(text(), content_type="text/plain; charset=utf-8")
    name = f"C-{seen.calculation_id}-run-{seen.index + 1}.log"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@needs(Can.DELETE_LOGS)
def log_delete(request: HttpRequest) -> HttpResponse:
    """Say how many lines a deletion would take; POST with the same choice deletes them."""
    filters = LogFilters.read(request.GET)
    given = request.POST if request.method == "POST" else request.GET
    form = DeleteLogsForm(given if "older_than_days" in given else {"older_than_days": 30})
    if not form.is_valid():
        return _delete_page(request, filters, form, None, 400)
    days = form.cleaned_data["older_than_days"]
    if request.method == "POST":
        count = services.delete_lines(filters, older_than_days=days, actor=request.user)
        messages.success(request, f"{count} lines are deleted.")
        return redirect(f"{reverse('log-list')}?{urlencode(filters.active())}")
    count = services.count_lines(filters, older_than_days=days, actor=request.user)
    return _delete_page(request, filters, form, count, 200)


def _delete_page(
    request: HttpRequest,
    filters: LogFilters,
    form: DeleteLogsForm,
    count: int | None,
    status: int,
) -> HttpResponse:
    context = {"filters": filters.active(), "form": form, "count": count}
    return render(request, "clusters/log_delete.html", context, status=status)


def _run(request: HttpRequest, run: uuid.UUID) -> Run:
    return get_object_or_404(Run.objects.visible_to(request.user), pk=run)


def _window(lines: selectors.QuerySet, request: HttpRequest) -> Window:
    after, before = line_id(request.GET, "after"), line_id(request.GET, "before")
    if after is not None:
        return selectors.after(lines, after)
    return selectors.before(lines, before)


def line_id(query: QueryDict, name: str) -> int | None:
    value = query.get(name, "")
    return min(int(value), MAX_ID) if value.isdecimal() and len(value) < 20 else None


def _document(window: Window) -> dict[str, object]:
    lines = [line_document(line) for line in window.lines]
    return {"lines": lines, "older": window.older, "more": window.newer}


def _page_url(request: HttpRequest, **changes: object) -> str:
    query = request.GET.copy()
    query.pop("before", None)
    query.pop("after", None)
    for name, value in changes.items():
        query[name] = str(value)
    return f"{request.path}?{query.urlencode()}"
