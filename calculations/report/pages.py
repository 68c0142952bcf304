"""The pages around the report: header with number and name, page numbers, what the file is called.

Imported inside functions alone, since it loads reportlab.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from django.utils import timezone
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from calculations.report.blocks import clean
from calculations.report.document import Report
from calculations.report.flowables import BAD, LINE, MUTED
from calculations.report.fonts import REGULAR

MARGIN, TOP, BOTTOM = 20 * mm, 22 * mm, 20 * mm
SIZE = 7


def write(stream: BinaryIO, report: Report, story: list[Flowable]) -> None:
    subject = report.calculation
    template = BaseDocTemplate(
        stream,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=TOP,
        bottomMargin=BOTTOM,
        title=clean(f"{subject.number} {subject.name}"),
        author=clean(report.people[0].name if report.people else ""),
        subject=clean(f"Report of the calculation {subject.number}, {report.software.label}"),
        creator=f"Labportal {report.provenance.portal_version}",
        lang="en",
        initialFontName=REGULAR,  # else Helvetica would be named, and it is not in the file
    )
    frame = Frame(MARGIN, BOTTOM, A4[0] - 2 * MARGIN, A4[1] - TOP - BOTTOM, 0, 0, 0, 0)
    template.addPageTemplates(PageTemplate(frames=[frame]))
    head = f"{subject.number}  {subject.name}"
    made = timezone.localtime(report.provenance.generated_at)
    foot = f"Labportal {report.provenance.portal_version}, {made:%Y-%m-%d %H:%M:%S %Z}"

    class Numbered(NumberedCanvas):
        header, footer = clean(head), clean(foot)
        warning = clean(report.trust.warning)

    template.build(story, canvasmaker=Numbered)


class NumberedCanvas(Canvas):
    """Keeps the pages until their number is known, then writes header and footer on each."""

    header = footer = warning = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._kept.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        total = len(self._kept)
        for page, state in enumerate(self._kept, start=1):
            self.__dict__.update(state)
            self._decorate(page, total)
            super().showPage()
        super().save()

    def _decorate(self, page: int, total: int) -> None:
        width, height = A4
        self.saveState()
        self.setFont(REGULAR, SIZE)
        self.setFillColor(MUTED)
        self.setStrokeColor(LINE)
        self.setLineWidth(0.4)
        top, bottom = height - TOP + 6 * mm, BOTTOM - 6 * mm
        if page > 1:
            self.drawString(MARGIN, top, _fitting(self.header, width - 2 * MARGIN))
            self.line(MARGIN, top - 2 * mm, width - MARGIN, top - 2 * mm)
        if self.warning:
            self.setFillColor(BAD)
            words = _fitting(self.warning, width - 2 * MARGIN)
            self.drawString(MARGIN, height - TOP + 11 * mm, words)
            self.setFillColor(MUTED)
        self.drawString(MARGIN, bottom, self.footer)
        self.drawRightString(width - MARGIN, bottom, f"page {page} of {total}")
        self.restoreState()


def _fitting(words: str, width: float) -> str:
    """One line: cut where it is too long."""
    words = " ".join(words.split())
    while words and stringWidth(words, REGULAR, SIZE) > width:
        words = f"{words[: -max(2, len(words) // 20)].rstrip('…')}…"
    return words
