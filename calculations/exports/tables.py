"""Tables as CSV, for spreadsheets and for pandas, and as JSON.

Values have all their digits. Words that a spreadsheet would take for a formula are disarmed in CSV.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.models import Calculation, Dataset
from calculations.services.sweeps import axes_of
from calculations.states import RunState

FORMULA = ("=", "+", "-", "@", "\t", "\r")
SCHEMA = "labportal-table/1"


@dataclass(frozen=True, slots=True)
class Head:
    """A column: its name for programs, its label and unit for people."""

    name: str
    label: str
    unit: str = ""

    @property
    def words(self) -> str:
        return f"{self.label} / {self.unit}" if self.unit else self.label


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    title: str
    heads: Sequence[Head]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> str:
        stream = io.StringIO(newline="")
        writer = csv.writer(stream, lineterminator="\r\n")
        writer.writerow([_cell(head.words) for head in self.heads])
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return stream.getvalue()

    def json(self) -> bytes:
        """Columns with their units, and the rows as lists in the same order."""
        document = {
            "schema": SCHEMA,
            "name": self.name,
            "title": self.title,
            "columns": [{"name": h.name, "label": h.label, "unit": h.unit} for h in self.heads],
            "rows": [[plain(value) for value in row] for row in self.rows],
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


def of_dataset(dataset: Dataset) -> Table:
    columns = dataset.columns
    heads = [Head(str(c["name"]), str(c["label"]), str(c.get("unit", ""))) for c in columns]
    rows = list(zip(*(column["values"] for column in columns), strict=False))
    return Table(dataset.name, dataset.label, heads, rows)


def of_runs(calculation: Calculation) -> Table:
    """One row per run: number, what is varied, state, and its quantities where it is valid."""
    axes = axes_of(calculation)
    runs = list(
        calculation.runs.order_by("index").only("id", "calculation", "index", "state", "point")
    )
    heads: dict[tuple[str, str], Head] = {}
    values: dict[Any, dict[tuple[str, str], Any]] = {}
    for q in calculation.quantities.exclude(run=None).order_by("id"):
        heads.setdefault((q.name, q.unit), Head(q.name, q.label, q.unit))
        values.setdefault(q.run_id, {})[q.name, q.unit] = q.value
    varied = [Head(axis.name, axis.label, axis.unit) for axis in axes]
    lead = [Head("run", "Run"), *varied, Head("state", "State")]
    rows = []
    for run in runs:
        found = values.get(run.pk, {}) if run.state == RunState.VALID else {}
        point = run.point if len(run.point) == len(axes) else [None] * len(axes)
        rows.append([run.index + 1, *point, run.state, *(found.get(key) for key in heads)])
    return Table("runs", "Runs", [*lead, *heads.values()], rows)


def of_analyses(calculation: Calculation) -> Table:
    """What the analyses across all runs have found."""
    found = calculation.quantities.filter(run=None).select_related("analysis").order_by("id")
    heads = [Head("analysis", "Analysis"), Head("name", "Name"), Head("label", "Quantity")]
    heads += [Head("value", "Value"), Head("unit", "Unit")]
    rows = [
        [q.analysis.name if q.analysis else "", q.name, q.label, q.value, q.unit] for q in found
    ]
    return Table("analyses", "Results across all runs", heads, rows)


def all_of(calculation: Calculation) -> Iterator[tuple[str, Table]]:
    """Every table with the folder in which it belongs, one after the other."""
    yield "", of_runs(calculation)
    analyses = of_analyses(calculation)
    if analyses.rows:
        yield "", analyses
    held = calculation.datasets.select_related("run").order_by("run__index", "id")
    for dataset in held.iterator(chunk_size=20):
        folder = f"run-{dataset.run.index + 1}/" if dataset.run else "across-runs/"
        yield folder, of_dataset(dataset)


def plain(value: Any) -> Any:
    """A value as JSON has it: what is no finite number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value
