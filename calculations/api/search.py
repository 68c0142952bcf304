"""The search in the REST interface: how it was understood, and some of what was found by kind."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.search import Query, groups, parse
from labportal.common.errors import InvalidInput

SOME, MOST = 20, 200


class SearchView(APIView):
    """Search calculations, runs, structures and results, in conditions or in words."""

    @extend_schema(
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="state:valid water gap>5 eV"),
            OpenApiParameter("in", OpenApiTypes.STR, description=" or ".join(groups.KINDS)),
            OpenApiParameter("after", OpenApiTypes.STR, description="the page behind; with in"),
            OpenApiParameter("limit", OpenApiTypes.INT, description=f"at most {MOST}"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        kind, limit = asked.get("in", ""), asked.get("limit", str(SOME))
        if kind and kind not in groups.KINDS:
            raise InvalidInput(f"must be one of {', '.join(groups.KINDS)}", field="in")
        if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:6]) <= MOST):
            raise InvalidInput(f"must be a whole number from 1 to {MOST}", field="limit")
        query = parse(asked.get("q", ""), user=request.user)
        after = asked.get("after", "")[:120] if kind else ""
        found = {
            name: _found(request, name, query, after, int(limit))
            for name in groups.KINDS
            if query.conditions and kind in ("", name)
        }
        understood = [
            {"field": c.field, "written": str(c), "words": c.said} for c in query.conditions
        ]
        return Response({"query": str(query), "understood": understood, "groups": found})


def _found(request: Request, kind: str, query: Query, after: str, limit: int) -> dict[str, Any]:
    counted = groups.count(kind, query, request.user).number
    rows = groups.behind(kind, groups.rows_of(kind, query, request.user), after)
    found = list(rows[: limit + 1])
    shown = found[:limit]
    values = groups.values_of(kind, shown, query)
    return {
        "count": min(counted, groups.MOST_COUNTED),
        "count_is_exact": counted <= groups.MOST_COUNTED,
        "rows": [_row(kind, row, values.get(row.pk, ())) for row in shown],
        "after": groups.place_of(kind, shown[-1]) if len(found) > limit else None,
    }


def _row(kind: str, row: Any, values: Any) -> dict[str, Any]:
    found = [{"label": label, "value": words, "unit": unit} for label, words, unit in values]
    if kind == "calculations":
        shown = {"id": row.pk, "number": row.number, "name": row.name, "state": row.state}
        return {**shown, "standing": row.standing, "software": row.software, "found": found}
    if kind == "runs":
        shown = {"id": str(row.pk), "calculation": row.calculation_id, "index": row.index}
        return {**shown, "state": row.state, "found": found}
    if kind == "structures":
        return {
            "id": row.pk,
            "number": row.number,
            "name": row.name,
            "formula": row.formula,
            "atoms": row.atom_count,
        }
    return {
        "calculation": row.calculation_id,
        "run": str(row.run_id) if row.run_id else None,
        "name": row.name,
        "label": row.label,
        "value": row.value,
        "unit": row.unit,
    }


urlpatterns = [path("search/", SearchView.as_view(), name="api-search")]
