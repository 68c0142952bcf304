"""Comparison in the REST interface. Reading alone."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.api.exports import CSV, ExportView
from calculations.comparison import asked as asking
from calculations.comparison.asked import LEAST, MOST, Asked, calculations_of
from calculations.comparison.document import document, table
from calculations.comparison.overlay import overlaid
from calculations.comparison.table import sections
from calculations.models import Calculation
from labportal.common.errors import InvalidInput

PARAMETERS = [
    OpenApiParameter("id", OpenApiTypes.INT, many=True, description=f"{LEAST} to {MOST} of them"),
    OpenApiParameter("ref", OpenApiTypes.INT, description="differences are to this one"),
]


def _asked(request: Request) -> tuple[Asked, list[Calculation]]:
    asked = asking.read(request.query_params.getlist("id"), request.query_params)
    if len(asked.ids) < LEAST:
        raise InvalidInput(f"name at least {LEAST} calculations: ?id=1&id=2", field="id")
    return asked, calculations_of(asked, request.user)


class ComparisonView(ExportView):
    """What differs between calculations, their results in one unit, and their charts together."""

    @extend_schema(parameters=PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        asked, calculations = _asked(request)
        compared = sections(calculations, asked.reference)
        found = document(calculations, asked.reference, compared)
        return Response({**found, "charts": overlaid(calculations)})


class ComparisonCsvView(ExportView):
    """The same table for spreadsheets."""

    @extend_schema(parameters=PARAMETERS, responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        asked, calculations = _asked(request)
        text = table(calculations, sections(calculations, asked.reference)).csv()
        name = "comparison-" + "-".join(str(key) for key in asked.ids[:6])
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return HttpResponse(text, content_type=CSV, headers=headers)


urlpatterns = [
    path("comparison/", ComparisonView.as_view(), name="api-comparison"),
    path("comparison.csv", ComparisonCsvView.as_view(), name="api-comparison-csv"),
]
