"""Which quantities there are in the results that a person may see, with their units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Kind:
    """A quantity by name; `units` the most used first, `numeric` where it has an order."""

    name: str
    label: str
    units: tuple[str, ...]
    numeric: bool
    often: int

    @property
    def unit(self) -> str:
        return self.units[0]


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
COUNTS = """
SELECT name, unit, count(*) FROM (
    SELECT q.name, q.unit FROM calculations_quantity q
    JOIN calculations_calculation c ON c.id = q.calculation_id
    WHERE c.deleted_at IS NULL AND c.project_id = ANY(%s) ORDER BY q.id DESC LIMIT %s
) newest GROUP BY name, unit
"""


def catalogue(user: User) -> dict[str, Kind]:
    """Return the quantities by name, the most frequent of late first; a minute old at most."""
    projects = sorted(Project.objects.visible_to(user).values_list("pk", flat=True))
    key = sha256(",".join(map(str, projects)).encode()).hexdigest()
    return cache.get_or_set(f"quantities:{key}", lambda: _read(projects), SECONDS)


def _read(projects: list[int]) -> dict[str, Kind]:
    with connection.cursor() as cursor:
        cursor.execute(NAMES, [projects, MOST])
        rows = cursor.fetchall()
        cursor.execute(COUNTS, [projects, NEWEST])
        counts = {(name, unit): count for name, unit, count in cursor.fetchall()}
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for name, unit, label, numeric in rows:
        found.setdefault(name, []).append((unit, label, numeric))
    kinds = [_kind(name, units, counts) for name, units in found.items()]
    main = {software.main_result for software in all_software().values()}
    kinds.sort(key=lambda k: (k.name in OF_THE_RUN, not k.numeric, k.name not in main, -k.often))
    return {kind.name: kind for kind in kinds}


def _kind(
    name: str, units: list[tuple[str, str, bool]], counts: dict[tuple[str, str], int]
) -> Kind:
    units.sort(key=lambda row: -counts.get((name, row[0]), 0))
    often = sum(counts.get((name, unit), 0) for unit, *_ in units)
    names = tuple(unit for unit, *_ in units)
    return Kind(name, units[0][1], names, any(row[2] for row in units), often)


def usual(kinds: Iterable[Kind]) -> list[Kind]:
    """The columns to begin with: what most results have."""
    return [kind for kind in kinds if kind.numeric and kind.often][:DEFAULTS]
