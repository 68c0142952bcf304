"""Reads what an inference left in its folder; files that are cut or broken count as absent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

LOG, ERRORS, RESULTS = "output.out", "stderr.txt", "results.json"
MAX_TEXT = 1024 * 1024
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
    try:
        with (folder / RESULTS).open("rb") as stream:
            content = stream.read(MAX_RESULTS + 1)
        document = json.loads(content.decode("utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return None
    return document if len(content) <= MAX_RESULTS and isinstance(document, dict) else None


def is_whole(document: dict[str, Any]) -> bool:
    """Whether a document has every section that the results of a whole run have."""
    return all(isinstance(document.get(name), kind) for name, kind in SECTIONS.items())


def read_plan(folder: Path) -> dict[str, Any]:
    """Return plan.json, empty where it is missing or broken."""
    try:
        document = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def read_text(folder: Path, name: str) -> str:
    """Return the end of a text file, empty where there is none."""
    try:
        with (folder / name).open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - MAX_TEXT))
            return stream.read().decode("utf-8", errors="replace").replace("\0", "")
    except OSError:
        return ""


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def progress_of(text: str) -> tuple[int, int] | None:
    """How many samples are done, and of how many, by the newest line of a log that says so."""
    found = PROGRESS.findall(text)
    return (int(found[-1][0]), int(found[-1][1])) if found else None
