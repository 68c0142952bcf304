"""The charts of a study, for templates/calculations/_figure.html and for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from calculations.charts import ChartDocument
from calculations.charts import Series as Line
from calculations.scaling.prices import SIZES, functions
from calculations.scaling.study import Part, Row, Study

RANKS = "Ranks"
ROOM = 8  # so many names stand beside each other


def charts(study: Study) -> list[ChartDocument]:
    """None where a chart would have a single point."""
    parts = [part for part in study.parts if len(part.rows) > 1]
    if not parts:
        return []
    found = [_times(parts), _speed_up(parts), _efficiency(parts), _start_up(parts)]
    if any(row.point.straggling for part in parts for row in part.rows):
        found.append(_stragglers(parts))
    found.append(_costs(study, parts))
    if any(not part.series.work.gpus for part in parts):
        found += [_memory_time(parts[0]), _memory_cost(parts[0])]
    return found


def _chart(
    name: str,
    title: str,
    y: list[Line],
    *,
    y_label: str = "",
    note: str = "",
    x: str = RANKS,
    from_zero: bool = True,
) -> ChartDocument:
    document: ChartDocument = {
        "id": f"scaling-{name}",
        "name": name,
        "title": title,
        "note": note,
        "style": "line+markers",
        "log_y": False,
        "analysis": "",
        "run_index": None,
        "dataset": None,
        "x": {"label": x, "unit": "GB" if x != RANKS else "", "values": y[0].get("x", [])},
        "y": y,
        "from_zero": from_zero,
    }
    if x == RANKS and (named := _ticks(y)):
        document["ticks"] = named
    if y_label:
        document["y_label"] = y_label
    return document


def _ticks(y: list[Line]) -> list[tuple[float, str]]:
    """Each number of ranks by its name, where there is room for the names."""
    places = sorted({n for line in y if line.get("style") != "line" for n in line.get("x", [])})
    gaps = [after - before for before, after in pairwise(places)]
    if not gaps or (places[-1] - places[0]) > ROOM * min(gaps):
        return []
    return [(n, str(n) if at else f"N = {n}") for at, n in enumerate(places)]


def _line(label: str, unit: str, x: list[Any], values: list[Any], style: str = "") -> Line:
    line: Line = {"label": label, "unit": unit, "x": x, "values": values}
    if style:
        line["style"] = style
    return line


def _lines(
    parts: list[Part], what: str, unit: str, of: Callable[[Row], float | None]
) -> Iterator[Line]:
    for part in parts:
        ranks = [row.point.ranks for row in part.rows]
        label = f"{what}, {part.series.label}" if part.series.label else what
        yield _line(label, unit, ranks, [of(row) for row in part.rows])


def _times(parts: list[Part]) -> ChartDocument:
    y = [
        *_lines(parts, "start to reduced result", "s", lambda row: row.point.reduced_s.median),
        *_lines(parts, "work alone", "s", lambda row: row.point.work_s.median),
    ]
    return _chart("time", "Time", y, y_label="Time / s", note=_note(parts))


def _note(parts: list[Part]) -> str:
    most = max(len(point.runs) for part in parts for point in part.series.points)
    return "medians of repeated runs" if most > 1 else ""


def _speed_up(parts: list[Part]) -> ChartDocument:
    least = min(part.series.base.ranks for part in parts)
    ranks = sorted({row.point.ranks for part in parts for row in part.rows})
    y = [
        *_lines(parts, "start to reduced result", "", lambda row: row.speed_up),
        *_lines(parts, "work alone", "", lambda row: row.work_speed_up),
        _line("ideal", "", ranks, [n / least for n in ranks], "line"),
    ]
    return _chart("speed_up", "Speed-up", y, y_label="Speed-up", note=f"against N = {least}")


def _efficiency(parts: list[Part]) -> ChartDocument:
    y = list(_lines(parts, "Efficiency", "%", lambda row: 100 * row.efficiency))
    return _chart("efficiency", "Efficiency", y, y_label="Efficiency / %")


def _start_up(parts: list[Part]) -> ChartDocument:
    y: list[Line] = []
    for part in parts:
        runs = [(run.ranks, run.ready_s) for point in part.series.points for run in point.runs]
        more = f", {part.series.label}" if part.series.label else ""
        y.append(_line(f"runs{more}", "s", [n for n, _ in runs], [s for _, s in runs], "markers"))
        law = part.series.law
        if law is not None:
            places, values = law.line()
            y.append(_line(f"a + b·{law.term}{more}", "s", places, values, "line"))
    return _chart("start_up", "Start-up T(N)", y, y_label="Until all ranks are ready / s")


def _stragglers(parts: list[Part]) -> ChartDocument:
    y: list[Line] = []
    for part in parts:
        runs = [run for point in part.series.points for run in point.runs]
        known = [(run.ranks, run.straggling) for run in runs if run.straggling is not None]
        label = f"runs, {part.series.label}" if part.series.label else "runs"
        y.append(_line(label, "", [n for n, _ in known], [s for _, s in known], "markers"))
    return _chart(
        "stragglers", "Stragglers", y, y_label="Slowest rank / median rank", from_zero=False
    )


def _costs(study: Study, parts: list[Part]) -> ChartDocument:
    if study.prices.known:
        of = "Rented cores and GPUs"
        y = list(_lines(parts, of, "", lambda row: row.rented.price))
        return _chart("cost", "Cost", y, y_label="Cost", note=study.prices.source)
    y = list(_lines(parts, "Core-hours", "", lambda row: row.rented.core_hours))
    return _chart("cost", "Cost", y, y_label="Core-hours", note="enter a price for money")


def _by_memory(part: Part, take: Callable[[Any], float]) -> list[Line]:
    found = []
    for row in part.rows:
        priced = [(size, functions(part.series, row.point, size)) for size in SIZES]
        fitting = [(size, one) for size, one in priced if not one.why_not]
        if fitting:
            x, values = [size / 1024 for size, _ in fitting], [take(one) for _, one in fitting]
            found.append(_line(f"N = {row.point.ranks}", "", x, values))
    return found or [_line("none", "", [], [])]


def _memory_time(part: Part) -> ChartDocument:
    return _chart(
        "memory_time",
        "Memory against time",
        _by_memory(part, lambda one: one.billed_s),
        y_label="Billed time of a function / s",
        note="estimated: cores come with memory",
        x="Memory of a function",
    )


def _memory_cost(part: Part) -> ChartDocument:
    return _chart(
        "memory_cost",
        "Memory against cost",
        _by_memory(part, lambda one: one.price * 100),
        y_label="Cost of all functions / US cents",
        note="estimated, as Lambda bills",
        x="Memory of a function",
    )
