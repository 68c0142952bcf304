"""Results as tables: quantities of runs, analyses with their numbers, datasets without a chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Avg, Count, Max, Min, Q

from calculations.charts import ChartDocument
from calculations.models import Calculation, Quantity, Run
from calculations.services.results import across_runs
from calculations.services.structures import DRAWN
from calculations.services.sweeps import axes_of
from calculations.software.analysis import is_number
from calculations.states import RunState
from calculations.views import figures as drawing
from calculations.views.rows import software_of
from calculations.wording import column_words, point_words, result_words, with_error

MOST_ROWS = 60
MOST_COLUMNS = 14
MOST_LINES = 60  # where quantities are lines, not columns
MOST_RUNS = 100  # of more the table says from where to where they go
FEW_RUNS = 8  # so many stand side by side, with a line for each quantity
ERROR = "_error"  # a quantity's standard error has its name and this


@dataclass(slots=True)
class Table:
    """`heads` are (label, unit); the values are written as words, alike within a column.

    `words` are the columns (from 1) that hold text, which stands on the left; `dataset` is the key
    of the stored one that it shows; `summary_of` the number of runs of which it has a summary.
    """

    heads: list[tuple[str, str]]
    rows: list[tuple[Any, list[str]]]
    title: str = ""
    more: int = 0
    words: frozenset[int] = frozenset()
    dataset: int | None = None
    summary_of: int = 0

    @property
    def lines(self) -> list[dict[str, str]]:
        """The one row of a table turned into lines: label, value, unit."""
        values = self.rows[0][1] if self.rows else []
        pairs = zip(self.heads, values, strict=False)
        return [{"label": label, "unit": unit, "value": v} for (label, unit), v in pairs]

    @property
    def is_turned(self) -> bool:
        return len(self.rows) <= FEW_RUNS

    @property
    def turned(self) -> list[tuple[str, str, list[str]]]:
        """The columns as lines: label, unit, a value for each row."""
        return [
            (label, unit, [values[place] for _, values in self.rows])
            for place, (label, unit) in enumerate(self.heads)
        ]


def written(
    heads: list[tuple[str, str]],
    row_heads: Sequence[Any],
    columns: Sequence[Sequence[Any]],
    *,
    title: str = "",
    more: int = 0,
) -> Table:
    """Make a table out of its columns."""
    texts = [column_words(c, unit) for c, (_, unit) in zip(columns, heads, strict=True)]
    rows = [(head, [text[i] for text in texts]) for i, head in enumerate(row_heads)]
    words = frozenset(
        place
        for place, column in enumerate(columns, start=1)
        if any(isinstance(value, str) for value in column)
    )
    return Table(heads, rows, title, more, words)


@dataclass(slots=True)
class AnalysisCard:
    """An analysis that looked at all runs: its numbers, its figures."""

    name: str
    label: str
    help: str
    quantities: list[Quantity] = field(default_factory=list)
    figures: list[drawing.Figure] = field(default_factory=list)

    @property
    def datasets(self) -> list[int]:
        """The keys of what its figures draw, each once."""
        return list(dict.fromkeys(key for figure in self.figures for key in figure.datasets))

    @property
    def lines(self) -> list[dict[str, str]]:
        """Label, value, unit; a value and its standard error in one line."""
        named = {q.name: q for q in self.quantities if is_number(q.value)}
        found = []
        for q in self.quantities:
            if q.name.endswith(ERROR) and q.name.removesuffix(ERROR) in named:
                continue
            words = with_its_error(q, named.get(q.name + ERROR))
            found.append({"label": q.label, "unit": q.unit, "value": words})
        return found


def with_its_error(quantity: Quantity, error: Quantity | None) -> str:
    if error is None or error.unit != quantity.unit or not is_number(quantity.value):
        return result_words(quantity.value, quantity.unit)
    return " ± ".join(with_error(float(quantity.value), float(error.value)))


def quantity_table(calculation: Calculation, runs: Sequence[Run]) -> Table | None:
    """One row per valid run, one column per quantity, in the order in which they were found."""
    heads: dict[str, tuple[str, str]] = {}
    values: dict[tuple[Any, str], Any] = {}
    for q in calculation.quantities.filter(run__in=runs).order_by("id"):
        heads.setdefault(q.name, (q.label, q.unit))
        values[q.run_id, q.name] = q.value
    if not heads:
        return None
    axes = axes_of(calculation)
    names = list(heads)[: MOST_LINES if len(runs) <= FEW_RUNS else MOST_COLUMNS]
    row_heads = [
        {"number": run.index + 1, "label": point_words(axes, run.point), "state": run.state}
        for run in runs
    ]
    return written(
        [heads[name] for name in names],
        row_heads,
        [[values.get((run.pk, name)) for run in runs] for name in names],
        more=len(heads) - len(names),
    )


def summary(calculation: Calculation, count: int) -> Table:
    """One row per quantity: from where to where the numbers of `count` valid runs go."""
    found = (
        calculation.quantities.filter(run__state=RunState.VALID, number__isnull=False)
        .values("name", "label", "unit")
        .annotate(
            low=Min("number"), mean=Avg("number"), high=Max("number"), of=Count("pk"), at=Min("pk")
        )
        .order_by("at")
    )
    rows = [
        (
            {"number": "", "label": row["label"]},
            [
                row["unit"],
                *column_words([row["low"], row["mean"], row["high"]], row["unit"]),
                str(row["of"]),
            ],
        )
        for row in found
    ]
    heads = [(head, "") for head in ("Unit", "Lowest", "Mean", "Highest", "Runs")]
    return Table(
        heads,
        rows[:MOST_LINES],
        more=max(0, len(rows) - MOST_LINES),
        words=frozenset({1}),
        summary_of=count,
    )


def analysis_cards(
    calculation: Calculation, quantities: Iterable[Quantity], documents: Iterable[ChartDocument]
) -> list[AnalysisCard]:
    """The chosen analyses across runs that have found something."""
    if software_of(calculation) is None:
        return []
    cards = {a.name: AnalysisCard(a.name, a.label, a.help) for a in across_runs(calculation)}
    for q in quantities:
        if q.run_id is None and q.analysis is not None and q.analysis.name in cards:
            cards[q.analysis.name].quantities.append(q)
    for document in documents:
        if document["analysis"] in cards:
            cards[document["analysis"]].figures += drawing.figures([document])
    return [card for card in cards.values() if card.quantities or card.figures]


def tables_of(calculation: Calculation, run: Run | None) -> list[Table]:
    """The datasets of kind table, of one run and across runs, cut after some rows."""
    shown = calculation.datasets.filter(Q(run=None) | Q(run=run), kind="table")
    found = []
    for dataset in shown.exclude(name__in=DRAWN).order_by("id"):
        columns = dataset.columns
        count = len(columns[0]["values"]) if columns else 0
        heads = [(c["label"], c.get("unit", "")) for c in columns]
        most = min(count, MOST_ROWS)
        cut = [column["values"][:most] for column in columns]
        table = written(heads, [None] * most, cut, title=dataset.label, more=count - most)
        table.dataset = dataset.pk
        found.append(table)
    return found
