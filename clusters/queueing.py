"""What waits and what is handed out, as placement reads it: one statement each, rows as tuples.

A deep queue is read only as far as a round can need it: of runs that are alike, the oldest.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet, Window
from django.db.models.functions import RowNumber

from calculations.models import Run
from calculations.software.base import Resources
from calculations.states import LEASED_RUNS, RunState
from clusters.ranking import Ask, Shape
from clusters.rooms import Leased

SHALLOW = 300  # so many runs are read whole
RESOURCES = (
    "cores",
    "memory_mib",
    "walltime_s",
    "nodes",
    "gpus",
    "gpu_type",
    "partition",
    "account",
    "qos",
    "licences",
    "exclusive",
)
_OF_CALCULATION = [f"calculation__{name}" for name in RESOURCES]
ACCOUNT = ("calculation__project_id", "calculation__created_by_id")
ALIKE = (
    "calculation__software",
    "calculation__cluster_id",
    "predecessor__cluster_id",
    *_OF_CALCULATION,
)
_OWN = ("pk", *ACCOUNT, "priority", "queued_at", "index", "restart__cluster", "waits_for")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What decides where a run may go: its program, the cluster that was chosen, the one where the
    run before it ran. `calculation`: where the program must look at the parameters.
    """

    software: str
    fixed: int | None
    follows: int | None
    need: Resources
    calculation: int | None = None


def depth(most: int = SHALLOW + 1) -> int:
    """Count what is queued, no further than `most`."""
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT count(*) FROM (SELECT 1 FROM "{Run._meta.db_table}" '  # noqa: S608
            "WHERE state = %s LIMIT %s) AS queued",
            [RunState.QUEUED, most],
        )
        return cursor.fetchone()[0]


def leased(moment: datetime) -> dict[int, list[Leased]]:
    """Return what each cluster holds."""
    rows = Run.objects.filter(state__in=LEASED_RUNS).order_by()
    found: dict[int, list[Leased]] = {}
    for cluster, started, project, user, *asked in rows.values_list(
        "cluster_id", "started_at", *ACCOUNT, *_OF_CALCULATION
    ):
        elapsed_s = (moment - started).total_seconds() if started else 0.0
        held = Leased((project, user), resources(asked), max(0.0, elapsed_s))
        found.setdefault(cluster, []).append(held)
    return found


def asks(
    shape_of: Callable[[Wanted], Shape], *, looking: Container[str] = (), most: int | None = None
) -> list[Ask]:
    """Return what is queued. `most`: of runs of an account that are alike, only so many, the oldest
    first. `looking`: programs for which parameters decide where a run may go.
    """
    rows = Run.objects.filter(state=RunState.QUEUED).order_by()
    if most is not None:
        alike = [*ACCOUNT, "priority", *ALIKE]
        place = Window(RowNumber(), partition_by=alike, order_by=["queued_at", "index"])
        rows = rows.annotate(place=place).filter(place__lte=most)
    return _read(rows, shape_of, looking)


def _read(
    rows: QuerySet[Run], shape_of: Callable[[Wanted], Shape], looking: Container[str]
) -> list[Ask]:
    shapes: dict[tuple[Any, ...], Shape] = {}
    found = []
    for (
        key,
        project,
        user,
        priority,
        queued,
        index,
        near,
        told,
        calculation,
        *alike,
    ) in rows.values_list(*_OWN, "calculation_id", *ALIKE):
        alike[-2] = tuple(alike[-2] or ())  # licences
        kind = (calculation if alike[0] in looking else None, *alike)
        shape = shapes.get(kind)
        if shape is None:
            wanted = Wanted(alike[0], alike[1], alike[2], resources(alike[3:]), kind[0])
            shape = shapes[kind] = shape_of(wanted)
        since = queued.timestamp() if queued else 0.0
        found.append(Ask(key, (project, user), priority, since, index, shape, near=near, told=told))
    return found


def resources(values: list[Any]) -> Resources:
    return Resources.from_json(dict(zip(RESOURCES, values, strict=True)))
