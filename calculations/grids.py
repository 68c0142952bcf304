"""A table over several axes as lines: one axis below, a line for each value of the others.

Pure; called by charts.py for what analyses computed from the runs of a grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.software.analysis import is_number, thin
from calculations.sweeps.axes import Axis
from calculations.wording import axis_words

Columns = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Lines:
    """`x` are the values below, `lines` pairs of a name and a value (or None) for each of them;
    `of` how many lines there are, where not all are here.
    """

    axis: Axis
    x: list[Any]
    lines: list[tuple[str, list[float | None]]]
    by: str
    of: int


def lines_of(columns: Columns, name: str, axes: Sequence[Axis], most: int) -> Lines | None:
    """Return the lines of quantity `name`; None where the table has not every axis, or only one."""
    by_name = {column["name"]: column["values"] for column in columns}
    if len(axes) < 2 or name not in by_name or any(_column(axis) not in by_name for axis in axes):
        return None
    below = _below(axes)
    others = [axis for axis in axes if axis is not below]
    rows = list(
        zip(*(by_name[_column(axis)] for axis in [below, *others]), by_name[name], strict=True)
    )
    x = list(dict.fromkeys(row[0] for row in rows))
    x = sorted(x) if below.is_numeric else x
    lines: dict[tuple[Any, ...], dict[Any, float]] = {}
    for row in rows:
        if is_number(row[-1]):
            lines.setdefault(row[1:-1], {})[row[0]] = row[-1]
    chosen = thin(list(lines), most)
    return Lines(
        below,
        x,
        [(_named(others, line), [lines[line].get(value) for value in x]) for line in chosen],
        " and ".join(axis.label.lower() for axis in others),
        len(lines),
    )


def _column(axis: Axis) -> str:
    return axis.column or axis.name


def _below(axes: Sequence[Axis]) -> Axis:
    """The numeric axis with the most values, else the first."""
    numeric = [axis for axis in axes if axis.is_numeric]
    return max(numeric, key=lambda axis: len(axis.values)) if numeric else axes[0]


def _named(axes: Sequence[Axis], values: Sequence[Any]) -> str:
    return ", ".join(axis_words(axis, value) for axis, value in zip(axes, values, strict=True))
