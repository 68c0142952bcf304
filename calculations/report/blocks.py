"""The building blocks of the PDF: text that is never read as markup, tables that stay short.

Imported inside functions alone, since it loads reportlab. Everything that comes from people, from
programs and from clusters goes through `text` or through a plain string cell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Flowable, LongTable, Paragraph, Spacer, TableStyle, XPreformatted

from calculations.charts import ChartDocument
from calculations.report.fonts import BOLD, MONO, REGULAR

WIDTH = A4[0] - 40 * mm
INK, MUTED, LINE, SOFT = (HexColor(c) for c in ("#16202e", "#5d6879", "#c9d0da", "#f4f6f9"))
ACCENT = HexColor("#2f5bd8")
SMALL = 7.5
PADDING = 4
MOST_CHARACTERS, MOST_LINES = 1200, 30  # of one cell; a cell must fit a page
MOST_FACTS = 12
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")

BODY = ParagraphStyle("body", fontName=REGULAR, fontSize=9, leading=13, textColor=INK)
STYLES = {
    "body": BODY,
    "title": ParagraphStyle("title", BODY, fontName=BOLD, fontSize=17, leading=22),
    "under": ParagraphStyle("under", BODY, textColor=MUTED),
    "main": ParagraphStyle("main", BODY, fontSize=12, leading=17, spaceBefore=4),
    "heading": ParagraphStyle(
        "heading", BODY, fontName=BOLD, fontSize=11, leading=14, spaceBefore=13, spaceAfter=4
    ),
    "subheading": ParagraphStyle(
        "subheading", BODY, fontName=BOLD, fontSize=8.5, leading=12, spaceBefore=7, spaceAfter=2
    ),
    "note": ParagraphStyle("note", BODY, fontSize=SMALL, leading=10.5, textColor=MUTED),
    "cell": ParagraphStyle("cell", BODY, fontSize=SMALL, leading=10),
    "muted": ParagraphStyle("muted", BODY, fontSize=SMALL, leading=10, textColor=MUTED),
    "strong": ParagraphStyle("strong", BODY, fontName=BOLD, fontSize=SMALL, leading=10),
    "head": ParagraphStyle("head", BODY, fontSize=SMALL, leading=9.5, textColor=MUTED),
    "mono": ParagraphStyle("mono", BODY, fontName=MONO, fontSize=7, leading=9),
}
STYLES["head-right"] = ParagraphStyle("head-right", STYLES["head"], alignment=TA_RIGHT)
for _style in STYLES.values():
    _style.splitLongWords = 1


def clean(value: Any, limit: int = MOST_CHARACTERS) -> str:
    """Take out what cannot be printed, and cut what is too long."""
    words = UNPRINTABLE.sub("\ufffd", str(value))
    return words if len(words) <= limit else f"{words[: limit - 1]}…"


def text(value: Any, style: str = "body") -> Paragraph:
    """A paragraph of plain text: mark-up in it is printed, not obeyed."""
    lines = clean(value).splitlines()
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], "…"]
    return Paragraph("<br/>".join(escape(line) for line in lines), STYLES[style])


def one_line(value: Any, limit: int) -> str:
    return clean(" ".join(str(value)[: 4 * limit].split()), limit)


def heading(words: str, level: int = 1) -> Paragraph:
    """Put a CondPageBreak before it: keepWithNext would move a whole table to the next page."""
    return text(words, "heading" if level == 1 else "subheading")


def titled(label: str, unit: str) -> str:
    """Label and unit, which stay on one line with each other."""
    return f"{label}\u00a0/\u00a0{unit}" if unit else label


def left_out(count: int, what: str) -> list[Flowable]:
    """The note under a table that was cut; `what` in the plural."""
    if count < 1:
        return []
    verb = "are"
    if count == 1:
        verb, what = "is", "quantity" if what == "quantities" else what.removesuffix("s")
    words = f"{count} more {what} {verb} left out here; the JSON report has all."
    return [Spacer(0, 3), text(words, "note")]


def facts(rows: Sequence[tuple[str, Any]], width: float = WIDTH) -> LongTable:
    """Labels beside what they say; a list becomes lines."""
    cells = [
        [
            text(label, "muted"),
            [text(one_line(line, 240), "cell") for line in value[:MOST_FACTS]]
            if isinstance(value, list)
            else text(value, "cell"),
        ]
        for label, value in rows
    ]
    table = LongTable(cells, colWidths=[width * 0.24, width * 0.76])
    table.setStyle(_style_of(()))
    return table


def table(
    heads: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[Any]],
    widths: Sequence[float],
    *,
    numeric: Sequence[int] = (),
) -> LongTable:
    """`heads` are (label, unit); the columns of `numeric` hold written numbers, to the right."""
    top = [
        text(titled(label, unit), "head-right" if i in numeric else "head")
        for i, (label, unit) in enumerate(heads)
    ]
    body = [
        [
            clean(cell, 60)
            if i in numeric
            else cell
            if isinstance(cell, Flowable)
            else text(cell, "cell")
            for i, cell in enumerate(row)
        ]
        for row in rows
    ]
    made = LongTable([top, *body], colWidths=list(widths), repeatRows=1)
    made.setStyle(_style_of(numeric, head=True))
    return made


def _style_of(numeric: Sequence[int], *, head: bool = False) -> TableStyle:
    rules: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), REGULAR, SMALL, 10),
        ("TEXTCOLOR", (0, 0), (-1, -1), INK),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), PADDING),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, LINE),
    ]
    if head:
        rules += [
            ("LINEABOVE", (0, 0), (-1, 0), 0.7, INK),
            ("LINEBELOW", (0, 0), (-1, 0), 0.5, INK),
            ("LINEBELOW", (0, -1), (-1, -1), 0.7, INK),
            ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ]
    rules += [("ALIGN", (column, 1), (column, -1), "RIGHT") for column in numeric]
    return TableStyle(rules)


def width_of(words: str, *, bold: bool = False) -> float:
    return stringWidth(words, BOLD if bold else REGULAR, SMALL) + 2 * PADDING + 1


def long_text(value: str, most_lines: int) -> list[Flowable]:
    """Text of several lines as it was entered, cut after some."""
    lines = [clean(line.replace("\t", "    "), 110) for line in str(value).splitlines()]
    shown = XPreformatted(escape("\n".join(lines[:most_lines])) or " ", STYLES["mono"])
    return [shown, *left_out(len(lines) - most_lines, "lines")]


class Drawing(Flowable):
    """A chart of the full or of half the width."""

    def __init__(self, document: ChartDocument, width: float, height: float) -> None:
        super().__init__()
        self.document, self.width, self.height = document, width, height

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        from calculations.report.figures import draw
        from calculations.report.renderer import ReportRenderer

        figure = draw(self.document, self.width, self.height)
        figure.draw(ReportRenderer(self.canv, self.width, self.height))
