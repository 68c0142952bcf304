"""A study of scaling: what was measured, at which prices, and which number of ranks is cheapest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from calculations.models import Calculation
from calculations.scaling import gathering, prices
from calculations.scaling.measured import Point, Series, series_of
from calculations.scaling.prices import Functions, Prices, Rented


@dataclass(frozen=True, slots=True)
class Row:
    """One number of ranks of a series, with what follows from it."""

    series: Series
    point: Point
    speed_up: float
    work_speed_up: float | None
    efficiency: float
    rented: Rented
    functions: Functions

    @property
    def efficiency_percent(self) -> float:
        return 100 * self.efficiency


@dataclass(frozen=True, slots=True)
class Cheapest:
    """Of all numbers of ranks that were measured; None where nothing meets the condition."""

    rented: Row | None
    rented_in_time: Row | None
    functions: Row | None
    functions_in_time: Row | None


@dataclass(frozen=True, slots=True)
class Part:
    series: Series
    rows: list[Row]
    cheapest: Cheapest

    @property
    def quickest(self) -> Row:
        return min(self.rows, key=lambda row: row.point.reduced_s.median)

    @property
    def overlaps(self) -> bool:
        """Whether repeated runs leave it open that the quickest is quicker than the first."""
        first, best = self.series.base.reduced_s, self.quickest.point.reduced_s
        return best is not first and best.high >= first.low


@dataclass(frozen=True, slots=True)
class Study:
    """`more`: valid runs beyond those that are looked at."""

    calculations: list[Calculation]
    prices: Prices
    parts: list[Part]
    more: int = 0


def study(calculations: Sequence[Calculation], query: Mapping[str, str]) -> Study:
    """Raises InvalidInput naming every wrong field."""
    runs, offered, more = gathering.measured_of(calculations)
    said = prices.read(query, offered=offered)
    return Study(list(calculations), said, [part_of(one, said) for one in series_of(runs)], more)


def part_of(series: Series, said: Prices) -> Part:
    rows = [
        Row(
            series,
            point,
            series.speed_up(point),
            series.work_speed_up(point),
            series.efficiency(point),
            prices.rented(series, point, said),
            prices.functions(series, point, said.memory_mib),
        )
        for point in series.points
    ]
    return Part(series, rows, _cheapest(rows, said))


def _cheapest(rows: Sequence[Row], said: Prices) -> Cheapest:
    def to_rent(row: Row) -> float:
        """Without a price, the hours: GPUs where there are any, else cores."""
        use = row.rented
        return use.price if use.price is not None else use.gpu_hours or use.core_hours

    def to_call(row: Row) -> float | None:
        return None if row.functions.why_not else row.functions.price

    def best(
        cost: Callable[[Row], float | None], seconds: Callable[[Row], float], late: float | None
    ) -> Row | None:
        """What costs least, of what is within the deadline; the quickest of equal ones."""
        within = [row for row in rows if late is None or seconds(row) <= late]
        priced = [
            (c, seconds(row), n) for n, row in enumerate(within) if (c := cost(row)) is not None
        ]
        return within[min(priced)[2]] if priced else None

    def waited(row: Row) -> float:
        return row.point.reduced_s.median

    def billed(row: Row) -> float:
        return row.functions.billed_s

    late = said.deadline_s
    return Cheapest(
        best(to_rent, waited, None),
        best(to_rent, waited, late) if late else None,
        best(to_call, billed, None),
        best(to_call, billed, late) if late else None,
    )
