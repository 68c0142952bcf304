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
from calculations.wording import value_words
from labportal.common.templatetags.labportal import SUPERSCRIPT

# The palette of static/css/tokens.css, light: told apart with any kind of colour vision.
COLOURS = ("#2f5bd8", "#d9760a", "#0e8f6c", "#a8467c", "#2c94c9", "#8a6a00")
MARKERS = ("o", "s", "D", "^", "P", "X")
TEXT, FAINT = "#16202e", "#c9d0da"
SIZE = 7.5
MOST_POINTS = 2000
MANY_POINTS = 60  # beyond, markers hide the line
MOST_MARKED = 7
SMALL, LARGE = 1e-3, 1e6
FAR = 0.6  # a gap of this part of the whole range
BELOW, ABOVE = -15.0, 10.0  # eV around its zero, of a band structure: what is spoken of
MOST_LEVEL_POINTS = 150  # of all the bars for levels that stand side by side
STEPS = (1, 2, 2.5, 5, 10)
LEGEND_COLUMNS, LONGEST_NAME = 3, 60


def draw(document: ChartDocument, width: float, height: float) -> Any:
    """Return a matplotlib figure of that size (points)."""
    from matplotlib.figure import Figure

    from calculations.report.pdf_renderer import POINTS_PER_INCH, FigureCanvas

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
    document, powers = _scaled(document, words)
    drawn = [_series(axes, document, number, words) for number in range(len(document["y"]))]
    _scale(axes, document, words)
    _frame(axes, document, powers)
    if len(drawn) > 1:
        _legend(axes, drawn, [series["label"] for series in document["y"]], width)
    return figure


def axis_title(label: str, unit: str, power: int = 0) -> str:
    """Total energy / eV; Energy / 10⁹ eV where the axis shows such multiples."""
    factor = f"10{str(power).translate(SUPERSCRIPT)}" if power else ""
    unit = f"{factor} {unit}".strip()
    return f"{label} / {unit}" if unit else label


def _scaled(
    document: ChartDocument, words: list[str] | None
) -> tuple[ChartDocument, tuple[int, int]]:
    """Very large and very small values by a power of ten, which the axis title then names."""
    x, y = document["x"], document["y"]
    of_x = 0 if words is not None else _thousands(x["values"])
    of_y = 0 if document["log_y"] else _thousands([v for series in y for v in series["values"]])
    if not of_x and not of_y:
        return document, (0, 0)
    scaled: ChartDocument = {
        **document,
        "x": {**x, "values": _divided(x["values"], of_x)},
        "y": [{**series, "values": _divided(series["values"], of_y)} for series in y],
    }
    return scaled, (of_x, of_y)


def _thousands(values: list[Any]) -> int:
    """The power of ten, a multiple of 3, by which the values become handy; 0 where they are."""
    largest = max((abs(float(value)) for value in values if value is not None), default=0.0)
    if largest == 0 or SMALL <= largest < LARGE:
        return 0
    return max(min(3 * math.floor(math.log10(largest) / 3), 300), -300)


def _divided(values: list[Any], power: int) -> list[Any]:
    return [None if v is None else float(v) / 10.0**power for v in values] if power else values


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
        width = min(11.0, MOST_LEVEL_POINTS / max(len(set(x)), 1))
        return axes.scatter(x, y, marker="_", s=max(width, 1.5) ** 2, linewidths=1.1, color=colour)
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
    if value is None or (log and not 0 < value < 1e300):
        return math.nan
    return float(value)


def _scale(axes: Any, document: ChartDocument, words: list[str] | None) -> None:
    from matplotlib.ticker import (
        FuncFormatter,
        LogLocator,
        MaxNLocator,
        NullLocator,
        ScalarFormatter,
    )

    if document["log_y"]:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=8))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        plain = ScalarFormatter(useOffset=False, useMathText=False)
        plain.set_scientific(False)
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=STEPS))
    if document["style"] == "levels":
        low, high, _ = visible_levels(document)
        axes.set_ylim(low, high)
    elif document.get("ticks"):
        axes.set_ylim(*visible_bands(document))
    _places(axes, document["x"]["values"], words)
    if document["style"] == "line":
        _close(axes, document)


def _close(axes: Any, document: ChartDocument) -> None:
    """A curve fills its axes; what is never negative stands on zero."""
    axes.margins(x=0)
    values = [v for series in document["y"] for v in series["values"] if v is not None]
    if not document["log_y"] and values and 0 <= min(values) < 0.1 * max(values):
        axes.set_ylim(bottom=0)


def _places(axes: Any, values: list[Any], words: list[str] | None) -> None:
    """Few values are marked where they are; many get round numbers."""
    from matplotlib.ticker import MaxNLocator

    if words is not None:
        axes.set_xticks(range(len(words)), [word[:24] for word in words], parse_math=False)
        return
    places = sorted({value for value in values if value is not None})
    span = places[-1] - places[0] if places else 0.0
    steps = [places[i + 1] - places[i] for i in range(len(places) - 1)]
    if 1 < len(places) <= MOST_MARKED and min(steps) > span / (2 * MOST_MARKED):
        axes.set_xticks(places, [value_words(value) for value in places])
    else:
        whole = all(value == int(value) for value in places)
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=STEPS, integer=whole))


