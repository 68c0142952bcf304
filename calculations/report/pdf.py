"""A report as PDF: what it is and whether it holds, results, figures, and all that stands behind.

Loads reportlab and matplotlib when a report is asked for, never at the start of the portal. Long
tables are cut, with a note how much is left out.
"""

from __future__ import annotations

from io import BytesIO

from calculations.report.document import Report
from calculations.report.fonts import register
from calculations.report.story import story


def render(report: Report) -> bytes:
    """Return the file. It costs some tenths of a second, and stays small for any number of runs."""
    register()
    from calculations.report.flowables import flow
    from calculations.report.pages import write

    stream = BytesIO()
    write(stream, report, flow(story(report)))
    return stream.getvalue()
