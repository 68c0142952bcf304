"""Prints the blocks of a report: as what reportlab lays out on pages.

Imported inside functions alone, since it loads reportlab. Texts go through `text` or through a
plain string cell, and are never read as mark-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    KeepTogether,
    LongTable,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
    XPreformatted,
)

from calculations.charts import ChartDocument
from calculations.report import blocks as b
from calculations.report.blocks import WIDTH, clean, lines_of, one_line, titled
from calculations.report.columns import PADDING
from calculations.report.fonts import BOLD, MONO, REGULAR, SMALL
from calculations.states import CalculationState

INK, MUTED, LINE, SOFT = (HexColor(c) for c in ("#16202e", "#5d6879", "#c9d0da", "#f4f6f9"))
BAD = HexColor("#b92c17")
# The words' colours of static/css/tokens.css, light.
COLOURS = {
    CalculationState.VALID: "#159a5b",
    CalculationState.NOT_VALID: "#d9760a",
    CalculationState.FAILED: "#d4351c",
    CalculationState.RUNNING: "#2380e6",
    CalculationState.QUEUED: "#b7860b",
    CalculationState.IN_REVIEW: "#7c5cf0",
}
GREY = "#8a94a6"
GAP = 14

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
    "warning": ParagraphStyle("warning", BODY, fontName=BOLD, textColor=BAD, spaceBefore=4),
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


def flow(blocks: Iterable[b.Block]) -> list[Flowable]:
    return [item for block in blocks for item in _PRINTED[type(block)](block)]


def text(value: Any, style: str = "body") -> Paragraph:
    """A paragraph of plain text: mark-up in it is printed, not obeyed."""
    return Paragraph("<br/>".join(escape(line) for line in lines_of(value)), STYLES[style])


def _title(block: b.Title) -> list[Flowable]:
    return [
        text(block.words, "title"),
        text(block.under, "under"),
        Spacer(0, 6),
        State(block.state, clean(block.state_words)),
    ]


def _text(block: b.Text) -> list[Flowable]:
    return [text(block.words or " ", block.style)]


def _heading(block: b.Heading) -> list[Flowable]:
    """keepWithNext would move a whole table to the next page."""
    style = "heading" if block.level == 1 else "subheading"
    return [CondPageBreak(block.room), text(block.words, style)]


def _facts(block: b.Facts) -> list[Flowable]:
    cells = [
        [
            text(label, "muted"),
            [text(one_line(line, 240), "cell") for line in value]
            if isinstance(value, list)
            else text(value, "cell"),
        ]
        for label, value in block.rows
    ]
    made = LongTable(cells, colWidths=[WIDTH * 0.24, WIDTH * 0.76])
    made.setStyle(_style_of(()))
    return [Spacer(0, 6), made]


def _grid(block: b.Grid) -> list[Flowable]:
    numeric = block.numeric
    top = [
        text(titled(label, unit), "head-right" if i in numeric else "head")
        for i, (label, unit) in enumerate(block.heads)
    ]
    body = [[_cell(cell, i in numeric) for i, cell in enumerate(row)] for row in block.rows]
    made = LongTable([top, *body], colWidths=list(block.widths), repeatRows=1)
    made.setStyle(_style_of(numeric, head=True))
    made.hAlign, made.spaceBefore, made.spaceAfter = "LEFT", 3, 6
    return [made]


def _cell(cell: str | b.Cell, numeric: bool) -> Any:
    if isinstance(cell, b.Cell):
        return text(cell.words, cell.style)
    return clean(cell, 60) if numeric else text(cell, "cell")


def _figures(block: b.Figures) -> list[Flowable]:
    half = (WIDTH - GAP) / 2
    printed: list[Flowable] = []
    for first in range(0, len(block.figures), 2):
        pair = block.figures[first : first + 2]
        if len(pair) == 1:
            printed.append(KeepTogether(_figure(pair[0], WIDTH * 0.7, 175)))
            continue
        left, right = (_figure(figure, half, 160) for figure in pair)
        row = Table([[left, "", right]], colWidths=[half, GAP, half])
        row.setStyle(
            [("FONT", (0, 0), (-1, -1), REGULAR), ("VALIGN", (0, 0), (-1, -1), "TOP"), *_NO_PADDING]
        )
        printed += [KeepTogether([row]), Spacer(0, 8)]
    return printed


def _figure(figure: b.Figure, width: float, height: float) -> list[Flowable]:
    return [Drawing(figure.document, width, height), text(figure.caption, "note")]


_NO_PADDING = [
    (f"{side}PADDING", (0, 0), (-1, -1), 0) for side in ("LEFT", "RIGHT", "TOP", "BOTTOM")
]


def _long(block: b.Long) -> list[Flowable]:
    return [XPreformatted(escape("\n".join(block.lines)) or " ", STYLES["mono"])]


def _together(block: b.Together) -> list[Flowable]:
    return [KeepTogether(flow(block.blocks))]


_PRINTED: dict[type, Any] = {
    b.Title: _title,
    b.Text: _text,
    b.Heading: _heading,
    b.Facts: _facts,
    b.Grid: _grid,
    b.Figures: _figures,
    b.Long: _long,
    b.Together: _together,
}


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


class State(Flowable):
    """A dot of colour and the word, since colour alone is no sign."""

    def __init__(self, state: str, words: str) -> None:
        super().__init__()
        self.state, self.words = state, words

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        self.width, self.height = available_width, 15.0
        return self.width, self.height

    def draw(self) -> None:
        body = STYLES["body"]
        self.canv.setFillColor(HexColor(COLOURS.get(self.state, GREY)))
        self.canv.circle(3.5, 6.5, 3.5, stroke=0, fill=1)
        self.canv.setFillColor(body.textColor)
        self.canv.setFont(body.fontName, body.fontSize)
        self.canv.drawString(12, 3.5, self.words)


class Drawing(Flowable):
    """A chart of the full or of half the width."""

    def __init__(self, document: ChartDocument, width: float, height: float) -> None:
        super().__init__()
        self.document, self.width, self.height = document, width, height

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        from calculations.report.figures import draw
        from calculations.report.pdf_renderer import PdfRenderer

        figure = draw(self.document, self.width, self.height)
        figure.draw(PdfRenderer(self.canv, self.width, self.height))
