"""Figures of a calculation's pages: the charts of charts.py, and what converges right now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from calculations.charts import ChartDocument
from calculations.models import Calculation, Run
from calculations.views.rows import run_label, software_of


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart with its data; drawn by templates/calculations/_figure.html and plots.js."""

    key: str
    title: str
    note: str
    log_y: bool
    document: ChartDocument

    @property
    def data_id(self) -> str:
        """The id of the element that holds the data."""
        return f"data-{self.key}"

    @property
    def datasets(self) -> list[int]:
        """The key of the stored dataset that it draws, if it is one."""
        key = self.document["dataset"]
        return [] if key is None else [key]


def figures(documents: Iterable[ChartDocument]) -> list[Figure]:
    return [Figure(d["id"], d["title"], d["note"], d["log_y"], d) for d in documents]


def convergence(calculation: Calculation, run: Run) -> Figure | None:
    """The live chart of what converges in a run that executes; a plug-in's first chart names it."""
    told: dict[str, Any] = run.progress or {}
    trail = told.get("trail", [])
    if len(trail) < 2:
        return None
    software = software_of(calculation)
    title = software.charts[0].title if software and software.charts else "Convergence"
    values = [value for _, value in trail]
    document: ChartDocument = {
        "id": f"live-{run.index}",
        "name": "convergence",
        "title": title,
        "note": f"{run_label(calculation, run) or f'run {run.index + 1}'}, live",
        "style": "line+markers",
        "log_y": all(value > 0 for value in values),
        "analysis": "",
        "run_index": run.index,
        "dataset": None,
        "x": {"label": told.get("what") or "step", "unit": "", "values": [s for s, _ in trail]},
        "y": [{"label": title, "unit": "", "values": values}],
    }
    return figures([document])[0]
