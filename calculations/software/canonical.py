"""The one spelling of a run's extracted results, and its SHA-256: told by the agent, checked on
arrival, and computed again from the database before raw files are deleted.

It holds what storing keeps and nothing else: texts are cut as the columns cut them, numbers are
floats, what is not finite is left out, and neither order nor the kind of a number counts. A change
of this form needs another name than `results_sha256`. Standard library only, Python 3.9.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

MAX_NAME, MAX_LABEL, MAX_UNIT, MAX_TEXT = 80, 120, 30, 500
MOST_LOST = 20


def text(value: Any, longest: int | None = None) -> str:
    """Return a text as every database bears it: no NUL, no half of a pair, not too long."""
    clean = str(value).replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    return clean[:longest]


def stored_value(value: Any) -> str | bool | float | None:
    """Return the value of a quantity as it is stored, None where it is left out."""
    if isinstance(value, str):
        return text(value, MAX_TEXT)
    return value if isinstance(value, bool) else _number(value)


def _number(value: Any) -> float | None:
    """A finite float; -0.0, which not every column keeps, is 0.0."""
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number + 0.0 if math.isfinite(number) else None


def results_sha256(results: Mapping[str, Any]) -> str:
    """Return the digest of {"quantities": […], "datasets": […]} as Results.to_json gives it."""
    spelled = json.dumps(
        {
            "quantities": sorted(_quantities(results.get("quantities") or ())),
            "datasets": sorted(_spell(_dataset(d)) for d in results.get("datasets") or ()),
        },
        separators=(",", ":"),
    )
    return hashlib.sha256(spelled.encode("ascii")).hexdigest()


def _quantities(quantities: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for quantity in quantities:
        value = stored_value(quantity.get("value"))
        if value is not None:
            name, label = text(quantity["name"], MAX_NAME), text(quantity["label"], MAX_LABEL)
            yield _spell([name, label, value, text(quantity.get("unit", ""), MAX_UNIT)])


def _dataset(dataset: Mapping[str, Any]) -> list[Any]:
    columns = [
        [
            text(c["name"]),
            text(c["label"]),
            text(c.get("unit", "")),
            [_cell(v) for v in c["values"]],
        ]
        for c in dataset["columns"]
    ]
    name, label = text(dataset["name"], MAX_NAME), text(dataset["label"], MAX_LABEL)
    return [name, label, text(dataset["kind"]), columns]


def _cell(value: Any) -> str | bool | float | None:
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    if isinstance(value, str):
        return text(value)
    return value if value is None or isinstance(value, bool) else _number(value)


def _spell(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


def not_finite(results: Mapping[str, Any]) -> list[str]:
    """Return the names of numbers that are NaN or infinite, the first few: gap, scf.energy."""
    lost = [
        text(q["name"], MAX_NAME) for q in results.get("quantities") or () if _odd(q.get("value"))
    ]
    for dataset in results.get("datasets") or ():
        for column in dataset["columns"]:
            if any(map(_odd, column["values"])):
                lost.append(text(f"{dataset['name']}.{column['name']}", MAX_NAME))
    return lost[:MOST_LOST]


def _odd(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
