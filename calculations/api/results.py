"""Results across calculations in the REST interface: rows of chosen quantities. Reading alone."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.api.exports import CSV, ExportView
from calculations.exports.tables import Head, Table
from calculations.findings import rows as finding
from calculations.findings.asking import Asked, read
from calculations.findings.catalogue import catalogue
from labportal.common.errors import InvalidInput

MOST = 1000
PARAMETERS = [
    OpenApiParameter(name, OpenApiTypes.STR, description=words, many=name == "where")
    for name, words in (
        ("columns", "quantities, with a unit where another is wanted: total_energy:eV,gap"),
        ("per", "calculation or run: what a row is"),
        ("sort", "a column; with a minus in falling order"),
        ("where", "a condition such as gap>=5 eV; several are all met"),
        ("formula", "of the structure, in Hill's order"),
        ("after", "the page behind, as the answer before names it"),
        ("limit", f"rows of a page, at most {MOST}"),
        ("state", "narrows the rows"),
        ("software", "narrows the rows"),
        ("project", "narrows the rows"),
        ("person", "narrows the rows"),
        ("standing", "narrows the rows"),
        ("text", "narrows the rows"),
    )
]


def _asked(request: Request) -> tuple[Asked, finding.Page]:
    query = request.query_params.dict()
    query["columns"] = ",".join(request.query_params.getlist("columns"))
    wheres = request.query_params.getlist("where")
    asked = read(query, wheres, catalogue(request.user))
    if asked.problems:
        raise InvalidInput(" ".join(asked.problems), field="where")
    limit = query.get("limit", str(finding.SIZE))
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:6]) <= MOST):
        raise InvalidInput(f"must be a whole number from 1 to {MOST}", field="limit")
    after = query.get("after", "")[:300]
    return asked, finding.page(request.user, asked, after=after, size=int(limit))


class ResultsView(ExportView):
    """Results across calculations: the newest rows first, or sorted by a quantity."""

    @extend_schema(parameters=PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        asked, page = _asked(request)
        names = [column.kind.name for column in asked.columns]
        return Response(
            {
                "columns": [
                    {"name": c.kind.name, "label": c.kind.label, "unit": c.unit}
                    for c in asked.columns
                ],
                "results": [_row(row, names) for row in page.rows],
                "after": page.after,
            }
        )


def _named(row: finding.Row) -> tuple[Any, ...]:
    number = row.run.index + 1 if row.run else None
    return row.calculation.number, row.calculation.name, number


def _row(row: finding.Row, names: list[str]) -> dict[str, Any]:
    calculation = row.calculation
    return {
        "calculation": calculation.pk,
        "number": calculation.number,
        "name": calculation.name,
        "software": calculation.software,
        "project": calculation.project.slug,
        "standing": calculation.standing,
        "run": str(row.run.pk) if row.run else None,
        "run_index": row.run.index if row.run else None,
        "url": calculation.get_absolute_url(),
        "values": dict(zip(names, row.values, strict=True)),
    }


class ResultsCsvView(ExportView):
    """The same rows as a table; a column's unit stands in its head."""

    @extend_schema(parameters=PARAMETERS, responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        asked, page = _asked(request)
        heads = [Head("calculation", "Calculation"), Head("name", "Name"), Head("run", "Run")]
        heads += [Head(c.kind.name, c.kind.label, c.unit) for c in asked.columns]
        rows = [
            (
                row.calculation.number,
                row.calculation.name,
                row.run and row.run.index + 1,
                *row.values,
            )
            for row in page.rows
        ]
        response = HttpResponse(Table("results", "Results", heads, rows).csv(), CSV)
        response["Content-Disposition"] = 'attachment; filename="results.csv"'
        return response


urlpatterns = [
    path("results/", ResultsView.as_view(), name="api-result-list"),
    path("results.csv", ResultsCsvView.as_view(), name="api-result-csv"),
]