def visible_levels(document: ChartDocument) -> tuple[float, float, int]:
    """Return (lowest, highest, how many lie outside) of what a figure of levels shows.

    A few levels far from all others, such as those of a core, would press the rest into a line.
    """
    levels = sorted(v for series in document["y"] for v in series["values"] if v is not None)
    total = len(levels)
    while len(levels) > 2:
        gaps = [(levels[i + 1] - levels[i], i) for i in range(len(levels) - 1)]
        gap, place = max(gaps)
        left, right = levels[: place + 1], levels[place + 1 :]
        if gap < FAR * (levels[-1] - levels[0]) or min(len(left), len(right)) > total / 4:
            break
        levels = max(left, right, key=len)
    margin = max((levels[-1] - levels[0]) * 0.05, 1e-6)
    return levels[0] - margin, levels[-1] + margin, total - len(levels)


def visible_bands(document: ChartDocument) -> tuple[float, float]:
    """Return (lowest, highest) energy that a figure of bands shows: those around the gap."""
    values = [v for series in document["y"] for v in series["values"] if v is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.03 * (high - low)
    if not _is_relative(document["y"][0]["label"]) or document["y"][0]["unit"] != "eV":
        return low - margin, high + margin
    return max(low - margin, BELOW), min(high + margin, ABOVE)


def _is_relative(label: str) -> bool:
    """Whether zero stands for something: energy from the Fermi level, from mid-gap."""
    return " from " in f" {label.lower()} "


def _references(axes: Any, document: ChartDocument) -> None:
    """A broken line where the Fermi level, the top of the valence bands or the like is."""
    broken = {"color": TEXT, "linewidth": 0.7, "linestyle": (0, (4, 3)), "zorder": 1}
    if _is_relative(document["x"]["label"]) and _holds_zero(axes.get_xlim()):
        axes.axvline(0, **broken)
    if document["style"] != "levels" and _is_relative(document["y"][0]["label"]):
        axes.axhline(0, **broken)


def _holds_zero(limits: tuple[float, float]) -> bool:
    return limits[0] <= 0 <= limits[1]


def _power(value: float) -> str:
    """10⁻³ in plain characters, so that it needs no mathematical typesetting."""
    if value <= 0:
        return ""
    power = round(math.log10(value))
    return f"10{str(power).translate(SUPERSCRIPT)}" if math.isclose(value, 10.0**power) else ""


def _frame(axes: Any, document: ChartDocument, powers: tuple[int, int]) -> None:
    x, y = document["x"], document["y"]
    units = {series["unit"] for series in y}
    unit = units.pop() if len(units) == 1 else ""
    label = document.get("y_label") or (y[0]["label"] if len(y) == 1 else document["title"])
    font = _font(SIZE)
    plain: dict[str, Any] = {"parse_math": False, "fontproperties": font, "color": TEXT}
    if ticks := document.get("ticks"):
        factor = 10.0 ** powers[0]
        names = [name[:24] for _, name in ticks]
        axes.set_xticks([place / factor for place, _ in ticks], names, parse_math=False)
        axes.grid(axis="x", color=FAINT, linewidth=0.4)
    else:
        axes.set_xlabel(axis_title(x["label"], x["unit"], powers[0]), **plain)
    _references(axes, document)
    axes.set_ylabel(_fitted(axis_title(label, unit, powers[1]), _height_of(axes)), **plain)
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


def _height_of(axes: Any) -> float:
    """Points that there are for the title of the vertical axis."""
    figure = axes.get_figure()
    return 0.92 * figure.get_size_inches()[1] * figure.dpi


def _width_of(words: str, size: float = SIZE) -> float:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return stringWidth(words, REGULAR, size)


def _fitted(title: str, room: float) -> str:
    """In two lines where it is longer than its axis."""
    if _width_of(title) <= room or " " not in title:
        return title
    breaks = [i for i, letter in enumerate(title) if letter == " " and title[i + 1 : i + 2] != "/"]
    middle = min(breaks or [title.index(" ")], key=lambda i: abs(i - len(title) / 2))
    return f"{title[:middle]}\n{title[middle + 1 :]}"


def _legend(axes: Any, drawn: list[Any], labels: list[str], width: float) -> None:
    """Above the axes, where it hides nothing. A leading _ would hide an entry."""
    names = [label.lstrip("_")[:LONGEST_NAME] or "series" for label in labels]
    handle, gap, size = 1.6, 1.2, SIZE - 0.5  # the first two in ems
    widest = max(_width_of(name, size) for name in names) + (handle + 0.8 + gap) * size
    legend = axes.legend(
        drawn,
        names,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=max(1, min(LEGEND_COLUMNS, int((width - 40) / widest))),
        frameon=False,
        prop=_font(size),
        labelcolor=TEXT,
        handlelength=handle,
        columnspacing=gap,
        borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _font(size: float) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(fname=str(folder() / f"{REGULAR}.ttf"), size=size)
