"""The opening of a report: title, state with its evidence, main result, who, with what, where."""

from __future__ import annotations

from calculations.report.blocks import Block, Facts, Text, Title, long_text
from calculations.report.document import Axis, Quantity, Report, Sweep, Trust
from calculations.states import RunState
from calculations.wording import result_words, with_error
from labportal.common.templatetags.labportal import duration, exact, number

FEW_VALUES = 8
MOST_DESCRIPTION_LINES = 40
SINGLE = 1
MOST_RULES = 12


def story(report: Report) -> list[Block]:
    subject = report.calculation
    under = f"{subject.number} · {report.software.label} · {subject.project}"
    state = f"{subject.state_label} since {exact(subject.state_since)}"
    blocks: list[Block] = [Title(subject.name, under, subject.state, state)]
    if subject.reason:
        blocks.append(Text(subject.reason, "note"))
    if report.trust.warning:
        blocks.append(Text(report.trust.warning, "warning"))
    if report.main is not None:
        blocks.append(Text(main_words(report, report.main), "main"))
        rows = report.runs.rows
        valid = sum(row.state == RunState.VALID for row in rows)
        if valid < len(rows):
            blocks.append(Text(f"From the {valid} valid runs of {len(rows)} alone.", "note"))
    if subject.description:
        blocks += _description(subject.description)
    return [*blocks, Facts(_facts(report))]


def main_words(report: Report, main: Quantity) -> str:
    """The main result, with its standard error where an analysis found one."""
    words = result_words(main.value, main.unit)
    for analysis in report.analyses:
        by_name = {q.name: q for q in analysis.quantities}
        for q in analysis.quantities:
            error = by_name.get(f"{q.name}_error")
            same = (q.label, q.value, q.unit) == (main.label, main.value, main.unit)
            if same and error is not None and error.unit == q.unit:
                words = " ± ".join(with_error(float(q.value), float(error.value)))
    return f"{main.label}: {words} {main.unit}".rstrip()


def _description(words: str) -> list[Block]:
    lines = words.splitlines()
    if len(lines) > MOST_DESCRIPTION_LINES:
        return long_text(words, MOST_DESCRIPTION_LINES)
    return [Text(line) for line in lines]


def _facts(report: Report) -> list[tuple[str, str | list[str]]]:
    subject, used = report.calculation, report.resources
    rows: list[tuple[str, str | list[str]]] = [
        *([("Trust", _trust(report.trust))] if report.trust.label or report.trust.reason else []),
        ("People", "; ".join(f"{p.part} by {p.name}" for p in report.people[:20])),
        ("Software", _software(report)),
        ("Where", _where(report)),
    ]
    if report.sweep:
        rows.append(("Varied", sweep_words(report.sweep)))
    if used.attempts:
        rows.append(("Used", _used(report)))
    times = [("made", subject.created_at), ("submitted", subject.submitted_at)]
    times.append(("ended", subject.finished_at))
    rows.append(("When", [f"{word} {exact(at)}" for word, at in times if at]))
    if subject.evidence:
        rows.append(("Evidence", subject.evidence[:10]))
    if subject.copied_from:
        rows.append(("Copied from", subject.copied_from))
    rows.append(("Address", subject.url))
    return rows


def _trust(trust: Trust) -> list[str]:
    """Validated by Max B. since …: agrees with the paper; then the rules of the check."""
    words = "Not checked"
    if trust.since:
        words = f"{trust.label} by {trust.by} since {exact(trust.since)}"
    head = f"{words}: {trust.reason}" if trust.reason else words
    rules = [line.removeprefix("holds: ") for line in trust.rules[:MOST_RULES]]
    return [head, *([trust.doubt.capitalize()] if trust.doubt else []), *rules]


def _software(report: Report) -> list[str]:
    software = report.software
    label = software.label
    lines = [
        f"{'' if label.lower() in p.version.lower() else f'{label} '}{p.version}, "
        f"as {p.source} says"
        for p in software.programs[:5]
    ]
    plugin = f"{software.label} plug-in, version {software.plugin_version}"
    return [*lines, f"{plugin}: {software.description}" if software.description else plugin]


def _where(report: Report) -> str:
    used = report.resources
    cores = f"{used.cores} core{'' if used.cores == SINGLE else 's'}"
    limits = f"{cores}, {number(used.memory_mib)} MiB, at most {duration(used.walltime_s)} a run"
    more = "".join(f"; {label.lower()} {words}" for label, words in used.further)
    return f"{', '.join(used.clusters[:10]) or 'no cluster yet'}; {limits}{more}"


def _used(report: Report) -> str:
    used = report.resources
    attempts = f"{used.attempts} attempt{'' if used.attempts == SINGLE else 's'}"
    memory = f", at most {number(used.max_rss_mib, 3)} MiB" if used.max_rss_mib else ""
    gpus = f", {number(used.gpu_hours, 3)} GPU-hours" if used.gpu_hours else ""
    return (
        f"{duration(used.elapsed_s)} elapsed, {duration(used.cpu_s)} CPU{memory}, in {attempts}; "
        f"{number(used.core_hours, 3)} of {number(used.core_hours_limit, 3)} core-hours{gpus}"
    )


def sweep_words(sweep: Sweep) -> str:
    """Electric field, z: 0, 0.005, 0.01 a.u., a chain that carries density_matrix.npy."""
    spans = "; ".join(map(_axis_words, sweep.axes))
    counts = " × ".join(str(len(axis.values)) for axis in sweep.axes)
    if sweep.mode != "chain" or sweep.along is None:
        return f"{spans}; {counts} runs, independent of each other"
    carried = f" that carries {', '.join(sweep.carry)}" if sweep.carry else ""
    if len(sweep.axes) == SINGLE:
        backward = ", backward" if sweep.direction == "backward" else ""
        return f"{spans}; {counts} runs, a chain{backward}{carried}"
    along = sweep.axes[sweep.along].label.lower()
    return f"{spans}; {counts} runs, chains along {along} ({sweep.direction}){carried}"


def _axis_words(axis: Axis) -> str:
    words = axis.words
    if len(words) > FEW_VALUES:
        words = [*words[:3], "…", words[-1]]
    label = f"{axis.label} {axis.note}".rstrip()
    return f"{label}: {', '.join(words)} {axis.unit}".rstrip()
