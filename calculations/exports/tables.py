"""Tables as CSV, for spreadsheets and for pandas, and how exported files are called.

Values have all their digits. Words that a spreadsheet would take for a formula are disarmed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from calculations.models import Calculation, Dataset
from calculations.states import RunState
from calculations.wording import software_of, swept_parameter
from labportal.common.errors import InvalidInput

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def file_name(calculation: Calculation, rest: str) -> str:
    return f"{calculation.number}-{rest}"


def run_index(said: str) -> int | None:
    """Read the number of a run, from 1, as pages say it. Raises InvalidInput."""
    if not said:
        return None
    if not (said.isascii() and said.isdecimal()) or not 0 < int(said[:9]) < 10**7:
        raise InvalidInput("must be the number of a run, from 1", field="run")
    return int(said[:9]) - 1


def dataset_csv(dataset: Dataset) -> str:
    columns = dataset.columns
    heads = [_head(str(column["label"]), str(column.get("unit", ""))) for column in columns]
    return _written(heads, zip(*(column["values"] for column in columns), strict=False))


def runs_csv(calculation: Calculation) -> str:
    """One row per run: number, what is varied, state, and its quantities where it is valid."""
    swept = swept_parameter(calculation, software_of(calculation))
    runs = list(
        calculation.runs.order_by("index").only("id", "calculation", "index", "state", "parameters")
    )
    heads: dict[tuple[str, str], str] = {}
    values: dict[Any, dict[tuple[str, str], Any]] = {}
    for q in calculation.quantities.exclude(run=None).order_by("id"):
        heads.setdefault((q.name, q.unit), _head(q.label, q.unit))
        values.setdefault(q.run_id, {})[q.name, q.unit] = q.value
    lead = ["Run", *([_head(swept.label, swept.unit)] if swept else []), "State"]
    rows = []
    for run in runs:
        found = values.get(run.pk, {}) if run.state == RunState.VALID else {}
        varied = [run.parameters.get(swept.name)] if swept else []
        rows.append([run.index + 1, *varied, run.state, *(found.get(key) for key in heads)])
    return _written([*lead, *heads.values()], rows)


def _head(label: str, unit: str) -> str:
    return f"{label} / {unit}" if unit else label


def _written(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_cell(head) for head in heads])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value
