"""Reads a calculation's report from the database, in a fixed number of queries.

The caller has passed `visible_to`. A draft has no report. It changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.urls import reverse

from calculations.charts import charts_of
from calculations.models import Attempt, Calculation, Event, OutputFile, Run
from calculations.report import document as d
from calculations.services.sweeps import Axis, axes_of, varied
from calculations.software.base import Software
from calculations.states import CalculationState, RunState
from calculations.wording import (
    further_resources,
    point_words,
    software_of,
    tries_words,
    value_words,
)
from labportal.common.clock import now
from labportal.common.errors import WrongMoment

# Up to so many runs the report holds the datasets of each; beyond, they are left to their CSV.
MOST_RUNS_WITH_DATA = 20
CHECKS = ("check", "check_fails", "validate")
APPROVALS = {
    "approve": "approved",
    "send_back": "sent back",
    "validate": "validated",
    "retract": "retracted",
    "restore": "restored",
}
# A quantity of this name says which version of the program wrote the results.
PROGRAM_VERSION = "program_version"


def gather(calculation: Calculation) -> d.Report:
    """Raises WrongMoment for a draft."""
    if calculation.state == CalculationState.DRAFT:
        raise WrongMoment(
            f"{calculation.number} is a draft: there is a report once it has been submitted."
        )
    software = software_of(calculation)
    runs = list(calculation.runs.select_related("cluster").order_by("index"))
    attempts = list(_attempts(calculation))
    events = list(calculation.events.select_related("actor"))
    quantities = list(calculation.quantities.select_related("analysis").order_by("id"))
    index = {run.pk: run.index for run in runs}
    notes: list[str] = []
    return d.Report(
        calculation=_subject(calculation, events),
        main=_main(calculation),
        people=_people(calculation, events),
        software=_software(calculation, software, runs, quantities),
        resources=_resources(calculation, runs, attempts),
        parameters=_parameters(calculation, software),
        sweep=_sweep(calculation),
        runs=_runs(calculation, software, runs, attempts, quantities),
        analyses=_analyses(calculation, software, quantities, index),
        datasets=_datasets(calculation, index, notes),
        figures=charts_of(calculation),
        timeline=[_step(event, index) for event in events],
        files=_files(calculation, index),
        trust=_trust(calculation, events),
        deleted=_deleted(calculation, index),
        provenance=d.Provenance(_request_sha256(calculation), settings.VERSION, now()),
        notes=notes,
    )


def _attempts(calculation: Calculation) -> Iterable[Attempt]:
    rows = Attempt.objects.filter(run__calculation=calculation).select_related("cluster")
    return rows.order_by("run__index", "number")


def _subject(c: Calculation, events: Sequence[Event]) -> d.Subject:
    own = [event for event in events if event.run_id is None and event.target == c.state]
    evidence = [str(line) for line in own[-1].evidence] if own else []
    return d.Subject(
        id=c.pk,
        number=c.number,
        name=c.name,
        description=c.description,
        project=c.project.name,
        url=f"{settings.PUBLIC_URL}{c.get_absolute_url()}",
        state=c.state,
        state_label=c.get_state_display(),
        state_since=c.state_since,
        reason=c.reason,
        evidence=evidence,
        copied_from=f"C-{c.copied_from_id}" if c.copied_from_id else None,
        created_at=c.created_at,
        submitted_at=c.submitted_at,
        finished_at=c.finished_at,
    )


def _main(c: Calculation) -> d.Quantity | None:
    if c.main_value is None:
        return None
    return d.Quantity("main", c.main_label, c.main_value, c.main_unit)


def _people(calculation: Calculation, events: Iterable[Event]) -> list[d.Person]:
    people = [d.Person(calculation.created_by.display_name, "made")]
    for event in events:
        if event.verb in APPROVALS and event.actor is not None:
            part = APPROVALS[event.verb]
            people.append(d.Person(event.actor_label, part))
    return list(dict.fromkeys(people))


def _software(
    calculation: Calculation, software: Software | None, runs: Sequence[Run], quantities: Any
) -> d.Software:
    told = [q.text for q in quantities if q.name == PROGRAM_VERSION and q.text]
    programs = [d.Program(version, "its output") for version in dict.fromkeys(told)]
    for cluster in {run.cluster_id: run.cluster for run in runs if run.cluster}.values():
        offered = cluster.software.get(calculation.software) or {}
        if offered.get("version") and not programs:
            programs.append(d.Program(str(offered["version"]), f"the cluster {cluster.name}"))
    return d.Software(
        name=calculation.software,
        label=software.label if software else calculation.software,
        description=software.description if software else "its plug-in is not installed any more",
        plugin_version=calculation.software_version,
        programs=programs,
    )


def _resources(c: Calculation, runs: Sequence[Run], attempts: Sequence[Attempt]) -> d.Resources:
    named = [row.cluster.name for row in (*attempts, *runs) if row.cluster]
    asked = [c.cluster.name] if c.cluster else []
    elapsed = sum(a.elapsed_s or 0.0 for a in attempts)
    return d.Resources(
        clusters=list(dict.fromkeys(named)) or asked,
        cores=c.cores,
        memory_mib=c.memory_mib,
        walltime_s=c.walltime_s,
        further=further_resources(c),
        attempts=len(attempts),
        elapsed_s=elapsed,
        cpu_s=sum(a.cpu_s or 0.0 for a in attempts),
        core_hours=elapsed * c.cores / 3600,
        core_hours_limit=c.core_hours_limit,
        gpu_hours=elapsed * c.gpus / 3600,
        max_rss_mib=max((a.max_rss_mib for a in attempts if a.max_rss_mib), default=None),
    )


def _parameters(calculation: Calculation, software: Software | None) -> list[d.Parameter]:
    values = calculation.parameters
    swept = varied(calculation)
    known = {parameter.name: parameter for parameter in software.parameters} if software else {}
    found = [
        d.Parameter(
            name=p.name,
            label=p.label,
            value=values.get(p.name),
            words=value_words(values.get(p.name), choices=p.choices),
            unit=p.unit,
            default=p.default,
            default_words=value_words(p.default, choices=p.choices),
            changed=values.get(p.name) != p.default,
            swept=p.name in swept,
            group=p.group,
        )
        for p in known.values()
    ]
    return found + [
        d.Parameter(str(n), str(n), v, value_words(v), "", None, "", True, n in swept, "")
        for n, v in values.items()
        if n not in known
    ]


def _sweep(calculation: Calculation) -> d.Sweep | None:
    sweep = calculation.sweep
    if not sweep:
        return None
    axes = [
        d.Axis(
            name=axis.name,
            label=axis.label,
            note=axis.note,
            unit=axis.unit,
            values=list(axis.values),
            words=[value_words(value, choices=axis.choices) for value in axis.values],
        )
        for axis in axes_of(calculation)
    ]
    return d.Sweep(
        axes=axes,
        mode=str(sweep.get("mode", "independent")),
        along=sweep.get("along"),
        direction=str(sweep.get("direction", "")),
        carry=[str(pattern) for pattern in sweep.get("carry", ())],
    )


def _runs(
    calculation: Calculation,
    software: Software | None,
    runs: Sequence[Run],
    attempts: Iterable[Attempt],
    quantities: Any,
) -> d.Runs:
    last = {attempt.run_id: attempt for attempt in attempts}
    heads: dict[tuple[str, str], d.Head] = {}
    values: dict[Any, dict[tuple[str, str], Any]] = {}
    for q in quantities:
        if q.run_id is not None and q.name != PROGRAM_VERSION:
            heads.setdefault((q.name, q.unit), d.Head(q.name, q.label, q.unit))
            values.setdefault(q.run_id, {})[q.name, q.unit] = q.value
    main = software.main_result if software else ""
    order = sorted(heads, key=lambda key: key[0] != main)
    axes = axes_of(calculation)
    rows = []
    for run in runs:
        found = values.get(run.pk, {}) if run.state == RunState.VALID else {}
        own = [found.get(key) for key in order]
        rows.append(_run_row(run, axes, last.get(run.pk), own))
    return d.Runs([heads[key] for key in order], rows)


def _run_row(
    run: Run, axes: Sequence[Axis], attempt: Attempt | None, values: list[Any]
) -> d.RunRow:
    pairs = list(zip(axes, run.point, strict=False))
    return d.RunRow(
        id=str(run.pk),
        index=run.index,
        label=point_words(axes, run.point),
        point=[value_words(value, choices=axis.choices) for axis, value in pairs],
        parameters=run.parameters,
        state=run.state,
        state_label=run.get_state_display(),
        reason=run.reason,
        cluster=run.cluster.name if run.cluster else None,
        attempt=run.attempt,
        code=attempt.code if attempt else "",
        evidence=[str(line) for line in attempt.evidence] if attempt else [],
        started_at=run.started_at,
        finished_at=run.finished_at,
        elapsed_s=attempt.elapsed_s if attempt else None,
        cpu_s=attempt.cpu_s if attempt else None,
        max_rss_mib=attempt.max_rss_mib if attempt else None,
        tries=tries_words(run.calculation, run),
        values=values,
    )


def _analyses(
    calculation: Calculation, software: Software | None, quantities: Any, index: dict[Any, int]
) -> list[d.Analysis]:
    records: dict[str, list[d.AnalysisRecord]] = {}
    for row in calculation.analysis_results.order_by("run__index", "id"):
        run_index = index.get(row.run_id) if row.run_id else None
        record = d.AnalysisRecord(run_index, row.version, row.input_sha256, row.created_at)
        records.setdefault(row.name, []).append(record)
    known = {analysis.name: analysis for analysis in software.analyses} if software else {}
    found = []
    for name in dict.fromkeys((*calculation.analyses, *records)):
        analysis = known.get(name)
        own = [q for q in quantities if q.run_id is None and q.analysis and q.analysis.name == name]
        found.append(
            d.Analysis(
                name=name,
                label=analysis.label if analysis else name,
                help=analysis.help if analysis else "",
                scope=analysis.scope if analysis else "",
                quantities=[d.Quantity(q.name, q.label, q.value, q.unit) for q in own],
                records=records.get(name, []),
            )
        )
    return found


def _datasets(calculation: Calculation, index: dict[Any, int], notes: list[str]) -> list[d.Data]:
    rows = calculation.datasets.select_related("analysis").order_by("run__index", "id")
    if len(index) > MOST_RUNS_WITH_DATA:
        rows = rows.filter(run=None)
        notes.append(
            f"The datasets of the {len(index)} runs are left out here; "
            "each run's are in the API under /api/v1/runs/."
        )
    return [
        d.Data(
            id=row.pk,
            name=row.name,
            label=row.label,
            kind=row.kind,
            run_index=index.get(row.run_id) if row.run_id else None,
            analysis=row.analysis.name if row.analysis else "",
            csv=reverse("api-dataset-csv", args=[row.pk]),
            columns=row.columns,
        )
        for row in rows
    ]


def _step(event: Event, index: dict[Any, int]) -> d.Step:
    return d.Step(
        at=event.at,
        verb=event.verb,
        source=event.source,
        target=event.target,
        run_index=index.get(event.run_id) if event.run_id else None,
        attempt=event.attempt,
        actor=event.actor_label,
        note=event.note,
        evidence=[str(line) for line in event.evidence],
    )


def _files(calculation: Calculation, index: dict[Any, int]) -> list[d.File]:
    given = calculation.input_files.order_by("name")
    left = OutputFile.objects.filter(Q(run__calculation=calculation))
    left = left.order_by("run__index", "attempt", "name")
    return [d.File(f.name, f.size, f.sha256, None, None) for f in given] + [
        d.File(f.name, f.size, f.sha256, index.get(f.run_id), f.attempt) for f in left
    ]


def _trust(c: Calculation, events: Sequence[Event]) -> d.Trust:
    seen = [event for event in events if event.verb in CHECKS and event.evidence]
    valid = c.state == CalculationState.VALID
    person = c.standing_by.display_name if c.standing_by else ""
    return d.Trust(
        standing=c.standing if valid else "",
        label=str(c.get_standing_display()) if valid else "",
        since=c.standing_at if valid and c.standing else None,
        by=person or ("rule" if valid and c.standing else ""),
        reason=c.standing_reason if valid else "",
        doubt=c.doubt,
        rules=[str(line) for line in seen[-1].evidence] if seen and valid else [],
    )


def _deleted(calculation: Calculation, index: dict[Any, int]) -> list[d.Deleted]:
    """Raw files that are gone, as the clusters told; `purges` belongs to the app of clusters."""
    runs = calculation.runs.filter(purges__done_at__isnull=False).order_by("index").distinct()
    return [
        d.Deleted(
            index[run.pk],
            purge.cluster.name,
            purge.done_at,
            purge.file_bytes,
            purge.file_count,
            purge.files,
        )
        for run in runs.prefetch_related("purges__cluster")
        for purge in run.purges.all()
        if purge.done_at is not None
    ]


def _request_sha256(calculation: Calculation) -> str:
    request = {
        "software": calculation.software,
        "software_version": calculation.software_version,
        "parameters": calculation.parameters,
        "sweep": calculation.sweep,
        "analyses": calculation.analyses,
        "files": {f.name: f.sha256 for f in calculation.input_files.all()},
    }
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
