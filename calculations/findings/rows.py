"""Rows of results, a page at a time, and points of two quantities.

Sorted by a quantity, its own index leads through the rows; what a page shows of its rows is
fetched for these alone.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Case,
    Exists,
    F,
    FloatField,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)

from calculations.findings.asking import Asked, Column, Condition
from calculations.findings.catalogue import Level
from calculations.models import Calculation, Quantity, Run
from calculations.selectors import calculations
from calculations.states import CalculationState, RunState, Standing
from calculations.units import factor
from labportal.accounts.models import User

SIZE = 50
MOST_POINTS = 2000
SIGNS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "=": "exact"}


@dataclass(frozen=True, slots=True)
class Row:
    """One calculation, or one run of it, with the values of the columns in their units."""

    calculation: Calculation
    run: Run | None
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`after` leads to the rows behind; "" where there are none."""

    rows: tuple[Row, ...]
    after: str


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    calculation: int
    run: int | None  # from 1


def page(user: User, asked: Asked, *, after: str = "", size: int = SIZE) -> Page:
    """Return a page of rows in three queries at most."""
    column = asked.sorted_by
    ordered = _newest(user, asked) if column is None else _sorted(user, asked, column)
    place = _read(after)
    if place is not None:
        ordered = _behind(ordered, asked, place)
    found = list(ordered[: size + 1])
    shown = found[:size]
    rows = _filled(asked, [_keys(item) for item in shown])
    return Page(rows, _write(shown[-1]) if len(found) > size else "")


def _base(user: User, asked: Asked) -> QuerySet[Calculation]:
    """The calculations whose results count; what was retracted is shown where it is asked for."""
    rows = calculations(user, asked.filters).select_related(None).order_by()
    if asked.level is Level.CALCULATION and not asked.filters.state:
        rows = rows.filter(state=CalculationState.VALID)
    if not getattr(asked.filters, "standing", ""):
        rows = rows.exclude(standing=Standing.RETRACTED)
    if asked.formula:
        rows = rows.filter(structure__formula__iexact=asked.formula)
    return rows


def _speaking(level: Level) -> Q:
    """The quantities that speak for a row: of a valid run, or of a calculation as a whole, which
    a single run does too.
    """
    valid = Q(run__state=RunState.VALID)
    return valid if level is Level.RUN else Q(run=None) | (valid & Q(calculation__run_count=1))


def _bounds(column: Column, conditions: Sequence[Condition]) -> Q:
    """What the numbers of one quantity must meet, whatever unit they are in."""
    found = Q(pk=None)
    for unit, by in column.factors().items():
        within = Q(unit=unit)
        for condition in conditions:
            back = factor(condition.column.unit, column.unit) or 1.0
            sign = f"number__{SIGNS[condition.sign]}"
            within &= Q(**{sign: condition.value * back / by})
        found |= within
    return found


def _grouped(asked: Asked) -> dict[str, list[Condition]]:
    """The conditions by quantity: both ends of a span are one look into its index."""
    groups: dict[str, list[Condition]] = {}
    for condition in asked.conditions:
        groups.setdefault(condition.column.kind.name, []).append(condition)
    return groups


def met(conditions: Sequence[Condition], level: Level) -> QuerySet[Quantity]:
    """The quantities that meet conditions of one of them; whose rows are valid is asked outside."""
    column = conditions[0].column
    named = Quantity.objects.filter(_bounds(column, conditions), name=column.kind.name)
    if level is Level.CALCULATION:
        named = named.filter(Q(run=None) | Q(calculation__run_count=1))
    return named


def _key(level: Level) -> str:
    return "run" if level is Level.RUN else "calculation"


def _in_unit(column: Column) -> Any:
    """The number in the column's unit; left as it is, and to its index, where all are in it."""
    factors = column.factors()
    if set(factors) == set(column.kind.units) and set(factors.values()) == {1.0}:
        return F("number")
    cases = [When(unit=unit, then=F("number") * Value(by)) for unit, by in factors.items()]
    return Case(*cases, output_field=FloatField())


def _named(user: User, asked: Asked, column: Column) -> QuerySet[Quantity]:
    rows = Quantity.objects.filter(
        _speaking(asked.level),
        name=column.kind.name,
        unit__in=list(column.factors()),
        number__isnull=False,
        calculation__in=_base(user, asked),
    )
    key = _key(asked.level)
    for name, conditions in _grouped(asked).items():
        if name == column.kind.name:
            rows = rows.filter(_bounds(column, conditions))
        else:
            rows = rows.filter(**{f"{key}__in": met(conditions, asked.level).values(key)})
    return rows.annotate(key=_in_unit(column))


def _sorted(user: User, asked: Asked, column: Column) -> QuerySet[Quantity]:
    sign = "-" if asked.descending else ""
    rows = _named(user, asked, column).select_related("calculation__project", "run")
    return rows.order_by(f"{sign}key", f"{sign}pk")


