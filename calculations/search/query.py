"""What was asked, understood: conditions that all hold, each of which can be said in words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Field(StrEnum):
    STATE = "state"
    STANDING = "standing"
    SOFTWARE = "software"
    PERSON = "person"
    PROJECT = "project"
    CLUSTER = "cluster"
    FORMULA = "formula"
    ELEMENT = "element"
    TAG = "tag"
    NUMBER = "number"
    SUBSTANCE = "substance"  # a formula, or words
    TEXT = "text"
    CREATED = "created"
    SUBMITTED = "submitted"
    FINISHED = "finished"
    RUNS = "runs"
    CORES = "cores"
    ATOMS = "atoms"
    PRIORITY = "priority"
    QUANTITY = "quantity"


@dataclass(frozen=True, slots=True)
class Span:
    """From `low` to `high`; None where it has no end there."""

    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """A quantity by the names under which it is stored; `factors` turn each stored unit into the
    one of the condition.
    """

    names: tuple[str, ...]
    label: str
    unit: str
    factors: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """`values` are alternatives; `written` is how it is typed, `words` how it is understood.

    A quantity without span or values must be there, whatever it is.
    """

    field: Field
    written: str
    words: str
    values: tuple[str, ...] = ()
    span: Span | None = None
    measured: Measured | None = None
    negated: bool = False

    def __str__(self) -> str:
        if not self.negated:
            return self.written
        return f"{'not ' if self.written[0].isdigit() else '-'}{self.written}"

    @property
    def said(self) -> str:
        return f"except {self.words}" if self.negated else self.words


@dataclass(frozen=True, slots=True)
class Query:
    """`text` is what was typed; `idle` the words in it that narrow nothing."""

    text: str = ""
    conditions: tuple[Condition, ...] = ()
    idle: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The one way in which it is written, saved and compared."""
        return " ".join(map(str, self.conditions))

    def without(self, condition: Condition) -> Query:
        return replace(self, conditions=tuple(c for c in self.conditions if c is not condition))

    @property
    def measured(self) -> tuple[Measured, ...]:
        """The quantities that it asks for."""
        return tuple(c.measured for c in self.conditions if c.measured and not c.negated)
