"""What the viewer on a calculation's pages draws: the atoms of a run, and how they relaxed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import reverse

from calculations.models import Calculation, Dataset, Run
from calculations.services.structures import CELLS, GEOMETRY, TRAJECTORY, final_geometry
from calculations.software.structure import StructureError
from calculations.structures import geometry
from calculations.views.finding import find
from calculations.views.rows import software_of
from labportal.accounts.decorators import needs
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can

STEPS = "geometry_steps"


@dataclass(frozen=True, slots=True)
class Viewer:
    """For templates/calculations/_viewer_card.html."""

    url: str
    run: Run
    moves: bool  # whether there is a way to play
    may_keep: bool


@needs()
def calculation_geometry(request: HttpRequest, pk: int) -> JsonResponse:
    """?run=2 for the second run; ?of=start for its input, else its relaxation where stored.

    Without symbols where there is nothing to draw.
    """
    calculation = find(request.user, pk)
    said = request.GET.get("run", "1")
    index = int(said) - 1 if said.isascii() and said.isdecimal() and len(said) < 7 else 0
    run = calculation.runs.filter(index=index).first()
    if run is not None and request.GET.get("of") != "start":
        found = playback(run)
        if found is not None:
            return JsonResponse(found)
    software = software_of(calculation)
    parameters = {**calculation.parameters, **(run.parameters if run else {})}
    try:
        atoms = software.structure(parameters) if software else None
    except (StructureError, KeyError):
        atoms = None
    return JsonResponse(geometry.document(atoms) if atoms else {"symbols": []})


def viewer_of(
    calculation: Calculation, run: Run | None, user: User, *, moving: bool = False
) -> Viewer | None:
    """What is drawn of the geometry that a run found; None where it stored none.

    `moving`: only where there is a way to play.
    """
    if run is None:
        return None
    rows = run.datasets.filter(name__in=(TRAJECTORY, GEOMETRY), analysis=None)
    names = set(rows.values_list("name", flat=True))
    if not names or (moving and TRAJECTORY not in names):
        return None
    url = reverse("calculation-geometry", args=[calculation.pk])
    may_keep = GEOMETRY in names and can(user, Can.CREATE_CALCULATION)
    return Viewer(f"{url}?run={run.index + 1}", run, TRAJECTORY in names, may_keep)


def playback(run: Run) -> dict[str, Any] | None:
    """Return the frames of a relaxation with energies where they fit; None where there are none."""
    stored = {
        d.name: d for d in run.datasets.filter(name__in=(TRAJECTORY, CELLS, STEPS), analysis=None)
    }
    frames = _frames(stored.get(TRAJECTORY))
    final = final_geometry(run)
    if not frames:
        return geometry.document(final) if final else None
    symbols = frames[0][1]
    if any(of_frame != symbols for _, of_frame, _ in frames):
        return None
    boxed = final is not None and final.cell is None
    cells = [] if boxed else _cells(stored.get(CELLS), len(frames))
    numbers = [number for number, _, _ in frames]
    return {
        "formula": final.formula if final else "",
        "symbols": symbols,
        "positions": frames[-1][2],
        "cell": cells[-1] if cells else (final.cell if final else None),
        "periodic": final.periodic if final else "TTT" if cells else "FFF",
        "colours": geometry.colours(list(dict.fromkeys(symbols))),
        "radii": geometry.radii(list(dict.fromkeys(symbols))),
        "frames": [places for _, _, places in frames],
        "cells": cells,
        "numbers": numbers,
        "energies": _energies(stored.get(STEPS), numbers),
    }


def _table(dataset: Dataset | None) -> dict[str, list[Any]]:
    return {c["name"]: c["values"] for c in dataset.columns} if dataset is not None else {}


def _frames(dataset: Dataset | None) -> list[tuple[int, list[str], list[list[float]]]]:
    table = _table(dataset)
    frames: dict[int, tuple[int, list[str], list[list[float]]]] = {}
    columns = [table.get(name, []) for name in ("frame", "symbol", "x", "y", "z")]
    for number, symbol, *place in zip(*columns, strict=False):
        if any(not isinstance(value, int | float) for value in (number, *place)):
            return []
        frame = frames.setdefault(int(number), (int(number), [], []))
        frame[1].append(str(symbol))
        frame[2].append([round(float(value), 6) for value in place])
    return list(frames.values())


def _cells(dataset: Dataset | None, count: int) -> list[Any]:
    table = _table(dataset)
    names = [f"{vector}{axis}" for vector in "abc" for axis in "xyz"]
    rows = list(zip(*(table.get(name, []) for name in names), strict=False))
    known = all(isinstance(value, int | float) for row in rows for value in row)
    return [[row[:3], row[3:6], row[6:]] for row in rows] if len(rows) == count and known else []


def _energies(dataset: Dataset | None, numbers: list[int]) -> list[float | None]:
    """The energy of each frame: frames are numbered as the steps are, from 0."""
    column = next((c for c in dataset.columns if c["name"] == "energy"), None) if dataset else None
    values = column["values"] if column else []
    if len(values) == len(numbers):
        return list(values)
    return [values[n] for n in numbers] if numbers and max(numbers) < len(values) else []
