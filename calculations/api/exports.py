"""Charts, reports and tables of calculations in the REST interface. Reading alone."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from calculations.charts import charts_of
from calculations.exports import tables
from calculations.exports.names import file_name, run_index, safe
from calculations.exports.report import MOST_AT_ONCE
from calculations.models import Calculation, Dataset
from calculations.report import html as report_html
from calculations.report import json as report_json
from calculations.report import pdf as report_pdf
from calculations.report.gather import gather
from labportal.common.errors import WrongMoment
from labportal.common.negotiation import AsItIs

CSV, HTML = "text/csv; charset=utf-8", "text/html; charset=utf-8"


class ExportView(APIView):
    content_negotiation_class = AsItIs

    def calculation(self, pk: int) -> Calculation:
        rows = Calculation.objects.visible_to(self.request.user)
        related = ("project", "created_by", "cluster", "copied_from")
        return get_object_or_404(rows.select_related(*related), pk=pk)


class ChartsView(ExportView):
    """The charts of a calculation with their values; `run` narrows it to one of its runs."""

    @extend_schema(
        parameters=[OpenApiParameter("run", OpenApiTypes.INT, description="from 1")],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, pk: int) -> Response:
        chosen = run_index(request.query_params.get("run", ""))
        return Response({"charts": charts_of(self.calculation(pk), run_index=chosen)})


class ReportView(ExportView):
    """Everything that is known of a calculation, as one document (`labportal-report/1`)."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> HttpResponse:
        document = report_json.render(gather(self.calculation(pk)))
        return HttpResponse(document, "application/json")


class ReportPdfView(ExportView):
    """The same report for people, as PDF; of up to 200 runs, larger ones are exports."""

    @extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: int) -> HttpResponse:
        calculation = _small(self.calculation(pk), "report-pdf")
        document = report_pdf.render(gather(calculation))
        return _attached(document, "application/pdf", file_name(calculation, "report.pdf"))


class ReportHtmlView(ExportView):
    """The same as one HTML file, with the same limit."""

    @extend_schema(responses={(200, "text/html"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        calculation = _small(self.calculation(pk), "report-html")
        document = report_html.render(gather(calculation))
        return _attached(document, HTML, file_name(calculation, "report.html"))


def _small(calculation: Calculation, kind: str) -> Calculation:
    if calculation.run_count > MOST_AT_ONCE:
        raise WrongMoment(
            f"{calculation.number} has {calculation.run_count} runs: its report takes a while. "
            f"Ask for it under /api/v1/exports/ as the kind {kind}.",
            code="too-many-runs",
        )
    return calculation


class RunsCsvView(ExportView):
    """The runs with their quantities as a table; a column's unit stands in its head."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        calculation = self.calculation(pk)
        table = tables.of_runs(calculation)
        return _attached(table.csv(), CSV, file_name(calculation, "runs.csv"))


class RunsJsonView(ExportView):
    """The same table as JSON (`labportal-table/1`): columns with units, rows as lists."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> HttpResponse:
        return HttpResponse(tables.of_runs(self.calculation(pk)).json(), "application/json")


class ResultsCsvView(ExportView):
    """What the analyses across all runs have found, one quantity a row."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        calculation = self.calculation(pk)
        table = tables.of_analyses(calculation)
        return _attached(table.csv(), CSV, file_name(calculation, "results.csv"))


class ResultsJsonView(ExportView):
    """The same as JSON (`labportal-table/1`)."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> HttpResponse:
        return HttpResponse(tables.of_analyses(self.calculation(pk)).json(), "application/json")


class DatasetView(ExportView):
    def dataset(self, pk: int) -> Dataset:
        rows = Dataset.objects.visible_to(self.request.user).select_related("run")
        return get_object_or_404(rows, pk=pk)


class DatasetCsvView(DatasetView):
    """A dataset as a table; a column's unit stands in its head."""

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        dataset = self.dataset(pk)
        of_run = f"-run-{dataset.run.index + 1}" if dataset.run else ""
        name = f"C-{dataset.calculation_id}{of_run}-{safe(dataset.name)}.csv"
        return _attached(tables.of_dataset(dataset).csv(), CSV, name)


class DatasetJsonView(DatasetView):
    """The same as JSON (`labportal-table/1`)."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: int) -> HttpResponse:
        return HttpResponse(tables.of_dataset(self.dataset(pk)).json(), "application/json")


def _attached(content: str | bytes, content_type: str, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


ONE = "calculations/<int:pk>"

urlpatterns = [
    path(f"{ONE}/charts/", ChartsView.as_view(), name="api-calculation-charts"),
    path(f"{ONE}/report/", ReportView.as_view(), name="api-calculation-report"),
    path(f"{ONE}/report.pdf", ReportPdfView.as_view(), name="api-calculation-report-pdf"),
    path(f"{ONE}/report.html", ReportHtmlView.as_view(), name="api-calculation-report-html"),
    path(f"{ONE}/runs.csv", RunsCsvView.as_view(), name="api-calculation-runs-csv"),
    path(f"{ONE}/runs.json", RunsJsonView.as_view(), name="api-calculation-runs-json"),
    path(f"{ONE}/results.csv", ResultsCsvView.as_view(), name="api-calculation-results-csv"),
    path(f"{ONE}/results.json", ResultsJsonView.as_view(), name="api-calculation-results-json"),
    path("datasets/<int:pk>.csv", DatasetCsvView.as_view(), name="api-dataset-csv"),
    path("datasets/<int:pk>.json", DatasetJsonView.as_view(), name="api-dataset-json"),
]
