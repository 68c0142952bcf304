"""A report as one HTML file: no script, nothing from elsewhere, figures and their typeface inside.

It says what the PDF says, in the same order; it reads in light and dark, and prints on A4.
"""

from __future__ import annotations

import base64
import re
from io import BytesIO
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import mark_safe

from calculations.charts import ChartDocument, Series
from calculations.report import blocks as b
from calculations.report.document import Report
from calculations.report.figures import axis_title
from calculations.report.fonts import REGULAR, folder
from calculations.report.story import story
from calculations.software.analysis import is_number
from calculations.wording import result_words

HALF, FULL = (236.0, 168.0), (360.0, 205.0)  # points, of a figure beside another, and alone
OF_TEXT = re.compile(r"<text [^>]*>([^<]*)</text>")
ALWAYS = "0123456789 ().,−×·/"


def render(report: Report) -> bytes:
    shown = [_shown(block, report) for block in story(report)]
    figures = "".join(str(part) for item in shown for part in item.get("svgs", ()))
    made = timezone.localtime(report.provenance.generated_at)
    context = {
        "report": report,
        "title": b.clean(f"{report.calculation.number} {report.calculation.name}"),
        "author": b.clean(report.people[0].name if report.people else ""),
        "blocks": shown,
        "made": f"{made:%Y-%m-%d %H:%M:%S %Z}",
        "font": _font(figures) if figures else "",
    }
    return render_to_string("calculations/report/report.html", context).encode()


def _shown(block: b.Block, report: Report) -> dict[str, Any]:
    """What the template of a block needs."""
    kind = type(block).__name__.lower()
    match block:
        case b.Figures():
            drawn = [_figure(figure, len(block.figures)) for figure in block.figures]
            return {"kind": kind, "figures": drawn, "svgs": [f["svg"] for f in drawn]}
        case b.Together():
            return {"kind": kind, "blocks": [_shown(inner, report) for inner in block.blocks]}
        case b.Grid():
            return {"kind": kind, "grid": _grid(block)}
        case b.Facts():
            rows = [(b.clean(label), _lines(value)) for label, value in block.rows]
            return {"kind": kind, "rows": rows}
        case b.Heading():
            return {"kind": kind, "words": b.clean(block.words), "level": block.level + 1}
        case b.Long():
            return {"kind": kind, "words": "\n".join(block.lines)}
        case b.Text():
            return {"kind": kind, "lines": b.lines_of(block.words), "style": block.style}
        case b.Title():
            return {
                "kind": kind,
                "words": b.clean(block.words),
                "under": b.clean(block.under),
                "state": block.state,
                "state_words": b.clean(block.state_words),
            }


def _lines(value: str | list[str]) -> list[str]:
    if isinstance(value, list):
        return [b.one_line(line, 240) for line in value]
    return b.lines_of(value)


def _grid(block: b.Grid) -> dict[str, Any]:
    numeric = set(block.numeric)
    return {
        "title": b.clean(block.title),
        "heads": [
            {"words": b.clean(b.titled(label, unit)), "numeric": place in numeric}
            for place, (label, unit) in enumerate(block.heads)
        ],
        "rows": [
            [_cell(cell, place in numeric) for place, cell in enumerate(row)] for row in block.rows
        ],
    }


def _cell(cell: str | b.Cell, numeric: bool) -> dict[str, Any]:
    words = cell.words if isinstance(cell, b.Cell) else cell
    style = cell.style if isinstance(cell, b.Cell) else ""
    lines = [b.clean(words, 60)] if numeric else b.lines_of(words)
    return {"lines": lines, "style": "num" if numeric else style}


def _figure(figure: b.Figure, of: int) -> dict[str, Any]:
    from calculations.report.svg_renderer import drawn

    alone = figure.number == of and of % 2 == 1
    svg = drawn(
        figure.document, f"f{figure.number}", alt(figure.document), *(FULL if alone else HALF)
    )
    return {"svg": mark_safe(svg), "caption": b.clean(figure.caption), "alone": alone}  # noqa: S308


def alt(document: ChartDocument) -> str:
    """Say in words what a figure shows, to those who cannot see it."""
    x, curves = document["x"], document["y"]
    label = document.get("y_label") or (curves[0]["label"] if len(curves) == 1 else "")
    what = axis_title(label, curves[0]["unit"]) if label else document["title"]
    words = f"{what} against {axis_title(x['label'], x['unit'])}"
    told = [_curve(series, named=len(curves) > 1) for series in curves[:8]]
    more = f"; and {len(curves) - 8} more" if len(curves) > 8 else ""
    return b.clean(f"{words}. {'; '.join(told)}{more}.")


def _curve(series: Series, *, named: bool) -> str:
    values = [float(value) for value in series["values"] if is_number(value)]
    head = f"{series['label']}: " if named else ""
    if not values:
        return f"{head}no values"
    unit = f" {series['unit']}" if series["unit"] else ""
    low, high = result_words(min(values), series["unit"]), result_words(max(values), series["unit"])
    return f"{head}{len(values)} points from {low} to {high}{unit}"


def _font(figures: str) -> str:
    """The characters of the figures out of the typeface in which they were measured, as base64."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    written = "".join(OF_TEXT.findall(figures)) + ALWAYS + "&<>\"'"
    options = Options(hinting=False, layout_features=[], name_IDs=[], notdef_outline=True)
    # Of no use without features, and long to read.
    options.drop_tables += ["FFTM", "GDEF", "GPOS", "GSUB", "MATH"]
    font = TTFont(folder() / f"{REGULAR}.ttf")
    subsetter = Subsetter(options)
    subsetter.populate(text=written)
    subsetter.subset(font)
    font.flavor = "woff"
    stream = BytesIO()
    font.save(stream)
    return base64.b64encode(stream.getvalue()).decode()
