"""The parts of a report, apart from any form: what is said, in which order, cut where it is long.

opening.py, results.py and background.py make them; flowables.py prints them, html.py shows them.
Texts are plain: each form escapes what it needs. Everything that comes from people, from programs
and from clusters goes through `clean`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calculations.charts import ChartDocument

WIDTH = 170 * 72 / 25.4  # points, of an A4 page between its margins
MOST_CHARACTERS, MOST_LINES = 1200, 30  # of one cell; a cell must fit a page
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Title:
    """The head of the report; `state` is a state's own word, `state_words` is what is read."""

    words: str
    under: str
    state: str
    state_words: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph: "body", "main" (the main result), "note" (small), "warning"."""

    words: str
    style: str = "body"


@dataclass(frozen=True, slots=True)
class Heading:
    """`room` is what must find place below it on its page (points)."""

    words: str
    level: int = 1
    room: float = 110


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels beside what they say; a list becomes lines."""

    rows: Sequence[tuple[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that is not written like the others: "strong", "muted", "mono"."""

    words: str
    style: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: `heads` are (label, unit); the columns of `numeric` hold written numbers, to the
    right. `widths` are points; `title` says what it holds to those who cannot see it.
    """

    title: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str | Cell]]
    widths: Sequence[float]
    numeric: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    number: int
    document: ChartDocument
    caption: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Two stand side by side; a last one alone is larger."""

    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Long:
    """Text of several lines as it was entered, cut after some."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Together:
    """Blocks that stay on one page."""

    blocks: Sequence[Block]


Block = Title | Text | Heading | Facts | Grid | Figures | Long | Together


def clean(value: Any, limit: int = MOST_CHARACTERS) -> str:
    """Take out what cannot be printed, and cut what is too long."""
    words = UNPRINTABLE.sub("\ufffd", str(value))
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


def lines_of(value: Any) -> list[str]:
    """The lines of a text, cut after some."""
    lines = clean(value).splitlines()
    return [*lines[:MOST_LINES], "…"] if len(lines) > MOST_LINES else lines


def one_line(value: Any, limit: int) -> str:
    return clean(" ".join(str(value)[: 4 * limit].split()), limit)


def titled(label: str, unit: str) -> str:
    """Label and unit, which stay on one line with each other."""
    return f"{label}\u00a0/\u00a0{unit}" if unit else label


def left_out(count: int, what: str) -> list[Text]:
    """The note under a table that was cut; `what` in the plural."""
    if count < 1:
        return []
    verb = "are"
    if count == 1:
        verb, what = "is", "quantity" if what == "quantities" else what.removesuffix("s")
    return [Text(f"{count} more {what} {verb} left out here; the JSON report has all.", "note")]


def long_text(value: str, most_lines: int) -> list[Block]:
    lines = [clean(line.replace("\t", "    "), 110) for line in str(value).splitlines()]
    return [Long(lines[:most_lines] or [" "]), *left_out(len(lines) - most_lines, "lines")]
