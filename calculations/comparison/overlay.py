"""Charts of several calculations in one figure each, a series for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from calculations.charts import ChartDocument, Place, Series, Stored, documents, specs
from calculations.models import Calculation, Dataset, Run
from calculations.services.sweeps import axes_of
from calculations.software.analysis import is_number
from calculations.states import RunState
from calculations.units import factor
from calculations.wording import software_of

LONGEST_NAME = 30
BESIDE = ("levels", "bars")  # styles that are unreadable over each other
MOST_FIGURES = 24


def overlaid(calculations: Sequence[Calculation]) -> list[ChartDocument]:
    """Return what at least two of them show, over each other; bands and levels beside each other.

    Two queries, however many calculations there are.
    """
    own = _documents(calculations)
    found: list[ChartDocument] = []
    groups: dict[tuple[Any, ...], list[tuple[Calculation, ChartDocument, Series]]] = {}
    for calculation, document in own:
        if document.get("ticks") or document["style"] in BESIDE:
            found.append(_beside(calculation, document))
            continue
        for series in document["y"]:
            if series.get("style") != "line" or len(document["y"]) == 1:
                key = (document["name"], document["x"]["label"], series["label"])
                groups.setdefault(key, []).append((calculation, document, series))
    together = [
        _together(number, members)
        for number, members in enumerate(groups.values())
        if len({calculation.pk for calculation, *_ in members}) > 1
    ]
    return (together + _shared(found))[:MOST_FIGURES]


def _documents(calculations: Sequence[Calculation]) -> list[tuple[Calculation, ChartDocument]]:
    runs = Run.objects.filter(calculation__in=calculations, state=RunState.VALID)
    held: dict[int, list[Any]] = {}
    columns = ("calculation_id", "pk", "index", "point", "main_value")
    for key, *row in runs.order_by("index").values_list(*columns):
        held.setdefault(key, []).append(row)
    single = [rows[0][0] for rows in held.values() if len(rows) == 1]
    kinds = {c.pk: _specs(c) for c in calculations}
    names = {
        n for own in kinds.values() for s in own for n in (s.chart.dataset, s.chart.ticks) if n
    }
    rows = Dataset.objects.filter(
        Q(run=None) | Q(run__in=single), calculation__in=calculations, name__in=names
    )
    stored: dict[int, list[Stored]] = {}
    for row in rows.order_by("id"):
        item = Stored(row.name, None if row.run_id is None else 0, row.columns, row.pk)
        stored.setdefault(row.calculation_id, []).append(item)
    found: list[tuple[Calculation, ChartDocument]] = []
    for calculation in calculations:
        axes = axes_of(calculation)
        drawn = documents(
            kinds[calculation.pk], stored.get(calculation.pk, []), [Place(0, "")], axes=axes
        )
        found += [(calculation, document) for document in drawn]
        main = _main(calculation, held.get(calculation.pk, []))
        found += [(calculation, main)] if main else []
    return found


def _specs(calculation: Calculation) -> list[Any]:
    software = software_of(calculation)
    return specs(software, calculation.analyses) if software else []


def _main(calculation: Calculation, runs: Sequence[Any]) -> ChartDocument | None:
    """The main result of the runs of a sweep against what varies."""
    axes = axes_of(calculation)
    if len(axes) != 1 or not axes[0].is_numeric or not calculation.main_label:
        return None
    pairs = [
        (point[0], value)
        for _, _, point, value in runs
        if point and is_number(point[0]) and is_number(value)
    ]
    if len(pairs) < 2:
        return None
    label, unit = calculation.main_label, calculation.main_unit
    return {
        "id": "main",
        "name": "main result",
        "title": f"{label} of the runs",
        "note": "",
        "style": "line+markers",
        "log_y": False,
        "analysis": "",
        "run_index": None,
        "dataset": None,
        "x": {"label": axes[0].label, "unit": axes[0].unit, "values": [x for x, _ in pairs]},
        "y": [{"label": label, "unit": unit, "values": [y for _, y in pairs]}],
    }


def _together(
    number: int, members: Sequence[tuple[Calculation, ChartDocument, Series]]
) -> ChartDocument:
    _, first, series = members[0]
    y: list[Series] = []
    left_out = []
    for calculation, document, own in members:
        by_x = factor(document["x"]["unit"], first["x"]["unit"])
        by_y = factor(own["unit"], series["unit"])
        if by_x is None or by_y is None:
            left_out.append(calculation.number)
            continue
        y.append(
            {
                "label": name_of(calculation),
                "unit": series["unit"],
                "values": _times(own["values"], by_y),
                "x": _times(document["x"]["values"], by_x),
            }
        )
    title = first["title"] if len(first["y"]) == 1 else f"{first['title']}: {series['label']}"
    note = f"{', '.join(left_out)} in other units" if left_out else ""
    joint: ChartDocument = {
        **first,
        "id": f"together-{number}",
        "title": title,
        "note": note,
        "dataset": None,
        "run_index": None,
        "y": y,
        "y_label": f"{series['label']} / {series['unit']}" if series["unit"] else series["label"],
    }
    joint.pop("ticks", None)
    return joint


def _beside(calculation: Calculation, document: ChartDocument) -> ChartDocument:
    note = ", ".join(filter(None, (name_of(calculation), document["note"])))
    return {**document, "id": f"of-{calculation.pk}-{document['id']}", "note": note}


def _shared(found: Sequence[ChartDocument]) -> list[ChartDocument]:
    """Those of which there is one of another calculation beside, in pairs."""
    names = [document["name"] for document in found]
    kept = [document for document in found if names.count(document["name"]) > 1]
    return sorted(kept, key=lambda document: document["name"])


def name_of(calculation: Calculation) -> str:
    name = calculation.name
    short = f"{name[: LONGEST_NAME - 1]}…" if len(name) > LONGEST_NAME else name
    return f"{calculation.number} {short}"


def _times(values: Sequence[Any], by: float) -> list[Any]:
    if by == 1.0:
        return list(values)
    return [value * by if is_number(value) else value for value in values]
