"""What each tab of a calculation shows, as template contexts. A fixed number of queries each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Case, F, IntegerField, Q, When
from django.http import HttpRequest
from django.urls import reverse

from calculations import overviews, selectors
from calculations.charts import charts_of
from calculations.forms import shown
from calculations.matrix import Matrix, matrix_of
from calculations.models import Calculation, Run
from calculations.selectors import run_waits
from calculations.services import walltime
from calculations.services.preview import PreviewFile, files_of_run, input_files, prepared
from calculations.services.sweeps import varied
from calculations.software.base import Software
from calculations.states import CalculationState, RunState
from calculations.views import figures as drawing
from calculations.views.analysing import SCOPES, graph_of
from calculations.views.geometries import viewer_of
from calculations.views.rows import run_label, software_of
from calculations.views.tables import MOST_RUNS, analysis_cards, quantity_table, summary, tables_of
from calculations.views.using import used_of
from calculations.wording import column_words, further_resources, tries_words
from labportal.accounts.roles import Can, can

LAST_EVENTS = 7
MOST_FIGURES = 4
FEW_CARDS = 8  # so many stand in one row
MOST_CHIPS = 30  # a larger sweep is entered by its number
HOW_IT_WENT = ("", "convergence")  # figures of the way, not of the result: they come last
STEPS = "scf_iterations"  # what a plug-in calls how many iterations a run took
MOST_LINES = 400  # of events, files, attempts on one page


@dataclass(frozen=True, slots=True)
class Cell:
    """One run in the matrix of a sweep."""

    run: Run
    label: str
    words: str
    unit: str
    note: str
    tries: str


def _runs(calculation: Calculation) -> list[Run]:
    """The runs as the header has loaded them; of many only what lists of them show."""
    if "runs" in getattr(calculation, "_prefetched_objects_cache", {}):
        return list(calculation.runs.all())
    rows = calculation.runs.order_by("index").only("calculation", "index", "state", "point")
    return list(rows)


def chosen_run(
    request: HttpRequest, calculation: Calculation, *, valid: bool = False
) -> Run | None:
    """The run that ?run= names; else the one that executes, or the last that ended."""
    rows = calculation.runs.select_related("calculation", "cluster")
    rows = rows.filter(state=RunState.VALID) if valid else rows
    said = request.GET.get("run", "")
    named = int(said) - 1 if said.isdecimal() and len(said) < 7 else -1
    open_ones = Q(state__in=selectors.OPEN_RUNS)
    rank = Case(
        When(index=named, then=0),
        When(state=RunState.RUNNING, then=1),
        When(~open_ones, then=2),
        default=3,
    )
    last_first = Case(
        When(rank=2, then=-F("index")), default=F("index"), output_field=IntegerField()
    )
    return rows.annotate(rank=rank).order_by("rank", last_first).first()


def run_chips(request: HttpRequest, calculation: Calculation, now: Run | None) -> list[Any]:
    """Links to the same tab for each run of a sweep."""
    if not 1 < calculation.run_count <= MOST_CHIPS:
        return []
    runs = _runs(calculation)
    return [
        {
            "label": run_label(calculation, run) or f"run {run.index + 1}",
            "url": f"{request.path}?run={run.index + 1}",
            "chosen": run == now,
            "state": run.state,
        }
        for run in runs
    ]


def overview(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    focus = chosen_run(request, calculation)
    live = drawing.convergence(calculation, focus) if focus and _moves(focus) else None
    drawn = [*([live] if live else []), *drawing.figures(charts_of(calculation) if focus else [])]
    matrix = matrix_of(calculation, request.GET) if focus and calculation.run_count > 1 else None
    few = [] if matrix and matrix.look != "cards" else _runs(calculation)
    return {
        "matrix": matrix,
        "cells": _cells(calculation, few, matrix),
        "many": len(few) > FEW_CARDS,
        "may_change_runs": can(request.user, Can.CREATE_CALCULATION),
        "focus": focus,
        "figures": drawn[:MOST_FIGURES],
        "last_events": list(overviews.last_events(calculation)[:LAST_EVENTS]),
        "facts": _facts(calculation),
        "further": further_resources(calculation),
        "ending": _ending(calculation) if calculation.state == CalculationState.RUNNING else "",
        "checked": overviews.last_check(calculation),
        "attempt": focus.attempts.order_by("-number").first() if focus else None,
        "viewer": viewer_of(calculation, focus, request.user, moving=True),
    }


def _ending(calculation: Calculation) -> str:
    """What is about to be ended for want of time, and what to do; "" where nothing is."""
    runs = walltime.ending_soon(calculation)
    return f"{walltime.words(runs)} {walltime.REMEDY}" if runs else ""


def _cells(calculation: Calculation, runs: list[Run], matrix: Matrix | None) -> list[Cell]:
    """One for each of a few runs, in the order of the matrix and with its values."""
    if not runs:
        return []
    software = software_of(calculation)
    main = software.main_result if software else ""
    found = calculation.quantities.filter(name__in=(main, STEPS), run__in=runs)
    steps = {q.run_id: q.number for q in found if q.name == STEPS}
    unit = next((q.unit for q in found if q.name == main), "")
    words = dict(zip(runs, column_words([run.main_value for run in runs], unit), strict=True))
    if matrix is not None:
        by_number = {run.index + 1: run for run in runs}
        words = {by_number[cell.number]: cell.words for cell in matrix.cells}
        unit = matrix.quantity.unit if matrix.quantity else ""
    return [
        Cell(
            run,
            _label(calculation, run),
            value,
            unit,
            _note(run, steps.get(run.pk)),
            tries_words(calculation, run),
        )
        for run, value in words.items()
    ]


def _note(run: Run, steps: float | None) -> str:
    told = run.progress or {}
    if run.state == RunState.RUNNING:
        done = told.get("done")
        return "" if done is None else f"{told.get('what') or 'step'} {done}"
    if run.state == RunState.WAITING:
        return f"after run {run.predecessor.index + 1}" if run.predecessor else ""
    if run.state == RunState.VALID:
        return f"{steps:.0f} iterations" if steps else ""
    return run_waits(run.state, run.waits_for, run.pending) or run.reason


def _label(calculation: Calculation, run: Run) -> str:
    return run_label(calculation, run) or f"run {run.index + 1}"


def _facts(calculation: Calculation) -> list[tuple[str, str]]:
    """The parameters in which it differs from the plug-in's defaults, the first few."""
    software = software_of(calculation)
    if software is None:
        return []
    swept = varied(calculation)
    found = []
    for parameter in software.parameters:
        value = calculation.parameters.get(parameter.name)
        if parameter.lines > 1 or parameter.name in swept or value == parameter.default:
            continue
        found.append((parameter.label, f"{_worded(parameter, value)} {parameter.unit}".rstrip()))
    return found[:8]


