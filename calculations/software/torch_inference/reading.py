"""Reads what an inference left in its folder; files that are cut or broken count as absent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from calculations.software.reading import json_object

LOG, ERRORS, RESULTS = "output.out", "stderr.txt", "results.json"
MAX_RESULTS = 256 * 2**20
PROGRESS = re.compile(r"progress (\d{1,15}) of (\d{1,15}) samples$", re.MULTILINE)
SECTIONS = {
    "sums": dict,
    "reduced": dict,
    "quality": dict,
    "times": dict,
    "totals": dict,
    "ranks": list,
    "partitions": list,
    "course": dict,
    "hosts": list,
}


def read_document(folder: Path) -> dict[str, Any] | None:
    """Return results.json whatever it says, None where it is no JSON object."""
    return json_object(folder / RESULTS, MAX_RESULTS)


def is_whole(document: dict[str, Any]) -> bool:
    """Whether a document has every section that the results of a whole run have."""
    return all(isinstance(document.get(name), kind) for name, kind in SECTIONS.items())


def read_plan(folder: Path) -> dict[str, Any]:
    """Return plan.json, empty where it is missing or broken."""
    return json_object(folder / "plan.json", MAX_RESULTS) or {}


def progress_of(text: str) -> tuple[int, int] | None:
    """How many samples are done, and of how many, by the newest line of a log that says so."""
    found = PROGRESS.findall(text)
    return (int(found[-1][0]), int(found[-1][1])) if found else None
