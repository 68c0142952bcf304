"""Which charts a calculation or one of its runs shows, filled with its stored datasets.

Pages and reports draw the same documents, in the shape that static/js/plots.js knows. Charts of a
run are laid over each other for the runs of a sweep. `documents` is pure; `charts_of` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from django.db.models import Q

from calculations.grids import lines_of
from calculations.models import Calculation, Run
from calculations.services.sweeps import axes_of
from calculations.software.analyses.bands import point_name
from calculations.software.analysis import SWEPT, is_number, thin
from calculations.software.base import Software
from calculations.software.results import Chart
from calculations.states import TERMINAL_RUNS, RunState
from calculations.sweeps.axes import Axis
from calculations.wording import point_words, software_of

MOST_RUNS = 6  # as many as the palette has colours
EVERY = ("*",)  # a chart's y: all columns but that of x
LINES = frozenset({"fit", "identity"})  # columns of these names are lines amid points

Columns = Sequence[Mapping[str, Any]]


class Series(TypedDict):
    label: str
    unit: str
    values: list[Any]
    style: NotRequired[str]  # where it differs from the chart's
    x: NotRequired[list[Any]]  # its places, where they are not those of the chart


class ChartDocument(TypedDict):
    """A chart with its values; `run_index` None where it shows several runs, `dataset` the key of
    the one stored dataset that it draws, None where it draws several.
    """

    id: str
    name: str
    title: str
    note: str
    style: str
    log_y: bool
    analysis: str
    run_index: int | None
    dataset: int | None
    x: Series
    y: list[Series]
    y_label: NotRequired[str]  # where the series are runs, what they show
    from_zero: NotRequired[bool]  # whether the axis of y begins there
    ticks: NotRequired[list[tuple[float, str]]]  # named places on x instead of numbers
    points: NotRequired[dict[str, list[str]]]  # of single points: "names", and "links" to them


@dataclass(frozen=True, slots=True)
class Place:
    """A run as a chart names it: its number from 0, its label, and its value of what is varied."""

    index: int
    label: str
    value: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored dataset; `run_index` None where it was computed from all runs."""

    name: str
    run_index: int | None
    columns: Columns
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    chart: Chart
    analysis: str = ""  # "" for what the plug-in extracts
    across: bool = False


def specs(software: Software, chosen: Iterable[str]) -> list[Spec]:
    """Every chart of a plug-in and of its chosen analyses, those across runs first."""
    wanted = set(chosen)
    found = [Spec(chart) for chart in software.charts]
    found += [
        Spec(chart, analysis.name, analysis.scope == "calculation")
        for analysis in software.analyses
        if analysis.name in wanted
        for chart in analysis.charts
    ]
    return sorted(found, key=lambda spec: not spec.across)


def documents(
    shown: Sequence[Spec],
    stored: Iterable[Stored],
    places: Sequence[Place],
    *,
    swept: Axis | None = None,
    axes: Sequence[Axis] = (),
) -> list[ChartDocument]:
    """Fill the charts for which there is something to draw; what was drawn before is left out.

    `swept` is the one numeric axis, where there is but one; `axes` are all.
    """
    held = {(item.name, item.run_index): item for item in stored}
    found: list[ChartDocument] = []
    numbers: dict[str, int] = {}
    for spec in shown:
        name = spec.chart.dataset
        number = numbers[name] = numbers.get(name, -1) + 1
        if spec.across:
            item = held.get((name, None))
            drawn = _of_grid(spec, number, item, axes) or [_filled(spec, number, item, None)]
        else:
            own = [
                (place, held[name, place.index]) for place in places if (name, place.index) in held
            ]
            drawn = _of_runs(spec, number, own, swept)
        new = [document for document in drawn if document and not _is_there(document, found)]
        for document in new if spec.chart.ticks else ():
            document["ticks"] = _ticks(held.get((spec.chart.ticks, document["run_index"])))
        for document in new:
            part = next((i for i, other in enumerate(found) if _is_there(other, [document])), None)
            if part is None:
                found.append(document)
            else:  # the analysis shows that curve and more
                found[part] = document
    return found


def _ticks(item: Stored | None) -> list[tuple[float, str]]:
    """The places and their names, as papers write them; two names at one place share it."""
    columns = item.columns if item else ()
    if len(columns) < 2:
        return []
    found: dict[float, str] = {}
    for place, name in zip(columns[0]["values"], columns[1]["values"], strict=True):
        if is_number(place):
            words = point_name(str(name))
            before = found.get(place, words)
            found[place] = words if before == words else f"{before}|{words}"
    return list(found.items())


