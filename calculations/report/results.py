"""The results in a report: analyses, figures, the table of runs, tables that the analyses made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculations.charts import ChartDocument
from calculations.report.blocks import (
    WIDTH,
    Block,
    Cell,
    Figure,
    Figures,
    Grid,
    Heading,
    Text,
    Together,
    left_out,
)
from calculations.report.columns import Column, grids
from calculations.report.document import Analysis, Data, Quantity, Report, RunRow
from calculations.report.figures import visible_bands, visible_levels
from calculations.software.analysis import is_number
from calculations.wording import column_words, result_words, with_error

MOST_FIGURES = 24
MOST_RUNS = 60
MOST_ROWS, FIRST_ROWS = 40, 12  # of a longer table the first alone are shown
MOST_COLUMNS = 30
MOST_TABLES = 12
ERROR = "_error"  # a quantity's standard error has its name and this


def story(report: Report) -> list[Block]:
    blocks: list[Block] = []
    found = [item for analysis in report.analyses for item in _analysis(analysis)]
    if found:
        blocks += [Heading("Results"), *found]
    blocks += _figures(report)
    blocks += _runs(report)
    blocks += _tables(report)
    if not blocks:
        blocks = [Heading("Results"), Text("There are none: no run is valid so far.")]
    return blocks


def _analysis(analysis: Analysis) -> list[Block]:
    if not analysis.quantities:
        return []
    head: list[Block] = [Heading(analysis.label, 2, room=0)]
    if analysis.help:
        head.append(Text(analysis.help, "note"))
    return [Together([*head, quantities(analysis.label, analysis.quantities)])]


def quantities(title: str, found: Sequence[Quantity]) -> Grid:
    """Label, value, unit; a value and its standard error in one row."""
    errors = {q.name: q for q in found if q.name.endswith(ERROR) and is_number(q.value)}
    named = {q.name for q in found if is_number(q.value)}
    rows = []
    for q in found:
        error = errors.get(q.name + ERROR)
        if q.name in errors and q.name.removesuffix(ERROR) in named:
            continue
        if error is not None and error.unit == q.unit and is_number(q.value):
            value, spread = with_error(float(q.value), float(error.value))
            rows.append((q.label, f"{value} ± {spread}", q.unit))
        else:
            rows.append((q.label, result_words(q.value, q.unit), q.unit))
    return Grid(
        title,
        [("Quantity", ""), ("Value", ""), ("Unit", "")],
        [(label, value, Cell(unit, "muted")) for label, value, unit in rows],
        [0.46 * WIDTH, 0.34 * WIDTH, 0.2 * WIDTH],
    )


def _figures(report: Report) -> list[Block]:
    shown = report.figures[:MOST_FIGURES]
    if not shown:
        return []
    drawn = [
        Figure(number, document, _caption(number, document, report))
        for number, document in enumerate(shown, start=1)
    ]
    left = left_out(len(report.figures) - len(shown), "figures")
    return [Heading("Figures", room=220), Figures(drawn), *left]


def _caption(number: int, document: ChartDocument, report: Report) -> str:
    words = f"Figure {number}. {document['title']}"
    if document["note"]:
        words += f", {document['note']}"
    if document.get("y_label") and report.sweep:
        labels = " and ".join(axis.label for axis in report.sweep.axes)
        words += f"; one curve per run, by {labels}"
        total, drawn = len(report.runs.rows), len(document["y"])
        words += f" ({drawn} of {total} runs)" if drawn < total else ""
    if document["style"] == "levels":
        outside = visible_levels(document)[2]
        words += f"; {outside} of them outside" if outside else ""
    if document.get("ticks"):
        low, high = visible_bands(document)
        energies = [v for series in document["y"] for v in series["values"] if v is not None]
        words += f"; nothing above {result_words(high)} eV" if max(energies) > high else ""
        words += f"; nothing below {result_words(low)} eV" if min(energies) < low else ""
    return f"{words}."


def _runs(report: Report) -> list[Block]:
    rows, columns = report.runs.rows, report.runs.columns
    if not rows:
        return []
    if len(rows) == 1:
        return _one_run(report)
    valid = [row for row in rows if any(value is not None for value in row.values)]
    pairs = [
        ((head.label, head.unit), [row.values[i] for row in valid])
        for i, head in enumerate(columns)
    ]
    same = [(head, values[0]) for head, values in pairs if len(valid) > 1 and len(set(values)) == 1]
    varied = [pair for pair in pairs if len(valid) < 2 or len(set(pair[1])) > 1][:MOST_COLUMNS]
    shown = rows[:MOST_RUNS]
    blocks: list[Block] = [Heading("Runs")]
    if same:
        words = "; ".join(
            f"{head[0]}: {result_words(v, head[1])} {head[1]}".rstrip() for head, v in same
        )
        blocks.append(Text(f"The same in all valid runs: {words}.", "note"))
    blocks += _run_tables(report, shown, varied, valid)
    blocks += left_out(len(rows) - len(shown), "runs")
    return blocks + left_out(len(pairs) - len(same) - len(varied), "quantities")


def _run_tables(
    report: Report,
    shown: Sequence[RunRow],
    varied: Sequence[tuple[tuple[str, str], list[Any]]],
    valid: Sequence[RunRow],
) -> list[Block]:
    """As many tables as the columns need; each begins with the run and its state."""
    place = {row.index: i for i, row in enumerate(valid)}
    columns = []
    for head, values in varied:
        words = column_words(values, head[1])
        cells = [words[place[row.index]] if row.index in place else "" for row in shown]
        numeric = all(value is None or is_number(value) for value in values)
        columns.append(Column(head, cells, numeric))
    lead = [
        Column(("Run", ""), [str(row.index + 1) for row in shown], True, 26),
        Column(("State", ""), [row.state_label for row in shown], False, 50),
    ]
    if report.sweep:
        for number, axis in enumerate(report.sweep.axes):
            cells = [row.point[number] if number < len(row.point) else "" for row in shown]
            numeric = all(is_number(value) for value in axis.values)
            lead.insert(1 + number, Column((axis.label, axis.unit), cells, numeric, 48))
    return list(grids("Runs", lead, columns))


def _one_run(report: Report) -> list[Block]:
    row = report.runs.rows[0]
    found = [
        Quantity(head.name, head.label, value, head.unit)
        for head, value in zip(report.runs.columns, row.values, strict=True)
        if value is not None
    ]
    return [Heading("Quantities"), quantities("Quantities", found)] if found else []


def _tables(report: Report) -> list[Block]:
    """The tables across runs, and those of a single run; a sweep's own are in the JSON."""
    single = len(report.runs.rows) == 1
    held = [d for d in report.datasets if d.kind == "table" and (single or d.run_index is None)]
    blocks = [item for dataset in held[:MOST_TABLES] for item in _table(dataset)]
    return blocks + left_out(len(held) - MOST_TABLES, "tables")


def _table(dataset: Data) -> list[Block]:
    columns = dataset.columns
    count = len(columns[0]["values"]) if columns else 0
    if not count:
        return []
    shown = count if count <= MOST_ROWS else FIRST_ROWS
    cut = [(c, c["values"][:shown]) for c in columns]
    made = [
        Column(
            (str(c["label"]), str(c.get("unit", ""))),
            column_words(values),
            all(value is None or is_number(value) for value in values),
        )
        for c, values in cut
    ]
    fitting = grids(dataset.label, made[:1], made[1:])
    return [Heading(dataset.label, 2, room=90), *fitting, *left_out(count - shown, "rows")]
