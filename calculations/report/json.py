"""A report as JSON: everything that it says, with the version of its schema."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from calculations.report.document import Report

SCHEMA = "labportal-report/1"


def to_json(report: Report) -> dict[str, Any]:
    """Return plain values; the same report gives the same document."""
    return {"schema": SCHEMA, **_plain(report)}


def render(report: Report) -> bytes:
    text = json.dumps(to_json(report), ensure_ascii=False, allow_nan=False, indent=1)
    return text.encode()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
