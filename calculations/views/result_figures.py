"""Figures of the section Analyses: one quantity against another, and how one is spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from calculations.charts import ChartDocument
from calculations.findings.asking import Asked, Column
from calculations.findings.rows import Point
from calculations.views.figures import Figure, figures

BINS = 24


def scatter(asked: Asked, dots: Sequence[Point]) -> Figure | None:
    if asked.x is None or asked.y is None or len(dots) < 2:
        return None
    links = [
        reverse("calculation-detail", args=[dot.calculation, "results"])
        + (f"?run={dot.run}" if dot.run else "")
        for dot in dots
    ]
    names = [f"C-{dot.calculation}" + (f", run {dot.run}" if dot.run else "") for dot in dots]
    document: ChartDocument = {
        "id": "points",
        "name": "points",
        "title": f"{asked.y.kind.label} against {asked.x.kind.label}",
        "note": "",
        "style": "markers",
        "log_y": False,
        "analysis": "",
        "run_index": None,
        "dataset": None,
        "x": {**_axis(asked.x), "values": [dot.x for dot in dots]},
        "y": [{**_axis(asked.y), "values": [dot.y for dot in dots]}],
        "points": {"names": names, "links": links},
    }
    return figures([document])[0]


def _axis(column: Column) -> dict[str, Any]:
    return {"label": column.kind.label, "unit": column.unit}


def histogram(asked: Asked, dots: Sequence[Point]) -> Figure | None:
    values = [dot.x for dot in dots]
    if asked.x is None or len(values) < 3 or min(values) == max(values):
        return None
    low, width = min(values), (max(values) - min(values)) / BINS
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int((value - low) / width))] += 1
    document: ChartDocument = {
        "id": "spread",
        "name": "spread",
        "title": f"How {asked.x.kind.label} is spread",
        "note": "",
        "style": "bars",
        "log_y": False,
        "analysis": "",
        "run_index": None,
        "dataset": None,
        "x": {**_axis(asked.x), "values": [low + (i + 0.5) * width for i in range(BINS)]},
        "y": [{"label": "Rows", "unit": "", "values": counts}],
    }
    return figures([document])[0]
