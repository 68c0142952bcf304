"""Figures of results: which ones a calculation has, and the data of one as plots.js draws it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from calculations import selectors
from calculations.models import Calculation, Run
from calculations.software.analysis import SWEPT
from calculations.software.base import Software
from calculations.software.results import Chart
from calculations.views.finding import find
from calculations.views.rows import run_label, software_of
from labportal.accounts.decorators import needs
from labportal.common.errors import NotFound

ACROSS = "all"
PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class Figure:
    """One card with a chart; see templates/calculations/_figure.html."""

    key: str
    title: str
    note: str
    url: str
    log_y: bool


def charts_of(software: Software) -> list[tuple[str, Chart]]:
    """Every chart of a plug-in with the analysis that it belongs to ("" for what is extracted)."""
    found = [("", chart) for chart in software.charts]
    return found + [(a.name, chart) for a in software.analyses for chart in a.charts]


def figures(
    calculation: Calculation, names: Iterable[str], *, run: Run | None, analysis: str | None = None
) -> list[Figure]:
    """The figures for which there are datasets: `names` are those of the run, or across runs."""
    software = software_of(calculation)
    if software is None:
        return []
    present = set(names)
    note = ""
    if run is not None:
        note = run_label(calculation, run) or (f"run {run.index + 1}" if calculation.sweep else "")
    return [
        _figure(calculation, run, chart, _number(software, chart), note)
        for owner, chart in charts_of(software)
        if chart.dataset in present and analysis in (None, owner)
    ]


def convergence(calculation: Calculation, run: Run) -> Figure | None:
    """The live chart of what converges in a run that executes."""
    told = run.progress or {}
    trail = told.get("trail", [])
    if len(trail) < 2:
        return None
    note = run_label(calculation, run) or f"run {run.index + 1}"
    url = reverse("calculation-figure", args=[calculation.pk, str(run.index), PROGRESS, 0])
    title = _converging(calculation)
    return Figure(f"{PROGRESS}-{run.index}", title, f"{note}, live", url, True)


def _converging(calculation: Calculation) -> str:
    """What a plug-in watches is what its first chart draws."""
    software = software_of(calculation)
    return software.charts[0].title if software and software.charts else "Convergence"


def _number(software: Software, chart: Chart) -> int:
    same = [c for _, c in charts_of(software) if c.dataset == chart.dataset]
    return same.index(chart)


def _figure(
    calculation: Calculation, run: Run | None, chart: Chart, number: int, note: str
) -> Figure:
    scope = ACROSS if run is None else str(run.index)
    url = reverse("calculation-figure", args=[calculation.pk, scope, chart.dataset, number])
    return Figure(f"{scope}-{chart.dataset}-{number}", chart.title, note, url, chart.log_y)


@needs()
def figure_data(
    request: HttpRequest, pk: int, scope: str, dataset: str, number: int
) -> JsonResponse:
    calculation = find(request.user, pk)
    if dataset == PROGRESS:
        return JsonResponse(_progress_data(_run(calculation, scope)))
    software = software_of(calculation)
    charts = [c for _, c in charts_of(software) if c.dataset == dataset] if software else []
    place = {"run": None} if scope == ACROSS else {"run": _run(calculation, scope)}
    stored = calculation.datasets.filter(name=dataset, **place).first()
    if stored is None or number >= len(charts):
        raise NotFound("There is no such figure; its results may have been computed anew.")
    return JsonResponse(chart_data(charts[number], stored.columns))


def _run(calculation: Calculation, scope: str) -> Run:
    index = int(scope) if scope.isdecimal() and len(scope) < 8 else -1
    run = selectors.runs_of(calculation).filter(index=index).first()
    if run is None:
        raise NotFound("There is no such run.")
    return run


def chart_data(chart: Chart, columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A chart with its columns filled in; a column that is not there is left out."""
    by_name = {column["name"]: column for column in columns}
    x = by_name.get(chart.x) or (columns[0] if chart.x == SWEPT and columns else None)
    y = [by_name[name] for name in chart.y if name in by_name] if x else []
    return {
        "name": chart.dataset,
        "title": chart.title,
        "style": chart.style,
        "log_y": chart.log_y,
        "x": _column(x) if x else {"label": "", "unit": "", "values": []},
        "y": [_column(column) for column in y],
    }


def _column(column: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": column["name"],
        "label": column["label"],
        "unit": column.get("unit", ""),
        "values": column["values"],
    }


def _progress_data(run: Run) -> dict[str, Any]:
    told = run.progress or {}
    trail = told.get("trail", [])
    values = [point[1] for point in trail]
    title = _converging(run.calculation)
    return {
        "name": PROGRESS,
        "title": title,
        "style": "line+markers",
        "log_y": all(value > 0 for value in values),
        "x": {"label": told.get("what") or "step", "unit": "", "values": [p[0] for p in trail]},
        "y": [{"label": title, "unit": "", "values": values}],
    }
