"""Reads what a run left in its folder; files that are cut or broken count as absent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

LOG, ERRORS, RESULTS = "output.out", "stderr.txt", "results.json"
MAX_TEXT = 4 * 1024 * 1024
NUMBER = r"([-+]?[\d.]+(?:e[-+]?\d+)?)"
SCF_LINE = re.compile(
    rf"^scf +(\d+) +E = {NUMBER} Ha +dE = {NUMBER} +\|g\| = {NUMBER}$", re.MULTILINE
)
NEEDED = frozenset({"energy", "converged", "iterations", "dipole", "orbitals", "charges"})


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return results.json, None where it is missing, cut or lacks what every run has."""
    try:
        document = json.loads((folder / RESULTS).read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or not document.keys() >= NEEDED:
        return None
    return document


def read_text(folder: Path, name: str) -> str:
    """Return the end of a text file, empty where there is none."""
    try:
        with (folder / name).open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - MAX_TEXT))
            return stream.read().decode("utf-8", errors="replace").replace("\0", "")
    except OSError:
        return ""


def scf_steps(text: str) -> list[dict[str, float]]:
    """Return the SCF iterations that a log tells of."""
    steps = []
    for found in SCF_LINE.finditer(text):
        try:
            energy, change, gradient = (float(word) for word in found.groups()[1:])
        except ValueError:
            continue
        steps.append(
            {
                "iteration": int(found.group(1)),
                "energy": energy,
                "change": change,
                "gradient": gradient,
            }
        )
    return steps


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
