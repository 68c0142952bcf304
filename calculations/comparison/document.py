"""A comparison for programs: one document, and one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calculations.comparison.table import Section
from calculations.exports.tables import Head, Table, plain
from calculations.models import Calculation


def document(
    calculations: Sequence[Calculation], reference: int, compared: Sequence[Section]
) -> dict[str, Any]:
    return {
        "calculations": [
            {
                "id": c.pk,
                "number": c.number,
                "name": c.name,
                "software": c.software,
                "state": c.state,
                "standing": c.standing,
                "doubt": c.doubt,
                "url": c.get_absolute_url(),
            }
            for c in calculations
        ],
        "reference": reference,
        "sections": [
            {
                "name": section.name,
                "title": section.title,
                "lines": [
                    {
                        "name": line.name,
                        "label": line.label,
                        "unit": line.unit,
                        "differs": line.differs,
                        "values": [plain(cell.value) for cell in line.cells],
                        "differences": [cell.delta for cell in line.cells],
                        "units": [cell.unit or line.unit for cell in line.cells],
                    }
                    for line in section.lines
                ],
            }
            for section in compared
        ],
    }


def table(calculations: Sequence[Calculation], compared: Sequence[Section]) -> Table:
    """A row for each line, a column for each calculation."""
    heads = [Head("section", "Section"), Head("name", "Name"), Head("label", "Label")]
    heads += [Head("unit", "Unit")]
    heads += [Head(f"c{c.pk}", f"{c.number} {c.name}") for c in calculations]
    rows = [
        [section.title, line.name, line.label, line.unit, *map(_cell, line.cells)]
        for section in compared
        for line in section.lines
    ]
    return Table("comparison", "Comparison", heads, rows)


def _cell(cell: Any) -> Any:
    value = cell.value
    if isinstance(value, list | tuple | dict):
        return cell.words
    return f"{value} {cell.unit}" if cell.unit else value