def charts_of(calculation: Calculation, *, run_index: int | None = None) -> list[ChartDocument]:
    """The charts of a calculation, or of one of its runs; bounded, however many runs there are.

    Runs that are not valid are drawn only where none is, or where one is asked for by its number.
    """
    software = software_of(calculation)
    if software is None:
        return []
    axes = axes_of(calculation)
    shown = specs(software, calculation.analyses)
    runs = Run.objects.filter(calculation=calculation).order_by("index")
    if run_index is not None:
        runs = runs.filter(index=run_index)
        shown = [spec for spec in shown if not spec.across]
    else:
        runs = runs.filter(state__in=TERMINAL_RUNS - {RunState.SKIPPED})
    seen = list(runs.values_list("pk", "index", "state", "point"))
    valid = [one for one in seen if one[2] == RunState.VALID]
    chosen = thin(valid, MOST_RUNS) if valid else seen[-1:]
    places = {pk: _place(index, state, point, axes) for pk, index, state, point in chosen}
    rows = calculation.datasets.filter(Q(run=None) | Q(run__in=places)).order_by("id")
    stored = [
        Stored(row.name, places[row.run_id].index if row.run_id else None, row.columns, row.pk)
        for row in rows.filter(
            name__in={name for s in shown for name in (s.chart.dataset, s.chart.ticks) if name}
        )
    ]
    numeric = axes[0] if len(axes) == 1 and axes[0].is_numeric else None
    return documents(shown, stored, list(places.values()), swept=numeric, axes=axes)


def _place(index: int, state: str, point: Sequence[Any], axes: Sequence[Axis]) -> Place:
    value = point[0] if len(axes) == 1 and point else None
    words = point_words(axes, point)
    if is_number(value) and not axes[0].unit:
        words = f"{axes[0].label} {words}"  # a number alone says nothing
    return Place(
        index,
        words,
        float(value) if is_number(value) else None,
        "" if state == RunState.VALID else RunState(state).label.lower(),
    )


def _of_runs(
    spec: Spec, number: int, held: Sequence[tuple[Place, Stored]], swept: Axis | None
) -> list[ChartDocument | None]:
    own = [(place, item.columns) for place, item in held]
    if len(own) > 1:
        if spec.chart.style == "levels" and swept is not None:
            against = _levels(spec, number, own, swept)
            if against is not None:
                return [against]
        together = _overlaid(spec, number, own)
        if together:
            return list(together)
    return [_filled(spec, number, item, place) for place, item in held[-1:]]


def _filled(
    spec: Spec, number: int, item: Stored | None, place: Place | None
) -> ChartDocument | None:
    """One dataset as the chart says; None where there are not two points to draw."""
    chart, columns = spec.chart, item.columns if item else ()
    x, by_name = _x_column(chart, columns), {c["name"]: c for c in columns}
    if x is None:
        return None
    if chart.style == "levels" and len(set(by_name.get("k", {}).get("values", ()))) > 1:
        x = by_name["k"]  # of a solid: in one row they would be a mere staircase
    wanted = chart.y if tuple(chart.y) != EVERY else [n for n in by_name if n != x["name"]]
    drawn = [name for name in wanted if name in by_name]
    y = [_series(by_name[name]) for name in drawn]
    if len(y) > 1 and not LINES.isdisjoint(drawn):
        for name, series in zip(drawn, y, strict=True):
            series["style"] = "line" if name in LINES else "markers"
    head = f"run-{place.index}" if place else "all"
    note = ", ".join(filter(None, (place.label, place.note))) if place else ""
    return _document(
        spec,
        f"{head}-{chart.dataset}-{number}",
        _series(x, keep_words=True),
        y,
        note=note,
        run_index=place.index if place else None,
        dataset=item.id if item else None,
    )


def _of_grid(
    spec: Spec, number: int, item: Stored | None, axes: Sequence[Axis]
) -> list[ChartDocument | None]:
    """What was computed over a grid: a line for each value of the other axes."""
    if item is None or spec.chart.x != SWEPT:
        return []
    found: list[ChartDocument | None] = []
    by_name = {column["name"]: column for column in item.columns}
    for name in spec.chart.y:
        grid = lines_of(item.columns, name, axes, MOST_RUNS)
        if grid is None:
            continue
        column = by_name[name]
        unit = column.get("unit", "")
        y: list[Series] = [{"label": n, "unit": unit, "values": v} for n, v in grid.lines]
        x: Series = {"label": grid.axis.label, "unit": grid.axis.unit, "values": grid.x}
        title = spec.chart.title
        if len(spec.chart.y) > 1:
            title = f"{title}: {column['label']}"
        some = f"{len(grid.lines)} of {grid.of} lines, " if grid.of > len(grid.lines) else ""
        key = f"grid-{spec.chart.dataset}-{number}-{name}"
        note, label = f"{some}by {grid.by}", column["label"]
        found.append(
            _document(spec, key, x, y, title=title, note=note, axis=label, dataset=item.id)
        )
    return found


