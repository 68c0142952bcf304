"""Scaling over ranks in the REST interface. Reading alone."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from calculations.api.exports import CSV, ExportView
from calculations.exports.names import file_name
from calculations.scaling.document import document, table
from calculations.scaling.gathering import scales, with_others
from calculations.scaling.study import Study, study
from labportal.common.errors import WrongMoment

PARAMETERS = [
    OpenApiParameter("with", OpenApiTypes.STR, description="others beside it: C-12,C-13"),
    OpenApiParameter("core_hour", OpenApiTypes.FLOAT, description="else the cluster's price"),
    OpenApiParameter("gpu_hour", OpenApiTypes.FLOAT, description="else the cluster's price"),
    OpenApiParameter("memory", OpenApiTypes.INT, description="of a Lambda function, in MB"),
    OpenApiParameter("deadline", OpenApiTypes.FLOAT, description="seconds to the reduced result"),
]


class StudyView(ExportView):
    def study(self, pk: int) -> Study:
        calculation, query = self.calculation(pk), self.request.query_params
        if scales(calculation) is None:
            words = f"{calculation.number} has no ranks: its software does not tell of any."
            raise WrongMoment(words, code="no-ranks")
        others = with_others(calculation, query.get("with", ""), self.request.user)
        return study(others, query)


class ScalingView(StudyView):
    """Times, speed-up, efficiency, start-up and cost by the number of ranks, and the cheapest."""

    @extend_schema(parameters=PARAMETERS, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> Response:
        return Response(document(self.study(pk)))


class ScalingCsvView(StudyView):
    """The same as a table: a row for each number of ranks."""

    @extend_schema(parameters=PARAMETERS, responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        found = self.study(pk)
        name = file_name(found.calculations[0], "scaling.csv")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(table(found).csv(), content_type=CSV, headers=headers)


ONE = "calculations/<int:pk>"

urlpatterns = [
    path(f"{ONE}/scaling/", ScalingView.as_view(), name="api-calculation-scaling"),
    path(f"{ONE}/scaling.csv", ScalingCsvView.as_view(), name="api-calculation-scaling-csv"),
]