def _worded(parameter: Any, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return dict(parameter.choices).get(value, shown(value))


def _moves(run: Run) -> bool:
    return run.state == RunState.RUNNING


def results(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    """Everything that was found; ?run= narrows figures and tables to one run."""
    few = calculation.run_count <= MOST_RUNS
    runs = _runs(calculation) if few else []
    valid = [run for run in runs if run.state == RunState.VALID]
    count = len(valid) if few else calculation.runs.filter(state=RunState.VALID).count()
    run = chosen_run(request, calculation, valid=True) if request.GET.get("run") else None
    last = run or (valid[-1] if valid else None)
    if last is None and count:
        last = chosen_run(request, calculation, valid=True)
    documents = charts_of(calculation) if calculation.run_count else []
    quantities = calculation.quantities.filter(run=None).select_related("analysis")
    cards = analysis_cards(calculation, quantities.order_by("id"), documents)
    apart = [d for d in documents if d["analysis"] not in {card.name for card in cards}]
    if run is not None:
        apart = charts_of(calculation, run_index=run.index)
    return {
        "run": last,
        "chosen": run,
        "chips": run_chips(request, calculation, run) if last else [],
        "analyses": cards,
        "graph": graph_of(calculation, request.user, count),
        "scopes": SCOPES,
        "table": quantity_table(calculation, valid) if few else summary(calculation, count),
        "figures": drawing.figures(sorted(apart, key=lambda d: d["analysis"] in HOW_IT_WENT)),
        "viewer": viewer_of(calculation, last, request.user),
        "tables": tables_of(calculation, last),
    }


def inputs(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    software = software_of(calculation)
    run = chosen_run(request, calculation)
    index = run.index if run else 0
    source = calculation.copied_from
    files = []
    if software is not None:
        against = None
        if source is not None and source.software == calculation.software:
            against = prepared(software, source.parameters, source.sweep, index)
        files = _input_files(software, calculation, run, against)
    return {
        "run": run,
        "chips": run_chips(request, calculation, run),
        "files": files,
        "source": source,
        "differences": overviews.differences(calculation, source) if source else [],
        "parameters": _parameters(calculation),
        "staged": list(calculation.input_files.all()),
        "has_structure": calculation.structure is not None,
        "structure_url": f"{reverse('calculation-geometry', args=[calculation.pk])}"
        f"?of=start&run={index + 1}",
    }


def _input_files(
    software: Software, calculation: Calculation, run: Run | None, against: dict[str, str] | None
) -> list[PreviewFile]:
    """Of a run as it was made; of a draft as it would be."""
    if run is None:
        return input_files(software, calculation.parameters, calculation.sweep, against=against)
    before = run.predecessor
    if before is None:
        before = calculation.runs.filter(index__lt=run.index).order_by("-index").first()
    return files_of_run(software, run, before, against)


def _parameters(calculation: Calculation) -> list[dict[str, Any]]:
    software = software_of(calculation)
    if software is None:
        return [{"label": n, "value": shown(v)} for n, v in calculation.parameters.items()]
    swept = varied(calculation)
    return [
        {
            "label": p.label,
            "value": _worded(p, calculation.parameters.get(p.name)),
            "unit": p.unit,
            "long": p.lines > 1,
            "shown": index == 0
            or p.name in swept
            or calculation.parameters.get(p.name) != p.default,
            "group": p.group if p.group != p.label else "",
            "swept": p.name in swept,
            "keyword": p.keyword,
        }
        for index, p in enumerate(software.parameters)
    ]


def log(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    run = chosen_run(request, calculation)
    return {"run": run, "chips": run_chips(request, calculation, run)}


def timeline(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    newest = calculation.events.select_related("run").order_by("-id")[: MOST_LINES + 1]
    events = list(newest)[::-1]
    return {"events": events[-MOST_LINES:], "cut": len(events) > MOST_LINES}


def files(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    return {
        "staged": list(calculation.input_files.all()),
        "left": list(overviews.output_files(calculation)[:MOST_LINES]),
        "most": MOST_LINES,
    }


def use(request: HttpRequest, calculation: Calculation) -> dict[str, Any]:
    attempts = [used_of(calculation, one) for one in overviews.attempts(calculation)]
    elapsed = sum(one.elapsed_s or 0 for one in attempts)
    cpu = sum(one.cpu_s or 0 for one in attempts)
    run = chosen_run(request, calculation)
    return {
        "run": run,
        "chips": run_chips(request, calculation, run),
        "attempts": attempts[:MOST_LINES],
        "more": max(0, len(attempts) - MOST_LINES),
        "core_hours": elapsed * calculation.cores / 3600,
        "gpu_hours": elapsed * calculation.gpus / 3600,
        "elapsed": elapsed,
        "cpu": cpu,
        "efficiency": 100 * cpu / (elapsed * calculation.cores) if elapsed else None,
        "memory": max((one.memory_mib or 0 for one in attempts), default=0),
        "by_scheduler": any(one.job for one in attempts[:MOST_LINES]),
    }