def _overlaid(spec: Spec, number: int, own: Sequence[tuple[Place, Columns]]) -> list[ChartDocument]:
    """One chart per quantity with a series per run; none where the runs share no axis."""
    chart = spec.chart
    axes = [_x_column(chart, columns) for _, columns in own]
    if any(axis is None or not _is_axis(axis["values"]) for axis in axes):
        return []
    longest = max((axis["values"] for axis in axes), key=len)
    position = {value: i for i, value in enumerate(longest)}
    if any(value not in position for axis in axes for value in axis["values"]):
        return []
    found = []
    for name in chart.y:
        y: list[Series] = []
        column: Mapping[str, Any] = {}
        for (place, columns), axis in zip(own, axes, strict=True):
            column = next((c for c in columns if c["name"] == name), {})
            if not column:
                continue
            values: list[Any] = [None] * len(longest)
            for where, value in zip(axis["values"], _numbers(column["values"]), strict=False):
                values[position[where]] = value
            y.append({"label": place.label, "unit": column.get("unit", ""), "values": values})
        if y:
            x: Series = {**_series(axes[0], keep_words=True), "values": list(longest)}
            title = chart.title if len(chart.y) == 1 else f"{chart.title}: {column['label']}"
            key = f"runs-{chart.dataset}-{number}-{name}"
            document = _document(spec, key, x, y, title=title, axis=column["label"])
            found += [document] if document else []
    return found


def _levels(
    spec: Spec, number: int, own: Sequence[tuple[Place, Columns]], swept: Axis
) -> ChartDocument | None:
    """Levels of all runs over what is varied, as they shift with it."""
    if any(place.value is None for place, _ in own):
        return None
    x: list[Any] = []
    y: list[Series] = []
    for name in spec.chart.y:
        held = [(p, next((c for c in columns if c["name"] == name), None)) for p, columns in own]
        pairs = [(place, column) for place, column in held if column is not None]
        if not pairs:
            continue
        values = [value for _, column in pairs for value in _numbers(column["values"])]
        x = [place.value for place, column in pairs for _ in column["values"]]
        y.append({**_series(pairs[0][1]), "values": values})
    if len(y) != 1:
        return None
    axis: Series = {"label": swept.label, "unit": swept.unit, "values": x}
    return _document(spec, f"runs-{spec.chart.dataset}-{number}-levels", axis, y)


def _document(
    spec: Spec,
    key: str,
    x: Series,
    y: list[Series],
    *,
    title: str = "",
    note: str = "",
    axis: str = "",
    run_index: int | None = None,
    dataset: int | None = None,
) -> ChartDocument | None:
    values = [value for series in y for value in series["values"] if value is not None]
    if len(values) < 2:
        return None
    document: ChartDocument = {
        "id": key,
        "name": spec.chart.dataset,
        "title": title or spec.chart.title,
        "note": note,
        "style": spec.chart.style,
        "log_y": spec.chart.log_y and any(value > 0 for value in values),
        "analysis": spec.analysis,
        "run_index": run_index,
        "dataset": dataset,
        "x": x,
        "y": y,
    }
    if axis:
        document["y_label"] = axis
    return document


def _is_there(document: ChartDocument, found: Iterable[ChartDocument]) -> bool:
    """Some analyses keep a part of what the plug-in extracts: the same curve is drawn once. A fit
    that meets its points exactly is a curve of its own.
    """

    def curves(one: ChartDocument) -> list[tuple[list[Any], str]]:
        return [(series["values"], series.get("style", "")) for series in one["y"]]

    return any(
        other["run_index"] == document["run_index"]
        and other["x"]["values"] == document["x"]["values"]
        and all(curve in curves(other) for curve in curves(document))
        for other in found
    )


def _x_column(chart: Chart, columns: Columns) -> Mapping[str, Any] | None:
    named = next((column for column in columns if column["name"] == chart.x), None)
    return named or (columns[0] if chart.x == SWEPT and columns else None)


def _series(column: Mapping[str, Any], *, keep_words: bool = False) -> Series:
    values = list(column["values"]) if keep_words else _numbers(column["values"])
    return {"label": column["label"], "unit": column.get("unit", ""), "values": values}


def _numbers(values: Iterable[Any]) -> list[float | None]:
    return [value if is_number(value) else None for value in values]


def _is_axis(values: Sequence[Any]) -> bool:
    """Whether the values are numbers that rise, so that runs can share them."""
    return all(is_number(value) for value in values) and all(
        values[i] < values[i + 1] for i in range(len(values) - 1)
    )
