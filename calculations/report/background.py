"""What stands behind the results: parameters, verdicts, timeline, files, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from calculations.report.blocks import (
    WIDTH,
    Block,
    Cell,
    Facts,
    Grid,
    Heading,
    Text,
    clean,
    left_out,
    long_text,
    one_line,
    titled,
)
from calculations.report.document import Analysis, Parameter, Report, RunRow, Step
from calculations.states import RunState
from labportal.common.templatetags.components import event_words
from labportal.common.templatetags.labportal import duration, exact, file_size, number

MOST_STEPS = 40
MOST_FILES = 40
MOST_VERDICTS = 30
MOST_PARAMETERS = 200
FEW_DEFAULTS = 12  # parameters as by default that stand in the table among the others
MOST_LINES = 60
MOST_EVIDENCE = 6
BETWEEN = ("assign", "release")  # steps between the queue and the start
LONG = 80  # characters of a parameter's value, beyond which it stands below the table


def story(report: Report) -> list[Block]:
    return [
        *_parameters(report.parameters),
        *_verdicts(report),
        *_timeline(report),
        *_files(report),
        *_deleted(report),
        *_provenance(report),
    ]


def _parameters(parameters: Sequence[Parameter]) -> list[Block]:
    """What was chosen as a table; where much is as by default, that is told group by group."""
    known = [p for p in parameters if p.changed or p.swept or _is_set(p)]
    if not known:
        return []
    usual = [p for p in known if not (p.changed or p.swept)]
    if len(usual) <= FEW_DEFAULTS:
        usual = []
    chosen = [p for p in known if p not in usual]
    blocks: list[Block] = [Heading("Parameters")]
    if chosen:
        blocks.append(_chosen(chosen[:MOST_PARAMETERS]))
    blocks += left_out(len(chosen) - MOST_PARAMETERS, "parameters")
    if usual:
        blocks += [Heading("As by default", 2, room=60), Facts(_groups(usual))]
    if unset := len(parameters) - len(known):
        verb = "is" if unset == 1 else "are"
        words = f"{unset} more {verb} not set, which is the default."
        blocks.append(Text(words, "note"))
    for p in [p for p in known if _is_long(p)][:10]:
        title = Heading(titled(p.label, p.unit), 2, room=90)
        blocks += [title, *long_text(p.value, MOST_LINES)]
    return blocks


def _chosen(parameters: Sequence[Parameter]) -> Grid:
    rows = [
        (
            Cell(p.label, "strong" if p.changed or p.swept else "cell"),
            "below" if _is_long(p) else "varied" if p.swept else p.words,
            Cell(p.unit, "muted"),
            Cell(_changed_from(p) if p.changed and not p.swept else "", "muted"),
        )
        for p in parameters
    ]
    widths = [WIDTH * part for part in (0.34, 0.3, 0.1, 0.26)]
    heads = [("Parameter", ""), ("Value", ""), ("Unit", ""), ("Changed from", "")]
    return Grid("Parameters", heads, rows, widths)


def _groups(parameters: Sequence[Parameter]) -> list[tuple[str, str | list[str]]]:
    """Basis and functional: Basis DZP; Mesh cutoff 200 Ry."""
    found: dict[str, list[str]] = {}
    for p in parameters:
        value = "below" if _is_long(p) else f"{p.words} {p.unit}".rstrip()
        found.setdefault(p.group or "Others", []).append(f"{p.label} {value}")
    return [(group, "; ".join(words)) for group, words in found.items()]


def _is_set(parameter: Parameter) -> bool:
    return parameter.value not in (None, "", [])


def _is_long(parameter: Parameter) -> bool:
    value = parameter.value
    return isinstance(value, str) and ("\n" in value or len(value) > LONG)


def _changed_from(parameter: Parameter) -> str:
    words = parameter.default_words
    return "the default" if len(words) > LONG or "\n" in words else words


def _verdicts(report: Report) -> list[Block]:
    """Why each run is what it is; runs that are not valid stand first."""
    judged = [row for row in report.runs.rows if row.code or row.reason]
    if not judged:
        return []
    judged.sort(key=lambda row: row.state == RunState.VALID)
    rows = [_verdict(row) for row in judged[:MOST_VERDICTS]]
    widths = [WIDTH * part for part in (0.2, 0.13, 0.43, 0.1, 0.14)]
    heads = [("Run", ""), ("State", ""), ("Evidence", ""), ("Elapsed", ""), ("Memory", "MiB")]
    return [
        Heading("Verdicts"),
        Grid("Verdicts", heads, rows, widths, numeric=[3, 4]),
        *left_out(len(judged) - MOST_VERDICTS, "runs"),
    ]


def _verdict(row: RunRow) -> tuple[str | Cell, ...]:
    lines = [one_line(line, 300) for line in row.evidence[:MOST_EVIDENCE] if line != row.reason]
    said = "\n".join(filter(None, (row.reason, row.tries, "; ".join(lines))))
    name = f"{row.index + 1}: {row.label}" if row.label else f"{row.index + 1}"
    if row.attempt > 1:
        name = f"{name}, attempt {row.attempt}"
    return (
        name,
        row.state_label,
        said,
        duration(row.elapsed_s),
        number(row.max_rss_mib, 3),
    )


def _timeline(report: Report) -> list[Block]:
    """What happened to the whole stands in any case; of the runs, as much as there is room for."""
    steps = list(enumerate(report.timeline))
    told = [item for item in steps if item[1].verb not in BETWEEN]
    chosen = sorted(told, key=lambda item: item[1].run_index is not None)[:MOST_STEPS]
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
        Heading("Timeline"),
        Grid("Timeline", heads, rows, widths),
        *left_out(len(steps) - len(rows), "changes"),
    ]


def _step(step: Step) -> tuple[str | Cell, ...]:
    subject = "" if step.run_index is None else f"Run {step.run_index + 1}: "
    what = f"{subject}{event_words(step.verb)}"
    if step.attempt and step.attempt > 1:
        what = f"{what}, attempt {step.attempt}"
    told = [step.note, *(() if step.verb.startswith("finish_") else step.evidence[:MOST_EVIDENCE])]
    why = "\n".join(one_line(line, 240) for line in told if line)
    at = timezone.localtime(step.at)
    return f"{at:%Y-%m-%d %H:%M:%S}", what, one_line(step.actor, 60), why


def _files(report: Report) -> list[Block]:
    if not report.files:
        return []
    rows = [
        (
            clean(file.name, 200),
            "supplied" if file.run_index is None else f"run {file.run_index + 1}",
            file_size(file.size),
            Cell(file.sha256, "mono"),
        )
        for file in report.files[:MOST_FILES]
    ]
    widths = [WIDTH * part for part in (0.21, 0.1, 0.1, 0.59)]
    heads = [("File", ""), ("Of", ""), ("Size", ""), ("SHA-256", "")]
    return [
        Heading("Files"),
        Grid("Files", heads, rows, widths, numeric=[2]),
        *left_out(len(report.files) - MOST_FILES, "files"),
    ]


def _deleted(report: Report) -> list[Block]:
    """What is gone from the clusters, by which it could be recognised."""
    if not report.deleted:
        return []
    rows = [
        (clean(str(f["name"]), 200), f"run {d.run_index + 1}", file_size(f["size"]), _digest(f))
        for d in report.deleted
        for f in d.files
    ]
    count, size = sum(d.count for d in report.deleted), sum(d.size for d in report.deleted)
    last = max(d.at for d in report.deleted)
    words = f"Deleted on {', '.join(sorted({d.cluster for d in report.deleted}))}"
    note = f"{words} until {exact(last)}: {file_size(size)} in {count} files. The checksums remain."
    widths = [WIDTH * part for part in (0.21, 0.1, 0.1, 0.59)]
    heads = [("File", ""), ("Of", ""), ("Size", ""), ("SHA-256", "")]
    return [
        Heading("Deleted raw files"),
        Text(note, "note"),
        Grid("Deleted raw files", heads, rows[:MOST_FILES], widths, numeric=[2]),
        *left_out(count - min(len(rows), MOST_FILES), "files"),
    ]


def _digest(file: Mapping[str, Any]) -> Cell:
    return Cell(str(file.get("sha256") or "not known"), "mono")


def _provenance(report: Report) -> list[Block]:
    known = report.provenance
    rows: list[tuple[str, str | list[str]]] = [
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
        Heading("Provenance"),
        Facts(rows),
        Text(note, "note"),
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
