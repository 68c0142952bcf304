"""The input files of a run as they would be written, and what changed. Pure, no writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from calculations.models import Run
from calculations.services.sweeps import changes_of
from calculations.software.base import Software
from calculations.software.parameters import InvalidParameters
from calculations.software.registry import UnknownSoftware, get_software
from calculations.sweeps.planner import Changes, Point, points_of


@dataclass(frozen=True, slots=True)
class PreviewFile:
    """`changed` are the numbers of the lines, from 1, that the compared run does not have."""

    name: str
    text: str
    changed: frozenset[int]


def input_files(
    software: Software,
    parameters: Mapping[str, Any],
    sweep: Mapping[str, Any] | None,
    index: int = 0,
    *,
    against: Mapping[str, str] | None = None,
) -> list[PreviewFile]:
    """Return the files of run `index` (from 0); compared with `against`, else with the run that it
    continues or the one before.

    Raises nothing for parameters that cannot be used: the list is empty then.
    """
    points = points_of(sweep)
    index = max(0, min(index, len(points) - 1))
    changes = changes_of(software, parameters, sweep)
    files = _prepare(changes, points, index)
    if against is None:
        before = points[index][1]
        against = _prepare(changes, points, max(index - 1, 0) if before is None else before)
    found = [
        PreviewFile(name, text, changed_lines(against.get(name, ""), text))
        for name, text in files.items()
    ]
    return sorted(found, key=lambda file: len(file.text))  # the short ones are the scientist's own


def files_of_run(
    software: Software, run: Run, before: Run | None, against: Mapping[str, str] | None = None
) -> list[PreviewFile]:
    """As input_files, for a run that was made: with what an automatic retry has changed."""
    files = _of_run(software, run)
    if against is None:
        against = _of_run(software, before) if before is not None else files
    found = [
        PreviewFile(name, text, changed_lines(against.get(name, ""), text))
        for name, text in files.items()
    ]
    return sorted(found, key=lambda file: len(file.text))


def _of_run(software: Software, run: Run) -> dict[str, str]:
    full = run.full_parameters()
    carried = _carried(run.calculation.sweep, full) if run.predecessor_id else ()
    try:
        return software.prepare(full, carried)
    except (InvalidParameters, ValueError, KeyError, TypeError):
        return {}


def prepared(
    software: Software, parameters: Mapping[str, Any], sweep: Mapping[str, Any] | None, index: int
) -> dict[str, str]:
    """Return the files of one run as {name: text}; empty where they cannot be made."""
    points = points_of(sweep)
    index = max(0, min(index, len(points) - 1))
    return _prepare(changes_of(software, parameters, sweep), points, index)


def written(run: Run) -> dict[str, str]:
    """Return the input files of a stored run as its cluster wrote them; expects `calculation` to be
    loaded. Empty where the plug-in is gone, or takes such parameters no more.
    """
    full, sweep = run.full_parameters(), run.calculation.sweep
    carried = () if run.predecessor_id is None else _carried(sweep, full)
    try:
        return get_software(run.calculation.software).prepare(full, carried)
    except (UnknownSoftware, InvalidParameters, ValueError, KeyError, TypeError):
        return {}


def _prepare(
    changes: Changes, points: Sequence[tuple[Point, int | None]], index: int
) -> dict[str, str]:
    point, before = points[index]
    try:
        full = {**changes.parameters, **changes.at(point)}
        carried = () if before is None else _carried(changes.sweep, full)
        return changes.software.prepare(full, carried)
    except (InvalidParameters, ValueError, KeyError, TypeError):
        return {}


def _carried(sweep: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> list[str]:
    """Guess the names of the files that the run before will leave for the patterns of the sweep."""
    stem = str(parameters.get("system_label") or "run")
    return [pattern.replace("*", stem) for pattern in (sweep or {}).get("carry", ())]


def changed_lines(before: str, after: str) -> frozenset[int]:
    """Return the numbers of the lines of `after` that are new or different."""
    old, new = before.splitlines(), after.splitlines()
    if old == new:
        return frozenset()
    changed: set[int] = set()
    for tag, _, _, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag in ("replace", "insert"):
            changed.update(range(start + 1, end + 1))
    return frozenset(changed)
