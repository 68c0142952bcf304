"""Results into the database: what runs found, and the analyses that look at all runs of a
calculation.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from calculations.models import AnalysisResult, Calculation, Dataset, OutputFile, Run
from calculations.models import Quantity as StoredQuantity
from calculations.services.reports import FinishReport
from calculations.services.sweeps import swept_values
from calculations.software import results as software_results
from calculations.software.analysis import AXES
from calculations.software.base import Analysis
from calculations.software.canonical import MAX_LABEL, MAX_NAME, MAX_UNIT, stored_value, text
from calculations.software.execution import Executed, execute_across
from calculations.software.graph import order_analyses
from calculations.software.registry import get_software
from calculations.software.results import Results
from calculations.states import RunState
from labportal.realtime.events import publish

log = logging.getLogger(__name__)


def file_key(run_id: Any, attempt: int, name: str) -> str:
    """Where a run's file stands in the storage; the upload and the record agree on it."""
    return f"runs/{run_id}/{attempt}/{name}"


def store_run_results(pairs: Sequence[tuple[Run, FinishReport]]) -> None:
    """Replace the runs' results by what their reports hold, in a constant number of statements."""
    again = [run.pk for run, _ in pairs if run.attempt > 1]
    for model in (StoredQuantity, Dataset, AnalysisResult) if again else ():
        model.objects.filter(run__in=again).delete()
    quantities: list[StoredQuantity] = []
    datasets: list[Dataset] = []
    files: list[OutputFile] = []
    analyses = [
        (
            AnalysisResult(
                run=run,
                calculation_id=run.calculation_id,
                name=a.name,
                version=a.version,
                input_sha256=a.input_sha256,
                status=a.status,
                problem=a.problem,
            ),
            a.results,
        )
        for run, report in pairs
        for a in report.analyses
    ]
    if analyses:
        AnalysisResult.objects.bulk_create(row for row, _ in analyses)
    for run, report in pairs:
        collect(report.results, run.calculation_id, run, None, quantities, datasets)
        files += (
            OutputFile(
                run=run,
                attempt=run.attempt,
                name=f.name,
                size=f.size,
                sha256=f.sha256,
                key=file_key(run.pk, run.attempt, f.name),
            )
            for f in report.files
        )
    for row, found in analyses:
        collect(found, row.calculation_id, row.run, row, quantities, datasets)
    for model, rows in ((StoredQuantity, quantities), (Dataset, datasets), (OutputFile, files)):
        if rows:
            model.objects.bulk_create(rows)


