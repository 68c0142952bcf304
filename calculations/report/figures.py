"""Draws chart documents as figures for print: axis titles with units, no title, one palette.

Matplotlib's object-oriented interface alone, since pyplot's state is shared by all threads. Labels
are never read as mathematics: some come from plug-ins and from clusters.
"""

from __future__ import annotations

import math
from typing import Any

from calculations.charts import ChartDocument, Series
from calculations.report.fonts import REGULAR, folder
from calculations.software.analysis import is_number, thin
from labportal.common.templatetags.labportal import SUPERSCRIPT

# The palette of static/css/tokens.css, light: told apart with any kind of colour vision.
COLOURS = ("#2f5bd8", "#d9760a", "#0e8f6c", "#a8467c", "#2c94c9", "#8a6a00")
MARKERS = ("o", "s", "D", "^", "P", "X")
TEXT, FAINT = "#16202e", "#c9d0da"
SIZE = 7.5
MOST_POINTS = 2000
MANY_POINTS = 60  # beyond, markers hide the line


def draw(document: ChartDocument, width: float, height: float) -> Any:
    """Return a matplotlib figure of that size (points)."""
    from matplotlib.figure import Figure

    from calculations.report.renderer import POINTS_PER_INCH, FigureCanvas

    figure = Figure(
        figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH),
        dpi=POINTS_PER_INCH,
        layout="constrained",
        facecolor="none",
    )
    FigureCanvas(figure)
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    words = _words_of(document["x"]["values"])
    drawn = [_series(axes, document, number, words) for number in range(len(document["y"]))]
    _scale(axes, document, words)
    _frame(axes, document)
    if len(drawn) > 1:
        _legend(axes, drawn, [series["label"] for series in document["y"]])
    return figure


def axis_title(label: str, unit: str) -> str:
    return f"{label} / {unit}" if unit else label


def _words_of(values: list[Any]) -> list[str] | None:
    """The places of an axis that has words instead of numbers; None for numbers."""
    if all(value is None or is_number(value) for value in values):
        return None
    return list(dict.fromkeys(str(value) for value in values))


def _series(axes: Any, document: ChartDocument, number: int, words: list[str] | None) -> Any:
    series: Series = document["y"][number]
    style = series.get("style") or document["style"]
    places = document["x"]["values"]
    if words is not None:
        places = [words.index(str(value)) for value in places]
    pairs = thin(list(zip(places, series["values"], strict=False)), MOST_POINTS)
    x = [math.nan if pair[0] is None else float(pair[0]) for pair in pairs]
    y = [_height(pair[1], document["log_y"]) for pair in pairs]
    colour = COLOURS[number % len(COLOURS)]
    if style == "levels":
        return axes.scatter(x, y, marker="_", s=120, linewidths=1.1, color=colour)
    lined = "line" in style and len(pairs) > 1
    marked = "markers" in style or len(pairs) == 1
    (line,) = axes.plot(
        x,
        y,
        linestyle="-" if lined else "none",
        linewidth=1.1,
        color=colour,
        marker=MARKERS[number % len(MARKERS)] if marked else "none",
        markersize=3.6 if len(pairs) <= MANY_POINTS else 2,
        markerfacecolor="white",
        markeredgecolor=colour,
        markeredgewidth=1.0,
        zorder=3 if marked else 2,
    )
    return line


def _height(value: Any, log: bool) -> float:
    if value is None or (log and value <= 0):
        return math.nan
    return float(value)


def _scale(axes: Any, document: ChartDocument, words: list[str] | None) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, ScalarFormatter

    if document["log_y"]:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    else:
        plain = ScalarFormatter(useOffset=False, useMathText=False)
        plain.set_scientific(False)
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_major_locator(MaxNLocator(6))
    whole = [value for value in document["x"]["values"] if value is not None]
    if words is not None:
        axes.set_xticks(range(len(words)), [word[:24] for word in words], parse_math=False)
    elif all(value == int(value) for value in whole if math.isfinite(value)):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _power(value: float) -> str:
    """10⁻³ in plain characters, so that it needs no mathematical typesetting."""
    if value <= 0:
        return ""
    power = round(math.log10(value))
    return f"10{str(power).translate(SUPERSCRIPT)}" if math.isclose(value, 10.0**power) else ""


def _frame(axes: Any, document: ChartDocument) -> None:
    x, y = document["x"], document["y"]
    units = {series["unit"] for series in y}
    unit = units.pop() if len(units) == 1 else ""
    label = document.get("y_label") or (y[0]["label"] if len(y) == 1 else document["title"])
    font = _font(SIZE)
    plain: dict[str, Any] = {"parse_math": False, "fontproperties": font, "color": TEXT}
    axes.set_xlabel(axis_title(x["label"], x["unit"]), **plain)
    axes.set_ylabel(axis_title(label, unit), **plain)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=TEXT, linewidth=0.6)
    axes.tick_params(
        which="both",
        width=0.6,
        length=2.5,
        colors=TEXT,
        labelsize=SIZE - 0.5,
        labelfontfamily=font.get_name(),
    )
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    axes.set_axisbelow(True)


def _legend(axes: Any, drawn: list[Any], labels: list[str]) -> None:
    """Above the axes, where it hides nothing. A leading _ would hide an entry."""
    names = [label.lstrip("_") or "series" for label in labels]
    legend = axes.legend(
        drawn,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=3,
        frameon=False,
        prop=_font(SIZE - 0.5),
        handlelength=1.6,
        columnspacing=1.2,
        borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _font(size: float) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=str(folder() / f"{REGULAR}.ttf"), size=size)
