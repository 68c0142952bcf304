"""Reads what a run left in its folder; files that are cut or broken count as absent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from calculations.software.reading import json_object

LOG, ERRORS, RESULTS = "output.out", "stderr.txt", "results.json"
MAX_RESULTS = 32 * 1024 * 1024
NUMBER = r"([-+]?[\d.]+(?:e[-+]?\d+)?)"
SCF_LINE = re.compile(
    rf"^scf +(\d+) +E = {NUMBER} Ha +dE = {NUMBER} +\|g\| = {NUMBER}$", re.MULTILINE
)
# What every run has, and of lists of objects the members of each.
NEEDED = frozenset({"energy", "converged", "iterations", "dipole", "orbitals", "charges"})
MEMBERS = {
    "iterations": ("iteration", "energy", "change", "gradient"),
    "orbitals": ("spin", "energy", "occupation"),
    "charges": ("symbol", "charge"),
    "forces": ("symbol", "force"),
}


def read_results(folder: Path) -> dict[str, Any] | None:
    """Return results.json, None where it is missing, cut, or not of the shape that every run has.

    Numbers may be anything: whether they can be used, the verdict says.
    """
    document = json_object(folder / RESULTS, MAX_RESULTS)
    if document is None:
        return None
    return document if document.keys() >= NEEDED and _has_shape(document) else None


def _has_shape(document: dict[str, Any]) -> bool:
    for name, members in MEMBERS.items():
        rows = document.get(name) if name in NEEDED else document.get(name) or []
        if not isinstance(rows, list):
            return False
        if not all(isinstance(row, dict) and row.keys() >= set(members) for row in rows):
            return False
    numbers = [step[name] for step in document["iterations"] for name in MEMBERS["iterations"]]
    numbers += [orbital["occupation"] for orbital in document["orbitals"]]
    numbers += [orbital["energy"] for orbital in document["orbitals"]]
    vectors = [document["dipole"], *(atom["force"] for atom in document.get("forces") or [])]
    whole = all(isinstance(vector, list) and len(vector) == 3 for vector in vectors)
    return whole and all(isinstance(number, (int, float)) for number in numbers)


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
