"""What stands behind the results in the PDF: parameters, verdicts, timeline, files, provenance.

Imported inside functions alone, since it loads reportlab.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone
from reportlab.platypus import CondPageBreak, Flowable, Spacer

from calculations.report.blocks import (
    WIDTH,
    clean,
    facts,
    heading,
    left_out,
    long_text,
    table,
    text,
)
from calculations.report.document import Analysis, Parameter, Report, RunRow, Step
from calculations.states import RunState
from calculations.wording import value_words
from labportal.common.templatetags.components import event_words
from labportal.common.templatetags.labportal import duration, exact, file_size, number

MOST_STEPS = 40
MOST_FILES = 40
MOST_VERDICTS = 30
MOST_PARAMETERS = 200
MOST_LINES = 60
MOST_EVIDENCE = 6
LONG = 80  # characters of a parameter's value, beyond which it stands below the table


def story(report: Report) -> list[Flowable]:
    return [
        *_parameters(report.parameters),
        *_verdicts(report),
        *_timeline(report),
        *_files(report),
        *_provenance(report),
    ]


def _parameters(parameters: Sequence[Parameter]) -> list[Flowable]:
    if not parameters:
        return []
    long = [
        p
        for p in parameters
        if isinstance(p.value, str) and ("\n" in p.value or len(p.value) > LONG)
    ]
    rows = [
        (
            text(p.label, "strong" if p.changed or p.swept else "cell"),
            "below" if p in long else "varied" if p.swept else p.words,
            text(p.unit, "muted"),
            "changed" if p.changed and not p.swept else "",
            text(value_words(p.default) if p.changed and p not in long else "", "muted"),
        )
        for p in parameters[:MOST_PARAMETERS]
    ]
    widths = [WIDTH * part for part in (0.34, 0.28, 0.1, 0.1, 0.18)]
    heads = [("Parameter", ""), ("Value", ""), ("Unit", ""), ("", ""), ("Default", "")]
    flow = [CondPageBreak(120), heading("Parameters"), table(heads, rows, widths)]
    flow += left_out(len(parameters) - MOST_PARAMETERS, "parameters")
    for p in long[:10]:
        label = f"{p.label} / {p.unit}" if p.unit else p.label
        flow += [heading(label, 2), *long_text(p.value, MOST_LINES)]
    return flow


def _verdicts(report: Report) -> list[Flowable]:
    """Why each run is what it is; runs that are not valid stand first."""
    judged = [row for row in report.runs.rows if row.code or row.reason]
    if not judged:
        return []
    judged.sort(key=lambda row: row.state == RunState.VALID)
    rows = [_verdict(row) for row in judged[:MOST_VERDICTS]]
    widths = [WIDTH * part for part in (0.2, 0.13, 0.43, 0.1, 0.14)]
    heads = [("Run", ""), ("State", ""), ("Evidence", ""), ("Elapsed", ""), ("Memory", "MiB")]
    return [
        CondPageBreak(110),
        heading("Verdicts"),
        table(heads, rows, widths, numeric=[3, 4]),
        *left_out(len(judged) - MOST_VERDICTS, "runs"),
    ]


def _verdict(row: RunRow) -> tuple[object, ...]:
    lines = [row.reason, *row.evidence[:MOST_EVIDENCE]]
    said = "\n".join(clean(line, 300) for line in dict.fromkeys(lines) if line)
    name = f"{row.index + 1}: {row.label}" if row.label else f"{row.index + 1}"
    if row.attempt > 1:
        name = f"{name}, attempt {row.attempt}"
    return (
        text(name, "cell"),
        row.state_label,
        said,
        duration(row.elapsed_s),
        number(row.max_rss_mib, 3),
    )


def _timeline(report: Report) -> list[Flowable]:
    """What happened to the whole stands in any case; of the runs, as much as there is room for."""
    steps = list(enumerate(report.timeline))
    chosen = sorted(steps, key=lambda item: item[1].run_index is not None)[:MOST_STEPS]
    rows = [_step(step) for _, step in sorted(chosen, key=lambda item: item[0])]
    if not rows:
        return []
    widths = [WIDTH * part for part in (0.19, 0.25, 0.16, 0.4)]
    heads = [
        (f"When, {timezone.get_current_timezone_name()}", ""),
        ("What", ""),
        ("Who", ""),
        ("Why", ""),
    ]
    return [
        CondPageBreak(110),
        heading("Timeline"),
        table(heads, rows, widths),
        *left_out(len(steps) - len(rows), "changes"),
    ]


def _step(step: Step) -> tuple[object, ...]:
    subject = "" if step.run_index is None else f"Run {step.run_index + 1}: "
    what = f"{subject}{event_words(step.verb)}"
    if step.attempt and step.attempt > 1:
        what = f"{what}, attempt {step.attempt}"
    told = [step.note, *(() if step.verb.startswith("finish_") else step.evidence[:MOST_EVIDENCE])]
    why = "\n".join(clean(line, 240) for line in told if line)
    at = timezone.localtime(step.at)
    return f"{at:%Y-%m-%d %H:%M:%S}", what, clean(step.actor, 60), why


def _files(report: Report) -> list[Flowable]:
    if not report.files:
        return []
    rows = [
        (
            clean(file.name, 200),
            "supplied" if file.run_index is None else f"run {file.run_index + 1}",
            file_size(file.size),
            text(file.sha256, "mono"),
        )
        for file in report.files[:MOST_FILES]
    ]
    widths = [WIDTH * part for part in (0.25, 0.11, 0.1, 0.54)]
    heads = [("File", ""), ("Of", ""), ("Size", ""), ("SHA-256", "")]
    return [
        CondPageBreak(100),
        heading("Files"),
        table(heads, rows, widths, numeric=[2]),
        *left_out(len(report.files) - MOST_FILES, "files"),
    ]


def _provenance(report: Report) -> list[Flowable]:
    known = report.provenance
    rows: list[tuple[str, object]] = [
        ("Request, SHA-256", known.request_sha256),
        *((f"Analysis: {a.label}", _executions(a)) for a in report.analyses if a.records),
        ("Portal", f"Labportal {known.portal_version}"),
        ("Made at", exact(known.generated_at)),
    ]
    note = (
        "The request is the software, its plug-in's version, parameters, sweep, analyses and the "
        "digests of supplied files, as canonical JSON. An analysis takes in what the runs gave."
    )
    return [
        CondPageBreak(110),
        heading("Provenance"),
        facts(rows),
        Spacer(0, 3),
        text(note, "note"),
    ]


def _executions(analysis: Analysis) -> list[str]:
    records = analysis.records
    versions = ", ".join(str(v) for v in sorted({record.version for record in records}))
    if analysis.scope == "calculation":
        digest = records[-1].input_sha256
        return [
            f"version {versions}, over all valid runs",
            *([f"input {digest}"] if digest else []),
        ]
    runs = "" if len(records) == 1 else f", for each of {len(records)} runs"
    digest = records[0].input_sha256 if len(records) == 1 else ""
    return [
        f"version {versions}, beside the program{runs}",
        *([f"input {digest}"] if digest else []),
    ]
