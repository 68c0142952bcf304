"""Log lines in the REST interface: what a person may see, by filter and id; deletion by admins."""

from __future__ import annotations

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from clusters.api import serializers as shapes
from clusters.models import LogLine
from clusters.selectors import logs as selectors
from clusters.selectors.logs import LogFilters
from clusters.services import logs as services
from labportal.accounts.roles import Can, require
from labportal.common.errors import InvalidInput

MAX_ID = 2**63 - 1
MOST = 1000
FILTERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=words)
    for name, words in (
        ("cluster", "its name"),
        ("service", "agent or program"),
        ("level", "this one and what is more serious"),
        ("text", "somewhere in the line"),
        ("run", "its id"),
        ("since", "a time, or an age such as 2h"),
        ("until", "a time, or an age such as 10m"),
    )
]
AGE = OpenApiParameter(
    "older_than_days", OpenApiTypes.INT, description="0 unless told: whatever their age"
)


class LogsView(APIView):
    @extend_schema(
        parameters=[
            *FILTERS,
            OpenApiParameter("after", OpenApiTypes.INT, description="lines after this id"),
            OpenApiParameter("before", OpenApiTypes.INT, description="lines before this id"),
            OpenApiParameter("page_size", OpenApiTypes.INT, description="200 unless told"),
        ],
        responses=shapes.LinesSerializer,
    )
    def get(self, request: Request) -> Response:
        """The newest lines, or those after or before an id, in the order of their ids."""
        filters = LogFilters.read(request.query_params)
        lines = selectors.narrow(selectors.visible_lines(request.user), filters)
        return page_of(request, lines, shapes.LineSerializer)

    @extend_schema(parameters=[*FILTERS, AGE], responses=shapes.CountSerializer)
    def delete(self, request: Request) -> Response:
        """Delete for good what the filters choose, and say how many lines it was."""
        require(request.user, Can.DELETE_LOGS)
        filters, days = LogFilters.read(request.query_params), number(request, "older_than_days")
        if not filters.active() and not days:
            raise InvalidInput("Name a filter or an age; this would delete every line.")
        count = services.delete_lines(filters, older_than_days=days, actor=request.user)
        return Response({"lines": count})


class LogCountView(APIView):
    @extend_schema(parameters=[*FILTERS, AGE], responses=shapes.CountSerializer)
    def get(self, request: Request) -> Response:
        """How many lines DELETE with the same parameters would take."""
        require(request.user, Can.DELETE_LOGS)
        filters, days = LogFilters.read(request.query_params), number(request, "older_than_days")
        count = services.count_lines(filters, older_than_days=days, actor=request.user)
        return Response({"lines": count})


class LineView(APIView):
    @extend_schema(operation_id="log_around", responses=shapes.LineSerializer(many=True))
    def get(self, request: Request, line: str) -> Response:
        """The line with those around it, of the same run or of the cluster's own log."""
        found = get_object_or_404(selectors.visible_lines(request.user), pk=int(line))
        rows = selectors.around(request.user, found)
        return Response(shapes.LineSerializer(rows, many=True).data)


def page_of(request: Request, lines: QuerySet[LogLine], shape: type[Serializer]) -> Response:
    """The lines after or before the id that the request names, the newest where it names none."""
    size = min(number(request, "page_size", 200), MOST) or 1
    if "after" in request.query_params:
        window = selectors.after(lines, number(request, "after"), size)
        more = {"after": window.lines[-1].pk} if window.newer else None
    else:
        before = number(request, "before") if "before" in request.query_params else None
        window = selectors.before(lines, before, size)
        more = {"before": window.lines[0].pk} if window.older else None
    results = shape(window.lines, many=True).data
    return Response({"next": _address(request, more), "results": results})


def number(request: Request, name: str, unless_told: int = 0) -> int:
    """Raises InvalidInput where the parameter is no whole number."""
    value = request.query_params.get(name, "")
    if not value:
        return unless_told
    if not value.isascii() or not value.isdecimal() or len(value) > 19:
        raise InvalidInput("must be a whole number", field=name)
    return min(int(value), MAX_ID)


def _address(request: Request, changes: dict[str, int] | None) -> str | None:
    if changes is None:
        return None
    query = request.query_params.copy()
    for name, value in changes.items():
        query[name] = str(value)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