def _newest(user: User, asked: Asked) -> QuerySet[Any]:
    names = [column.kind.name for column in asked.columns]
    shown = Quantity.objects.filter(name__in=names)
    rows: QuerySet[Any]
    if asked.level is Level.RUN:
        rows = Run.objects.filter(state=RunState.VALID, calculation__in=_base(user, asked))
        rows = rows.select_related("calculation__project").order_by("-calculation_id", "index")
    else:
        rows = _base(user, asked).select_related("project").order_by("-pk")
        shown = shown.filter(_speaking(asked.level))
    for conditions in _grouped(asked).values():
        rows = rows.filter(pk__in=met(conditions, asked.level).values(_key(asked.level)))
    if set(_grouped(asked)) & set(names):
        return rows  # who meets a condition has the quantity
    return rows.filter(Exists(shown.filter(**{_key(asked.level): OuterRef("pk")})))


def _keys(item: Quantity | Run | Calculation) -> tuple[Calculation, Run | None]:
    if isinstance(item, Calculation):
        return item, None
    if isinstance(item, Run):
        return item.calculation, item
    return item.calculation, item.run


def _filled(asked: Asked, keys: Sequence[tuple[Calculation, Run | None]]) -> tuple[Row, ...]:
    names = [column.kind.name for column in asked.columns]
    factors = {column.kind.name: column.factors() for column in asked.columns}
    held: dict[Any, dict[str, Any]] = {}
    places = [run.pk if run else None for _, run in keys]
    if asked.level is Level.CALCULATION:
        places = [calculation.pk for calculation, _ in keys]
    for quantity in _quantities(asked.level, places, names):
        value = quantity.value
        if quantity.number is not None:
            by = factors[quantity.name].get(quantity.unit)
            value = None if by is None else quantity.number * by
        place = quantity.run_id if asked.level is Level.RUN else quantity.calculation_id
        held.setdefault(place, {})[quantity.name] = value
    rows = []
    for calculation, run in keys:
        place = run.pk if asked.level is Level.RUN and run else calculation.pk
        known = held.get(place, {})
        of = run if asked.level is Level.RUN else None
        rows.append(Row(calculation, of, tuple(known.get(name) for name in names)))
    return tuple(rows)


def _quantities(level: Level, places: Sequence[Any], names: Sequence[str]) -> Iterable[Quantity]:
    """What rows show; of a calculation first its single run's, then what is of all runs."""
    if level is Level.RUN:
        yield from Quantity.objects.filter(run__in=places, name__in=names)
        return
    single = Run.objects.filter(
        calculation__in=places, calculation__run_count=1, state=RunState.VALID
    )
    yield from Quantity.objects.filter(run__in=single, name__in=names)
    yield from Quantity.objects.filter(calculation__in=places, run=None, name__in=names)


def points(user: User, asked: Asked) -> tuple[list[Point], bool]:
    """Return x and y of the newest rows that have both, and whether there may be more.

    The rarer of the two leads, so that few rows are looked at in vain.
    """
    if asked.x is None or asked.y is None:
        return [], False
    leads = asked.x.kind.often(asked.level) <= asked.y.kind.often(asked.level)
    first, second = (asked.x, asked.y) if leads else (asked.y, asked.x)
    rows = _named(user, asked, first).order_by("-pk")
    columns = ("calculation_id", "run_id", "run__index", "key")
    found = list(rows.values_list(*columns)[: MOST_POINTS + 1])
    beside = _beside(second, [(row[0], row[1]) for row in found])
    by_run = asked.level is Level.RUN
    dots = []
    for calculation, run, index, value in found[:MOST_POINTS]:
        other = beside.get(run or calculation)
        if other is not None and value is not None:
            pair = (value, other) if leads else (other, value)
            dots.append(Point(*pair, calculation, index + 1 if by_run else None))
    return dots, len(found) > MOST_POINTS


def _beside(column: Column, places: Sequence[tuple[int, Any]]) -> dict[Any, float]:
    """Return the column's numbers of runs, by their key, and of whole calculations, by theirs."""
    factors = column.factors()
    named = Quantity.objects.filter(name=column.kind.name, number__isnull=False)
    named = named.filter(unit__in=list(factors))
    runs = [run for _, run in places if run is not None]
    whole = [calculation for calculation, run in places if run is None]
    found = named.filter(run__in=runs).values_list("run_id", "number", "unit")
    across = named.filter(calculation__in=whole, run=None)
    across = across.values_list("calculation_id", "number", "unit")
    return {key: number * factors[unit] for key, number, unit in [*found, *across]}


def _write(item: Any) -> str:
    if isinstance(item, Quantity):
        place = [item.key, item.pk]
    elif isinstance(item, Run):
        place = [item.calculation_id, item.index]
    else:
        place = [item.pk, 0]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _read(token: str) -> tuple[float, int] | None:
    try:
        found = json.loads(base64.urlsafe_b64decode(token[:200] + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(found, list) or len(found) != 2:
        return None
    value, tie = found
    whole = isinstance(tie, int) and isinstance(value, int | float) and abs(tie) < 2**62
    return (value, tie) if whole and abs(value) < 1e300 else None


def _behind(rows: QuerySet[Any], asked: Asked, place: tuple[float, int]) -> QuerySet[Any]:
    value, tie = place
    if asked.sorted_by is not None:
        beyond = "lt" if asked.descending else "gt"
        return rows.filter(Q(**{f"key__{beyond}": value}) | Q(key=value, **{f"pk__{beyond}": tie}))
    if not isinstance(value, int) or abs(value) > 2**62:
        return rows
    if asked.level is Level.RUN:
        return rows.filter(Q(calculation__lt=value) | Q(calculation=value, index__gt=tie))
    return rows.filter(pk__lt=value)
