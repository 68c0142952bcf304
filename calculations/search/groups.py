"""What a search found, by kind: calculations, runs, structures and results, some of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from calculations.models import Calculation, Quantity, Run
from calculations.search.applying import apply
from calculations.search.query import Measured, Query
from calculations.structures.library import structures
from calculations.wording import result_words
from labportal.accounts.models import User

MOST_COUNTED = 1000
KINDS = ("calculations", "runs", "structures", "results")


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are; beyond MOST_COUNTED nobody counts them."""

    number: int

    def __str__(self) -> str:
        return "1 000+" if self.number > MOST_COUNTED else str(self.number)


def rows_of(kind: str, query: Query, user: User) -> QuerySet[Any]:
    """The visible rows that were found, in their order. Results need a quantity to be asked for."""
    if kind == "calculations":
        rows = Calculation.objects.visible_to(user).order_by("-pk")
        related = ("project", "created_by", "cluster", "standing_by", "structure")
        return apply(query, rows.select_related(*related).defer("structure__content"))
    if kind == "runs":
        runs = Run.objects.visible_to(user).select_related("calculation__created_by", "cluster")
        return apply(query, runs.order_by("-calculation_id", "index"))
    if kind == "structures":
        return apply(query, structures(user).order_by("-pk"))
    if not query.measured:
        return Quantity.objects.none()
    quantities = Quantity.objects.visible_to(user).select_related("calculation", "run")
    return apply(query, quantities.order_by("-calculation_id", "name", "id"))


def count(kind: str, query: Query, user: User) -> Count:
    """Count without reading more than MOST_COUNTED."""
    rows = rows_of(kind, query, user).order_by().select_related(None)
    return Count(rows.values("pk")[: MOST_COUNTED + 1].count())


def behind(kind: str, rows: QuerySet[Any], after: str) -> QuerySet[Any]:
    """Those behind the row that `place_of` named; all where it names none."""
    first, _, second = after.partition("-")
    if not (first.isascii() and first.isdecimal() and len(first) < 16):
        return rows
    if kind in ("calculations", "structures"):
        return rows.filter(pk__lt=int(first))
    if not (second.isascii() and second.isdecimal() and len(second) < 16):
        return rows
    if kind == "runs":
        return rows.filter(
            Q(calculation__lt=int(first)) | Q(calculation=int(first), index__gt=int(second))
        )
    name = after.split("-", 2)[2] if after.count("-") > 1 else ""
    return rows.filter(
        Q(calculation__lt=int(first))
        | Q(calculation=int(first), name__gt=name)
        | Q(calculation=int(first), name=name, pk__gt=int(second))
    )


def place_of(kind: str, row: Any) -> str:
    if kind == "runs":
        return f"{row.calculation_id}-{row.index}"
    if kind == "results":
        return f"{row.calculation_id}-{row.pk}-{row.name}"
    return str(row.pk)


def values_of(
    kind: str, shown: Iterable[Any], query: Query
) -> Mapping[Any, list[tuple[str, str, str]]]:
    """What was found of the quantities that were asked for, by row: (label, number, unit)."""
    if not query.measured or kind not in ("calculations", "runs"):
        return {}
    key = "run_id" if kind == "runs" else "calculation_id"
    rows = Quantity.objects.filter(
        **{f"{key}__in": [row.pk for row in shown]}, number__isnull=False
    )
    names = {name for measured in query.measured for name in measured.names}
    held: dict[Any, dict[str, list[float]]] = {}
    by_name = {name: measured for measured in query.measured for name in measured.names}
    for quantity in rows.filter(name__in=names).order_by("id"):
        measured = by_name[quantity.name]
        by = dict(measured.factors).get(quantity.unit)
        if by is not None:
            own = held.setdefault(getattr(quantity, key), {})
            own.setdefault(measured.label, []).append(float(f"{quantity.number * by:.12g}"))
    units = {measured.label: measured.unit for measured in query.measured}
    return {
        place: [
            (label, _spread(numbers, units[label]), units[label]) for label, numbers in own.items()
        ]
        for place, own in held.items()
    }


def in_unit(quantity: Quantity, measured: Iterable[Measured]) -> tuple[str, str]:
    """A result as words in the unit that was asked for, and that unit."""
    for one in measured:
        by = dict(one.factors).get(quantity.unit)
        if quantity.name in one.names and quantity.number is not None and by is not None:
            return result_words(quantity.number * by, one.unit), one.unit
    return result_words(quantity.value, quantity.unit), quantity.unit


def _spread(numbers: list[float], unit: str) -> str:
    low, high = result_words(min(numbers), unit), result_words(max(numbers), unit)
    return low if low == high else f"{low} … {high}"
