"""The results in the PDF: analyses, figures, the table of runs, tables that the analyses made.

Imported inside functions alone, since it loads reportlab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, LongTable, Spacer, Table

from calculations.charts import ChartDocument
from calculations.report.blocks import (
    WIDTH,
    Drawing,
    heading,
    left_out,
    table,
    text,
    titled,
    width_of,
)
from calculations.report.document import Analysis, Data, Quantity, Report, RunRow
from calculations.report.figures import visible_levels
from calculations.report.fonts import REGULAR
from calculations.software.analysis import is_number
from calculations.wording import column_words, result_words, with_error

GAP = 14
MOST_FIGURES = 24
MOST_RUNS = 60
MOST_ROWS = 40
MOST_COLUMNS = 30
MOST_TABLES = 12
ERROR = "_error"  # a quantity's standard error has its name and this
LOOSE = 30  # points between columns at most
LEAST, WIDEST = 40.0, 170.0


class Column:
    """A column as it is printed: its head (label, unit), its written cells, its width."""

    def __init__(
        self, head: tuple[str, str], cells: Sequence[str], numeric: bool, least: float = LEAST
    ) -> None:
        self.head, self.cells, self.numeric = head, cells, numeric
        parts = [*titled(*head).split(" "), *cells]
        self.width = min(max([least, *(width_of(part) for part in parts)]), WIDEST)


def story(report: Report) -> list[Flowable]:
    flow: list[Flowable] = []
    found = [item for analysis in report.analyses for item in _analysis(analysis)]
    if found:
        flow += [heading("Results"), *found]
    flow += _figures(report)
    flow += _runs(report)
    flow += _tables(report)
    if not flow:
        flow = [heading("Results"), text("There are none: no run is valid so far.")]
    return flow


def _analysis(analysis: Analysis) -> list[Flowable]:
    if not analysis.quantities:
        return []
    head = [heading(analysis.label, 2)] + ([text(analysis.help, "note")] if analysis.help else [])
    return [KeepTogether([*head, Spacer(0, 3), quantities(analysis.quantities)])]


def quantities(found: Sequence[Quantity]) -> LongTable:
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
    cells = [
        [text(label, "cell"), text(value, "cell"), text(unit, "muted")]
        for label, value, unit in rows
    ]
    made = table(
        [("Quantity", ""), ("Value", ""), ("Unit", "")],
        cells,
        [0.46 * WIDTH, 0.34 * WIDTH, 0.2 * WIDTH],
    )
    return made


def _figures(report: Report) -> list[Flowable]:
    shown = report.figures[:MOST_FIGURES]
    if not shown:
        return []
    half = (WIDTH - GAP) / 2
    flow: list[Flowable] = [CondPageBreak(220), heading("Figures")]
    for first in range(0, len(shown), 2):
        pair = shown[first : first + 2]
        if len(pair) == 1:
            flow.append(
                KeepTogether([Drawing(pair[0], WIDTH * 0.7, 175), _caption(first, pair[0], report)])
            )
            continue
        cells = [
            [Drawing(document, half, 160), _caption(first + i, document, report)]
            for i, document in enumerate(pair)
        ]
        row = Table([[cells[0], "", cells[1]]], colWidths=[half, GAP, half])
        row.setStyle(
            [("FONT", (0, 0), (-1, -1), REGULAR), ("VALIGN", (0, 0), (-1, -1), "TOP"), *_NO_PADDING]
        )
        flow += [KeepTogether([row]), Spacer(0, 8)]
    return flow + left_out(len(report.figures) - len(shown), "figures")


_NO_PADDING = [
    (f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")
]


def _caption(number: int, document: ChartDocument, report: Report) -> Flowable:
    words = f"Figure {number + 1}. {document['title']}"
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
    return text(f"{words}.", "note")


def _runs(report: Report) -> list[Flowable]:
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
    flow: list[Flowable] = [CondPageBreak(120), heading("Runs")]
    if same:
        words = "; ".join(
            f"{head[0]}: {result_words(v, head[1])} {head[1]}".rstrip() for head, v in same
        )
        flow += [text(f"The same in all valid runs: {words}.", "note"), Spacer(0, 4)]
    flow += _run_tables(report, shown, varied, valid)
    flow += left_out(len(rows) - len(shown), "runs")
    return flow + left_out(len(pairs) - len(same) - len(varied), "quantities")


def _run_tables(
    report: Report,
    shown: Sequence[RunRow],
    varied: Sequence[tuple[tuple[str, str], list[Any]]],
    valid: Sequence[RunRow],
) -> list[Flowable]:
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
        for place, axis in enumerate(report.sweep.axes):
            cells = [row.point[place] if place < len(row.point) else "" for row in shown]
            numeric = all(is_number(value) for value in axis.values)
            lead.insert(1 + place, Column((axis.label, axis.unit), cells, numeric, 48))
    flow: list[Flowable] = []
    for chunk in _chunks(columns, WIDTH - sum(column.width for column in lead)):
        flow += [_of_columns([*lead, *chunk]), Spacer(0, 8)]
    return flow


def _of_columns(columns: Sequence[Column]) -> LongTable:
    """A table as wide as the page, unless a few columns would be far apart."""
    taken = sum(column.width for column in columns)
    more = min((WIDTH - taken) / len(columns), LOOSE)
    widths = [column.width + more for column in columns]
    rows = list(zip(*(column.cells for column in columns), strict=True))
    numeric = [i for i, column in enumerate(columns) if column.numeric]
    made = table([column.head for column in columns], rows, widths, numeric=numeric)
    made.hAlign = "LEFT"
    return made


def _chunks(columns: Sequence[Column], width: float) -> list[list[Column]]:
    """Share the columns out to as many tables as they need."""
    found: list[list[Column]] = [[]]
    taken = 0.0
    for column in columns:
        if found[-1] and taken + column.width > width:
            found.append([])
            taken = 0.0
        found[-1].append(column)
        taken += column.width
    return found


def _one_run(report: Report) -> list[Flowable]:
    row = report.runs.rows[0]
    found = [
        Quantity(head.name, head.label, value, head.unit)
        for head, value in zip(report.runs.columns, row.values, strict=True)
        if value is not None
    ]
    return [CondPageBreak(120), heading("Quantities"), quantities(found)] if found else []


def _tables(report: Report) -> list[Flowable]:
    """The tables across runs, and those of a single run; a sweep's own are in the JSON."""
    single = len(report.runs.rows) == 1
    held = [d for d in report.datasets if d.kind == "table" and (single or d.run_index is None)]
    flow = [item for dataset in held[:MOST_TABLES] for item in _table(dataset)]
    return flow + left_out(len(held) - MOST_TABLES, "tables")


def _table(dataset: Data) -> list[Flowable]:
    columns = dataset.columns
    count = len(columns[0]["values"]) if columns else 0
    if not count:
        return []
    cut = [(c, c["values"][:MOST_ROWS]) for c in columns]
    made = [
        Column(
            (str(c["label"]), str(c.get("unit", ""))),
            column_words(values),
            all(value is None or is_number(value) for value in values),
        )
        for c, values in cut
    ]
    fitting = _chunks(made, WIDTH)[0]
    flow: list[Flowable] = [CondPageBreak(90), heading(dataset.label, 2), _of_columns(fitting)]
    flow += left_out(count - MOST_ROWS, "rows")
    return flow + left_out(len(columns) - len(fitting), "columns")
