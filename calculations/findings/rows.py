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
    Subquery,
    Value,
    When,
)

from calculations.findings.asking import Asked, Column, Condition, Level
from calculations.models import Calculation, Quantity, Run
from calculations.selectors import calculations
from calculations.states import CalculationState, RunState, Standing
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


def met(condition: Condition, level: Level) -> QuerySet[Quantity]:
    """The quantities that meet a condition, whatever unit they are in."""
    sign, bounds = SIGNS[condition.sign], Q(pk=None)
    for unit, by in condition.column.factors().items():
        bounds |= Q(unit=unit, **{f"number__{sign}": condition.value / by})
    named = Quantity.objects.filter(_speaking(level), name=condition.column.kind.name)
    return named.filter(bounds)


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
    for condition in asked.conditions:
        rows = rows.filter(**{f"{key}__in": met(condition, asked.level).values(key)})
    return rows.annotate(key=_in_unit(column))


def _sorted(user: User, asked: Asked, column: Column) -> QuerySet[Quantity]:
    sign = "-" if asked.descending else ""
    rows = _named(user, asked, column).select_related("calculation__project", "run")
    return rows.order_by(f"{sign}key", f"{sign}pk")


def _newest(user: User, asked: Asked) -> QuerySet[Any]:
    names = [column.kind.name for column in asked.columns]
    shown = Quantity.objects.filter(_speaking(asked.level), name__in=names)
    rows: QuerySet[Any]
    if asked.level is Level.RUN:
        rows = Run.objects.filter(state=RunState.VALID, calculation__in=_base(user, asked))
        rows = rows.select_related("calculation__project").order_by("-calculation_id", "index")
    else:
        rows = _base(user, asked).select_related("project").order_by("-pk")
    for condition in asked.conditions:
        meeting = met(condition, asked.level).values(_key(asked.level))
        rows = rows.filter(pk__in=meeting)
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
    for quantity in _quantities(asked.level, keys, names):
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


def _quantities(
    level: Level, keys: Sequence[tuple[Calculation, Run | None]], names: Sequence[str]
) -> Iterable[Quantity]:
    """What the rows show; of a calculation first its single run's, then what is of all runs."""
    if level is Level.RUN:
        yield from Quantity.objects.filter(run__in=[run for _, run in keys], name__in=names)
        return
    ids = [calculation.pk for calculation, _ in keys]
    single = [calculation.pk for calculation, _ in keys if calculation.run_count == 1]
    of_runs = Run.objects.filter(calculation__in=single, state=RunState.VALID)
    yield from Quantity.objects.filter(run__in=of_runs, name__in=names)
    yield from Quantity.objects.filter(calculation__in=ids, run=None, name__in=names)


def points(user: User, asked: Asked) -> tuple[list[Point], bool]:
    """Return the newest rows that have both x and y, and whether there are more."""
    if asked.x is None or asked.y is None:
        return [], False
    key = _key(asked.level)
    others = _named(user, asked, asked.y)
    rows = _named(user, asked, asked.x).filter(**{f"{key}__in": others.values(key)})
    same = Quantity.objects.filter(
        _speaking(asked.level),
        name=asked.y.kind.name,
        number__isnull=False,
        **{key: OuterRef(key)},
    )
    beside = same.annotate(key=_in_unit(asked.y)).values("key")[:1]
    rows = rows.annotate(beside=Subquery(beside)).order_by("-pk")
    found = list(rows.values_list("key", "beside", "calculation", "run__index")[: MOST_POINTS + 1])
    by_run = asked.level is Level.RUN
    return [
        Point(x, y, calculation, index + 1 if by_run and index is not None else None)
        for x, y, calculation, index in found[:MOST_POINTS]
        if x is not None and y is not None
    ], len(found) > MOST_POINTS


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
