"""What is asked of the results: columns, order, conditions, and whose; read from an address."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from calculations.findings.catalogue import Kind, Level, usual
from calculations.selectors import Filters
from calculations.units import factor

MOST_COLUMNS = 12
MOST_CONDITIONS = 12
NAME = re.compile(r"[A-Za-z_][\w.+-]{0,79}")
CONDITION = re.compile(r"\s*([A-Za-z_][\w.+-]{0,79})\s*(<=|>=|<|>|=)\s*(\S+)\s*(\S{0,30})\s*")


class Unreadable(ValueError):
    """A part of the question that cannot be understood; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Column:
    """A quantity in the unit in which it is shown."""

    kind: Kind
    unit: str

    @property
    def token(self) -> str:
        return self.kind.name if self.unit == self.kind.unit else f"{self.kind.name}:{self.unit}"

    def factors(self) -> dict[str, float]:
        """By stored unit, what turns it into the column's; units of other things are left out."""
        found = {unit: factor(unit, self.unit) for unit in self.kind.units}
        return {unit: by for unit, by in found.items() if by is not None}


@dataclass(frozen=True, slots=True)
class Condition:
    """A bound of a quantity, in its column's unit."""

    column: Column
    sign: str
    value: float

    def __str__(self) -> str:
        return f"{self.column.kind.name}{self.sign}{self.value:.12g} {self.column.unit}".strip()

    @property
    def words(self) -> str:
        sign = {"<=": "≤", ">=": "≥"}.get(self.sign, self.sign)
        return f"{self.column.kind.label} {sign} {self.value:.6g} {self.column.unit}".strip()


@dataclass(frozen=True, slots=True)
class Asked:
    """`sort` is a column's name, with a minus for falling order; "" is the newest first."""

    level: Level
    columns: tuple[Column, ...]
    sort: str = ""
    conditions: tuple[Condition, ...] = ()
    x: Column | None = None
    y: Column | None = None
    formula: str = ""
    filters: Filters = field(default_factory=Filters)
    problems: tuple[str, ...] = ()

    @property
    def sorted_by(self) -> Column | None:
        name = self.sort.removeprefix("-")
        return next((c for c in self.columns if c.kind.name == name and c.kind.numeric), None)

    @property
    def descending(self) -> bool:
        return self.sort.startswith("-")

    def at(self, level: Level) -> Asked:
        """The same of other rows, without what none of these has."""
        columns = tuple(one for one in self.columns if one.kind.often(level))
        x, y = (one if one and one.kind.often(level) else None for one in (self.x, self.y))
        moved = replace(self, level=level, columns=columns, x=x, y=y)
        return moved if moved.sorted_by else replace(moved, sort="")

    def query(self, **changes: Any) -> str:
        """Write it as an address, the one way in which views are saved and compared; without
        columns it asks for the usual ones.
        """
        asked = replace(self, **changes)
        pairs: list[tuple[str, str]] = list(asked.filters.active().items())
        if asked.formula:
            pairs.append(("formula", asked.formula))
        if asked.level is not Level.CALCULATION:
            pairs.append(("per", asked.level.value))
        if asked.columns:
            pairs.append(("columns", ",".join(column.token for column in asked.columns)))
        if asked.sort:
            pairs.append(("sort", asked.sort))
        pairs += [("where", str(condition)) for condition in asked.conditions]
        pairs += [(n, c.token) for n, c in (("x", asked.x), ("y", asked.y)) if c is not None]
        return urlencode(pairs)


def read(query: Mapping[str, str], wheres: Sequence[str], kinds: Mapping[str, Kind]) -> Asked:
    """Read an address. What cannot be understood is left out, and named in `problems`."""
    problems: list[str] = []

    def column(token: str) -> Column | None:
        try:
            return read_column(token, kinds)
        except Unreadable as problem:
            problems.append(str(problem))
            return None

    level = Level.RUN if query.get("per") == Level.RUN else Level.CALCULATION
    tokens = [part for part in query.get("columns", "").split(",") if part.strip()]
    named = [found for token in tokens[:MOST_COLUMNS] if (found := column(token))]
    columns = named or [Column(kind, kind.unit) for kind in usual(kinds.values(), level)]
    conditions = []
    for text in wheres[:MOST_CONDITIONS]:
        try:
            conditions += [read_condition(text, kinds)] if text.strip() else []
        except Unreadable as problem:
            problems.append(str(problem))
    numeric = [one for one in columns if one.kind.numeric]
    x = column(query["x"]) if query.get("x") else None
    y = column(query["y"]) if query.get("y") else None
    asked = Asked(
        level=level,
        columns=tuple({one.kind.name: one for one in columns}.values()),
        sort=query.get("sort", "")[:81],
        conditions=tuple(conditions),
        x=x or next(iter(numeric), None),
        y=y or next(iter(numeric[1:]), None),
        formula=query.get("formula", "").strip()[:60],
        filters=Filters.read(query),
        problems=tuple(dict.fromkeys(problems)),
    )
    return asked if asked.sorted_by else replace(asked, sort="")


def read_column(token: str, kinds: Mapping[str, Kind]) -> Column:
    """Read name or name:unit. Raises Unreadable."""
    name, _, unit = token.strip()[:120].partition(":")
    kind = kinds.get(name)
    if kind is None:
        raise Unreadable(f"There is no quantity {name[:60]!r} in the results that you may see.")
    if unit and not any(factor(known, unit) for known in kind.units):
        raise Unreadable(
            f"{kind.label} cannot be given in {unit[:30]!r}; use {kind.unit or 'none'}."
        )
    return Column(kind, unit or kind.unit)


def read_condition(text: str, kinds: Mapping[str, Kind]) -> Condition:
    """Read gap>5 eV. Raises Unreadable."""
    found = CONDITION.fullmatch(text[:200])
    if found is None:
        raise Unreadable(f"{text[:60]!r} is no condition; write one such as gap > 5 eV.")
    name, sign, number, unit = found.groups()
    column = read_column(f"{name}:{unit}" if unit else name, kinds)
    try:
        value = float(number.replace("\N{MINUS SIGN}", "-"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Unreadable(f"{number[:30]!r} is not a number.")
    if not column.kind.numeric:
        raise Unreadable(f"{column.kind.label} is no number and has no bounds.")
    return Condition(column, sign, value)
