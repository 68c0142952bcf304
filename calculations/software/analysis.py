"""The mathematics that plug-ins share: the swept parameter, a quantity against it, a fitted line.

Pure functions on plain values. Standard library only and Python 3.9, since the agent carries this
file to login nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from calculations.software.base import NotComputable
from calculations.software.parameters import Kind, Parameter
from calculations.software.results import Column, Dataset, Quantity, Results

Run = tuple[Mapping[str, Any], Results]
Item = TypeVar("Item")

# Name of the column of a single swept parameter.
SWEPT = "swept"
# Beside a run's parameters: its place on each axis of the sweep (name, label, unit, value).
AXES = "axes of the sweep"


@dataclass(frozen=True)
class Swept:
    """What differs between runs, with its value (a number, or a word) in each, in their order."""

    name: str
    values: tuple[Any, ...]
    label: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Fit:
    """y = slope·x + intercept; `slope_error` is the standard error, None for two points."""

    slope: float
    intercept: float
    r2: float
    points: int
    slope_error: float | None = None

    def at(self, x: float) -> float:
        return self.slope * x + self.intercept


# Å, eV, eV/Å, Debye, …: what lies beyond was read from a broken file, and its square overflows.
LARGEST = 1e12


def is_sane(value: Any) -> bool:
    """Whether it is a number that a program may have meant."""
    return is_number(value) and abs(value) < LARGEST


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def swept_parameters(runs: Sequence[Run]) -> list[Swept]:
    """Return what was varied: the axes of the sweep where they are told, else every numeric
    parameter that differs between the runs, in the order of the form.
    """
    if len(runs) < 2:
        return []
    if all(AXES in parameters for parameters, _ in runs):
        return _told(runs)
    found = []
    for name in runs[0][0]:
        values = [parameters.get(name) for parameters, _ in runs]
        if all(is_number(value) for value in values) and len(set(values)) > 1:
            found.append(Swept(name, tuple(float(value) for value in values)))
    return found


def _told(runs: Sequence[Run]) -> list[Swept]:
    axes = [parameters[AXES] for parameters, _ in runs]
    found = []
    for place, axis in enumerate(axes[0]):
        values = [each[place]["value"] for each in axes]
        if all(map(is_number, values)):
            values = [float(value) for value in values]
        elif not all(isinstance(value, str) for value in values):
            continue
        if len(set(values)) > 1:
            found.append(Swept(axis["name"], tuple(values), axis["label"], axis["unit"]))
    return found


def swept_parameter(runs: Sequence[Run]) -> Swept | None:
    """Return the one numeric parameter that differs between runs, None where none or several do."""
    found = swept_parameters(runs)
    return found[0] if len(found) == 1 and is_number(found[0].values[0]) else None


def linear_fit(x: Sequence[float], y: Sequence[float]) -> Fit | None:
    """Fit a line by least squares; None for fewer than two different x, or infinite values."""
    count = len(x)
    if count != len(y):
        raise ValueError(f"{count} values of x, {len(y)} of y")
    if count < 2 or not all(map(math.isfinite, [*x, *y])):
        return None
    mean_x, mean_y = math.fsum(x) / count, math.fsum(y) / count
    dx, dy = [value - mean_x for value in x], [value - mean_y for value in y]
    sxx = math.fsum(value * value for value in dx)
    syy = math.fsum(value * value for value in dy)
    if sxx == 0.0 or not math.isfinite(sxx + syy):
        return None
    slope = math.fsum(dx[i] * dy[i] for i in range(count)) / sxx
    residual = math.fsum((dy[i] - slope * dx[i]) ** 2 for i in range(count))
    if not math.isfinite(slope + residual):
        return None
    return Fit(
        slope=slope,
        intercept=mean_y - slope * mean_x,
        r2=max(0.0, 1.0 - residual / syy) if syy else 1.0,
        points=count,
        slope_error=math.sqrt(residual / (count - 2) / sxx) if count > 2 else None,
    )


def against_sweep(
    runs: Sequence[Run],
    quantities: Sequence[str],
    *,
    name: str,
    label: str,
    parameters: Iterable[Parameter] = (),
) -> Dataset | None:
    """Tabulate quantities against what was swept; None where nothing was, or no run has any.

    One swept parameter gives a series in rising order of it, in the column `swept`, which a chart
    can name. Several (a grid) give a table with one column each, under their own names.
    Quantities that no run has are left out; a run that lacks one has None there.
    """
    swept = swept_parameters(runs)
    present = [q for q in quantities if any(results.quantity(q) for _, results in runs)]
    if not swept or not present:
        return None
    order = list(range(len(runs)))
    order.sort(key=lambda i: tuple(s.values[i] for s in swept))
    known = {p.name: p for p in parameters}
    single = len(swept) == 1 and is_number(swept[0].values[0])
    columns = [
        _parameter_column(s, known.get(s.name), order, SWEPT if single else s.name) for s in swept
    ]
    columns += [_quantity_column(q, [runs[i][1].quantity(q) for i in order]) for q in present]
    return Dataset(name, label, "series" if single else "table", tuple(columns))


def _parameter_column(
    swept: Swept, parameter: Parameter | None, order: Sequence[int], name: str
) -> Column:
    values: tuple[Any, ...] = tuple(swept.values[i] for i in order)
    if parameter is not None and parameter.kind is Kind.INTEGER:
        values = tuple(int(value) for value in values)
    label, unit = swept.label or swept.name, swept.unit
    if parameter is not None:
        label, unit = parameter.label, parameter.unit
    return Column(name, label, unit, values)


def _quantity_column(name: str, found: Sequence[Quantity | None]) -> Column:
    first = next(quantity for quantity in found if quantity is not None)
    values = tuple(None if quantity is None else quantity.value for quantity in found)
    return Column(name, first.label, first.unit, values)


def complete_pairs(dataset: Dataset, x: str, y: str) -> tuple[list[float], list[float]]:
    """Return the rows of two columns in which both are numbers."""
    columns = dataset.column(x).values, dataset.column(y).values
    rows = [
        i for i in range(len(columns[0])) if is_number(columns[0][i]) and is_number(columns[1][i])
    ]
    return [float(columns[0][i]) for i in rows], [float(columns[1][i]) for i in rows]


def thin(items: Sequence[Item], limit: int) -> list[Item]:
    """Return at most `limit` items at even distances, the first and the last among them."""
    if limit < 2:
        raise ValueError("at least two items are needed to keep both ends")
    count = len(items)
    if count <= limit:
        return list(items)
    return [items[round(i * (count - 1) / (limit - 1))] for i in range(limit)]


def rows_of(dataset: Dataset, *names: str) -> list[tuple[Any, ...]]:
    """Return the rows of some columns."""
    columns = [dataset.column(name).values for name in names]
    return list(zip(*columns)) if columns else []


def number_of(results: Results, name: str) -> float | None:
    """Return the number that a quantity holds, None where it is absent or no number."""
    found = results.quantity(name)
    return float(found.value) if found is not None and is_number(found.value) else None


def needed(results: Results, name: str, remedy: str) -> Dataset:
    """Return a dataset with rows. Raises NotComputable with what may be done."""
    found = results.dataset(name)
    if found is None or not found.columns or not found.columns[0].values:
        raise NotComputable(remedy)
    return found
