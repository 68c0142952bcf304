"""How far a run is: read from what an agent tells, kept with the latest values of what converges.

Called by execution.py; pages and charts read `trail`, a list of [step, value].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MAX_TRAIL = 200


def read_progress(document: Any) -> dict[str, Any] | None:
    """Return the words of software.results.Progress; None where they cannot be read."""
    if not isinstance(document, Mapping):
        return None
    try:
        done = int(document["done"])
        of = int(document.get("of") or 0)
        monitor = float(document["monitor"]) if document.get("monitor") is not None else math.nan
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return {
        "done": done,
        "of": of if of > 0 else None,
        "what": str(document.get("what") or "")[:60],
        "monitor": monitor if math.isfinite(monitor) else None,
    }


def told(progress: Mapping[str, Any] | None) -> dict[str, Any]:
    """The progress as the agent told it, without what was gathered here."""
    return {name: value for name, value in (progress or {}).items() if name != "trail"}


def with_trail(before: Mapping[str, Any] | None, progress: Mapping[str, Any]) -> dict[str, Any]:
    trail = list((before or {}).get("trail", ()))
    step, value = progress["done"], progress["monitor"]
    if value is not None and (not trail or trail[-1][0] != step):
        trail.append([step, value])
    return {**progress, "trail": trail[-MAX_TRAIL:]}