def collect(
    found: Results,
    calculation_id: int,
    run: Run | None,
    analysis: AnalysisResult | None,
    quantities: list[StoredQuantity],
    datasets: list[Dataset],
) -> None:
    """Add the rows for what was found to `quantities` and `datasets`; nothing is stored yet."""
    place = {"calculation_id": calculation_id, "run": run, "analysis": analysis}
    for quantity in found.quantities:
        value = stored_value(quantity.value)
        if value is None:
            continue
        kind = (
            "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        )
        quantities.append(
            StoredQuantity(
                **place,
                name=text(quantity.name, MAX_NAME),
                label=text(quantity.label, MAX_LABEL),
                unit=text(quantity.unit, MAX_UNIT),
                **{kind: value},
            )
        )
    for dataset in found.datasets:
        document = dataset.to_json()
        datasets.append(
            Dataset(
                **place,
                name=text(dataset.name, MAX_NAME),
                label=text(dataset.label, MAX_LABEL),
                kind=dataset.kind,
                columns=document["columns"],
            )
        )


def main_value(run: Run, report: FinishReport) -> float | None:
    """Return the number that stands for the run in lists."""
    found = report.results.quantity(get_software(run.calculation.software).main_result)
    number = stored_value(found.value) if found else None
    return number if isinstance(number, float) else None


def across_runs(calculation: Calculation) -> list[Analysis]:
    """The chosen analyses that look at all runs, in the order in which they must be computed; none
    where there is but one run.
    """
    if not calculation.sweep:
        return []
    software = get_software(calculation.software)
    ordered = order_analyses(software.analyses, calculation.analyses)
    return [analysis for analysis in ordered if analysis.scope == "calculation"]


def with_analyses_across_runs(calculation_ids: Sequence[int]) -> list[int]:
    rows = Calculation.objects.filter(pk__in=calculation_ids).only("software", "analyses", "sweep")
    return [row.pk for row in rows if across_runs(row)]


def analyse(calculation_id: int) -> None:
    """Compute the analyses across the valid runs anew; the same input gives the same rows.

    Computed without a lock and stored only if the valid runs are still the same, else once more:
    of two that run at once, the one that saw fewer runs never comes last.
    """
    calculation = Calculation.objects.get(pk=calculation_id)
    chosen = across_runs(calculation)
    while chosen and not _analyse_once(calculation, chosen):
        log.info("the runs of %s changed meanwhile, its analyses start again", calculation.number)


def _analyse_once(calculation: Calculation, chosen: Sequence[Analysis]) -> bool:
    valid = calculation.runs.filter(state=RunState.VALID).order_by("index")
    runs = list(valid)
    found = load_results(runs)
    pairs = [(parameters_of(run), found[run.pk]) for run in runs]
    about = {"calculation": calculation.pk}
    computed = execute_across(chosen, pairs, troubled=_troubled(chosen, runs), about=about)
    with transaction.atomic():
        Calculation.objects.select_for_update(no_key=True).get(pk=calculation.pk)
        seen = [(run.pk, run.attempt) for run in runs]
        if list(valid.values_list("pk", "attempt")) != seen:
            return False
        _store_analyses(calculation, computed, _digest(pairs))
    return True


def parameters_of(run: Run) -> dict[str, Any]:
    """Return what the run was computed with, and what was varied to come to it."""
    axes = swept_values(run.calculation, run)
    return {**run.full_parameters(), **({AXES: axes} if axes else {})}


def _troubled(chosen: Sequence[Analysis], runs: Sequence[Run]) -> dict[str, str]:
    """Say of each analysis of single runs that `chosen` rest on, and that no run has, why."""
    across = {analysis.name for analysis in chosen}
    needed = {name for analysis in chosen for name in analysis.requires} - across
    if not needed or not runs:
        return {}
    rows = AnalysisResult.objects.filter(run__in=runs, name__in=needed)
    problems: dict[str, str] = {}
    computed = set()
    for name, status, problem in rows.order_by("id").values_list("name", "status", "problem"):
        problems[name] = problem
        if status == AnalysisResult.Status.COMPUTED:
            computed.add(name)
    return {name: problems.get(name, "no run has it") for name in needed - computed}


def _store_analyses(calculation: Calculation, computed: Sequence[Executed], digest: str) -> None:
    calculation.analysis_results.filter(run=None).delete()
    quantities: list[StoredQuantity] = []
    datasets: list[Dataset] = []
    for item in computed:
        row = AnalysisResult.objects.create(
            calculation=calculation,
            name=item.analysis.name,
            version=item.analysis.version,
            input_sha256=digest,
            status=item.status,
            problem=item.problem,
        )
        collect(item.results, calculation.pk, None, row, quantities, datasets)
    StoredQuantity.objects.bulk_create(quantities)
    Dataset.objects.bulk_create(datasets)
    _set_main_result(calculation, quantities)
    publish(f"calculation:{calculation.pk}", "results.changed", {"id": calculation.pk})


def _set_main_result(calculation: Calculation, quantities: Sequence[StoredQuantity]) -> None:
    """A sweep is known by the first number of the last analysis across runs that gives one (the
    polarizability, say, not the quality of its fit).
    """
    firsts = {q.analysis: q for q in reversed(quantities) if q.number is not None}
    if firsts:
        main = next(iter(firsts.values()))
        errors = {(q.name, q.unit): q.number for q in quantities}
        Calculation.objects.filter(pk=calculation.pk).update(
            main_value=main.number,
            main_error=errors.get((f"{main.name}_error", main.unit)),
            main_label=main.label[:60],
            main_unit=main.unit,
        )


def load_results(runs: Iterable[Run], *, extracted: bool = False) -> dict[Any, Results]:
    """Return each run's stored results in the plug-ins' own terms.

    `extracted`: only what was read from its output, without what analyses made of it.
    """
    ids = [run.pk for run in runs]
    wanted = {"run__in": ids, **({"analysis": None} if extracted else {})}
    return _loaded("run_id", ids, wanted)


def load_analyses(rows: Iterable[AnalysisResult]) -> dict[int, Results]:
    """Return what each of these executions found."""
    ids = [row.pk for row in rows]
    return _loaded("analysis_id", ids, {"analysis__in": ids})


def _loaded(key: str, ids: Sequence[Any], wanted: dict[str, Any]) -> dict[Any, Results]:
    quantities: dict[Any, list[software_results.Quantity]] = {pk: [] for pk in ids}
    datasets: dict[Any, list[software_results.Dataset]] = {pk: [] for pk in ids}
    for q in StoredQuantity.objects.filter(**wanted).order_by("id"):
        found = software_results.Quantity(q.name, q.label, q.value, q.unit)
        quantities[getattr(q, key)].append(found)
    for d in Dataset.objects.filter(**wanted).order_by("id"):
        document = {"name": d.name, "label": d.label, "kind": d.kind, "columns": d.columns}
        datasets[getattr(d, key)].append(software_results.Dataset.from_json(document))
    return {pk: Results(tuple(quantities[pk]), tuple(datasets[pk])) for pk in ids}


def _digest(pairs: Sequence[tuple[dict[str, Any], Results]]) -> str:
    document = [[parameters, results.to_json()] for parameters, results in pairs]
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
