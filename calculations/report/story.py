"""The whole report as blocks, in the one order that all its forms share."""

from __future__ import annotations

from calculations.report import background, opening, results
from calculations.report.blocks import Block
from calculations.report.document import Report
from calculations.report.fonts import register


def story(report: Report) -> list[Block]:
    """Long tables are cut, with a note how much is left out."""
    register()  # columns are measured as they are printed
    return [*opening.story(report), *results.story(report), *background.story(report)]
