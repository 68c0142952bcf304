"""What a sweep will run, before it is submitted: a matrix of its runs, or a list, and how long
such runs took so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

from calculations.models import Attempt, Calculation
from calculations.services.sweeps import Axis
from calculations.software.base import Software
from calculations.states import RunState
from calculations.sweeps.axes import axes_of_sweep
from calculations.sweeps.planner import Point, chain_depth, is_chain, points_of
from calculations.wording import point_words, span_words, value_words
from labportal.accounts.models import User

MOST_ROWS, MOST_COLUMNS, MOST_LINES = 40, 24, 60
MOST_SEEN = 200  # ended runs that an estimate looks at
NEAR = 0.25  # a structure of so many atoms more or less counts as like this one


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """`number` counts from 1; `before` is the number of the run that it continues."""

    number: int
    words: tuple[str, ...]
    before: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs as a matrix (`heads` of its columns, `rows` of head and cells) or as `lines`."""

    axes: list[Axis]
    chain: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[PlannedCell, ...]], ...]
    lines: tuple[PlannedCell, ...]
    more: int
    spans: tuple[str, ...]


def plan_of(software: Software, sweep: Mapping[str, Any] | None) -> Plan | None:
    """The plan of a stored sweep; None for a single run."""
    axes = axes_of_sweep(sweep, software)
    if not axes or sweep is None:
        return None
    points = points_of(sweep)
    cells = {
        point: PlannedCell(
            index + 1,
            tuple(point_words([axis], [value]) for axis, value in zip(axes, point, strict=True)),
            None if before is None else before + 1,
        )
        for index, (point, before) in enumerate(points)
    }
    spans = tuple(map(span_words, axes))
    chain = _chain_words(sweep, axes)
    if len(axes) == 2:
        heads, rows, shown = _matrix(axes, cells)
        return Plan(axes, chain, heads, rows, (), len(points) - shown, spans)
    lines = tuple(list(cells.values())[:MOST_LINES])
    return Plan(axes, chain, (), (), lines, len(points) - len(lines), spans)


def _chain_words(sweep: Mapping[str, Any], axes: Sequence[Axis]) -> str:
    if not is_chain(sweep):
        return "All side by side."
    along = axes[sweep["along"]].label.lower()
    count = len(points_of(sweep)) // chain_depth(sweep)
    lines = "One chain" if count == 1 else f"{count} chains"
    backward = ", backward" if sweep["direction"] == "backward" else ""
    return f"{lines} of {chain_depth(sweep)} runs along {along}{backward}."


def _matrix(
    axes: Sequence[Axis], cells: Mapping[Point, PlannedCell]
) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[PlannedCell, ...]], ...], int]:
    down, across = (list(axis.values) for axis in axes)
    down, across = down[:MOST_ROWS], across[:MOST_COLUMNS]
    heads = tuple(value_words(value, choices=axes[1].choices) for value in across)
    rows = tuple(
        (
            value_words(value, choices=axes[0].choices),
            tuple(cells[value, other] for other in across),
        )
        for value in down
    )
    return heads, rows, len(down) * len(across)


@dataclass(frozen=True, slots=True)
class Experience:
    """How long such runs took: the median of `runs` valid ones, and so the whole sweep."""

    runs: int
    atoms: int
    each: timedelta
    all: timedelta


def experience(
    user: User, software: Software, parameters: Mapping[str, Any], cores: int, depth: int
) -> Experience | None:
    """What the portal has seen of the same program, cores and size of structure."""
    try:
        structure = software.structure(parameters)
    except (ValueError, KeyError, TypeError):
        return None
    if structure is None:
        return None
    atoms = len(structure.atoms)
    seen = (
        Attempt.objects.filter(
            run__state=RunState.VALID,
            run__calculation__in=_alike(user, software.name, cores, atoms),
            elapsed_s__isnull=False,
        )
        .order_by("-id")
        .values_list("elapsed_s", flat=True)[:MOST_SEEN]
    )
    times = list(seen)
    if not times:
        return None
    each = timedelta(seconds=median(times))
    return Experience(len(times), atoms, each, each * depth)


def _alike(user: User, software: str, cores: int, atoms: int) -> Any:
    return (
        Calculation.objects.visible_to(user)
        .filter(
            software=software,
            cores=cores,
            structure__atom_count__gte=atoms * (1 - NEAR),
            structure__atom_count__lte=atoms * (1 + NEAR),
        )
        .order_by("-id")
        .values("pk")[:MOST_SEEN]
    )
