"""Columns of the tables in reports: measured as they are printed, shared out to several tables."""

from __future__ import annotations

from collections.abc import Sequence

from calculations.report.blocks import WIDTH, Grid, titled
from calculations.report.fonts import REGULAR, SMALL

PADDING = 4
LOOSE = 30  # points between columns at most
LEAST, WIDEST = 40.0, 170.0


class Column:
    """A column as it is printed: its head (label, unit), its written cells, its width."""

    def __init__(
        self, head: tuple[str, str], cells: Sequence[str], numeric: bool, least: float = LEAST
    ) -> None:
        self.head, self.cells, self.numeric = head, cells, numeric
        parts = [*titled(*head).split(" "), *cells]
        self.width = min(max([least, *(_width_of(part) for part in parts)]), WIDEST)


def grids(title: str, lead: Sequence[Column], columns: Sequence[Column]) -> list[Grid]:
    """As many tables as the columns need; each begins with the columns of `lead`."""
    room = WIDTH - sum(column.width for column in lead)
    return [_grid(title, [*lead, *chunk]) for chunk in _chunks(columns, room)]


def _grid(title: str, columns: Sequence[Column]) -> Grid:
    """As wide as the page, unless a few columns would be far apart."""
    taken = sum(column.width for column in columns)
    more = min((WIDTH - taken) / len(columns), LOOSE)
    return Grid(
        title,
        [column.head for column in columns],
        list(zip(*(column.cells for column in columns), strict=True)),
        [column.width + more for column in columns],
        [i for i, column in enumerate(columns) if column.numeric],
    )


def _chunks(columns: Sequence[Column], width: float) -> list[list[Column]]:
    found: list[list[Column]] = [[]]
    taken = 0.0
    for column in columns:
        if found[-1] and taken + column.width > width:
            found.append([])
            taken = 0.0
        found[-1].append(column)
        taken += column.width
    return found


def _width_of(words: str) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return stringWidth(words, REGULAR, SMALL) + 2 * PADDING + 1
