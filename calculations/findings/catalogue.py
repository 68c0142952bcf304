"""Which quantities there are in the results that a person may see, with their units."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from django.core.cache import cache
from django.db import connection

from calculations.software.registry import all_software
from labportal.accounts.models import Project, User

SECONDS = 60
MOST = 400
NEWEST = 5000  # quantities whose names are counted
DEFAULTS = 5
# What tells of the run rather than of the matter; offered, but not among the first.
OF_THE_RUN = frozenset(
    {
        "wall_time",
        "scf_iterations",
        "scf_iterations_total",
        "scf_accuracy",
        "scf_rate",
        "geometries",
        "max_force",
        "residual_force",
        "total_force",
        "rms_force",
        "net_force",
        "electrons",
        "basis_functions",
        "program_version",
        "started_from",
    }
)


class Level(StrEnum):
    """What a row of results is."""

    CALCULATION = "calculation"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Kind:
    """A quantity by name; `units` the most used first, `numeric` where it has an order, `main`
    where calculations are known by it. `runs` and `calculations`: how many of late have it.
    """

    name: str
    label: str
    units: tuple[str, ...]
    numeric: bool
    runs: int
    calculations: int
    main: bool = False

    @property
    def unit(self) -> str:
        return self.units[0]

    def often(self, level: Level) -> int:
        return self.runs if level is Level.RUN else self.calculations


# Skips from one (name, unit) to the next through an index, instead of reading every quantity.
NAMES = """
WITH RECURSIVE skip AS (
    (SELECT name, unit FROM calculations_quantity ORDER BY name, unit LIMIT 1)
    UNION ALL
    SELECT next.name, next.unit FROM skip, LATERAL (
        SELECT q.name, q.unit FROM calculations_quantity q
        WHERE (q.name, q.unit) > (skip.name, skip.unit) ORDER BY q.name, q.unit LIMIT 1
    ) next
)
SELECT skip.name, skip.unit, one.label, one.number IS NOT NULL FROM skip, LATERAL (
    SELECT q.label, q.number FROM calculations_quantity q
    JOIN calculations_calculation c ON c.id = q.calculation_id
    WHERE q.name = skip.name AND q.unit = skip.unit
        AND c.deleted_at IS NULL AND c.project_id = ANY(%s)
    LIMIT 1
) one LIMIT %s
"""
# A single run speaks for its calculation, too.
COUNTS = """
SELECT name, unit, count(run_id), count(*) FILTER (WHERE run_id IS NULL OR run_count = 1),
    bool_or(left(label, 60) = main_label)
FROM (
    SELECT q.name, q.unit, q.label, q.run_id, c.run_count, c.main_label
    FROM calculations_quantity q
    JOIN calculations_calculation c ON c.id = q.calculation_id
    WHERE c.deleted_at IS NULL AND c.project_id = ANY(%s) ORDER BY q.id DESC LIMIT %s
) newest GROUP BY name, unit
"""


@dataclass(frozen=True, slots=True)
class _Count:
    """How often a quantity stands in a unit."""

    runs: int = 0
    calculations: int = 0
    main: bool = False


def catalogue(user: User) -> dict[str, Kind]:
    """Return the quantities by name, the most frequent of late first; a minute old at most."""
    projects = sorted(Project.objects.visible_to(user).values_list("pk", flat=True))
    key = sha256(",".join(map(str, projects)).encode()).hexdigest()
    return cache.get_or_set(f"kinds:{key}", lambda: _read(projects), SECONDS)


def usual(kinds: Iterable[Kind], level: Level) -> list[Kind]:
    """The columns to begin with: what most rows of the level have."""
    found = [kind for kind in kinds if kind.numeric and kind.often(level)]
    return sorted(found, key=lambda kind: _rank(kind, kind.often(level)))[:DEFAULTS]


def _read(projects: list[int]) -> dict[str, Kind]:
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [projects, MOST])
        rows = cursor.fetchall()
        cursor.execute(COUNTS, [projects, NEWEST])
        counts = {(name, unit): _Count(*count) for name, unit, *count in cursor.fetchall()}
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for name, unit, label, numeric in rows:
        found.setdefault(name, []).append((unit, label, numeric))
    main = {software.main_result for software in all_software().values()}
    kinds = [_kind(name, units, counts, main) for name, units in found.items()]
    kinds.sort(key=lambda kind: _rank(kind, max(kind.runs, kind.calculations)))
    return {kind.name: kind for kind in kinds}


def _kind(
    name: str,
    units: list[tuple[str, str, bool]],
    counts: Mapping[tuple[str, str], _Count],
    main: Container[str],
) -> Kind:
    known = {unit: counts.get((name, unit), _Count()) for unit, *_ in units}
    units.sort(key=lambda row: -max(known[row[0]].runs, known[row[0]].calculations))
    return Kind(
        name=name,
        label=units[0][1],
        units=tuple(unit for unit, *_ in units),
        numeric=any(numeric for *_, numeric in units),
        runs=sum(one.runs for one in known.values()),
        calculations=sum(one.calculations for one in known.values()),
        main=name in main or any(one.main for one in known.values()),
    )


def _rank(kind: Kind, often: int) -> tuple[bool, bool, bool, int]:
    return (kind.name in OF_THE_RUN, not kind.numeric, not kind.main, -often)
