"""What leaves the portal from a calculation's page: its charts as data, its report."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse

from calculations.charts import charts_of
from calculations.exports.names import file_name, run_index
from calculations.exports.report import MOST_AT_ONCE
from calculations.models import Calculation
from calculations.report import html as report_html
from calculations.report import json as report_json
from calculations.report import pdf as report_pdf
from calculations.report.gather import gather
from calculations.views.finding import find
from labportal.accounts.decorators import needs


@needs()
def calculation_charts(request: HttpRequest, pk: int) -> JsonResponse:
    """?run=2 narrows it to the second run."""
    calculation = find(request.user, pk)
    chosen = run_index(request.GET.get("run", ""))
    return JsonResponse({"charts": charts_of(calculation, run_index=chosen)})


@needs()
def report_as_pdf(request: HttpRequest, pk: int) -> HttpResponse:
    calculation = find(request.user, pk)
    if calculation.run_count > MOST_AT_ONCE:
        return _in_the_background(calculation, "report-pdf")
    response = HttpResponse(report_pdf.render(gather(calculation)), "application/pdf")
    response["Content-Disposition"] = f'inline; filename="{file_name(calculation, "report.pdf")}"'
    return response


@needs()
def report_as_html(request: HttpRequest, pk: int) -> HttpResponse:
    """To be saved: it brings its own styles, which the portal's pages may not."""
    calculation = find(request.user, pk)
    if calculation.run_count > MOST_AT_ONCE:
        return _in_the_background(calculation, "report-html")
    response = HttpResponse(report_html.render(gather(calculation)))
    name = file_name(calculation, "report.html")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _in_the_background(calculation: Calculation, kind: str) -> HttpResponse:
    return redirect(f"{reverse('export-new')}?calculation={calculation.pk}&kind={kind}")


@needs()
def report_as_json(request: HttpRequest, pk: int) -> HttpResponse:
    calculation = find(request.user, pk)
    response = HttpResponse(report_json.render(gather(calculation)), "application/json")
    name = file_name(calculation, "report.json")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
