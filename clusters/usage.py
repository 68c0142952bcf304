"""What people used in projects, for the fair share: written when attempts end, halved with each
half-life.

One row for each account holds the use as it stood at its last charge. It can be made anew from the
attempts at any time (`rebuild`), which the beat does each day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from calculations.models import Attempt, Calculation, LabSettings, Run
from clusters.fairshare import Account, decayed
from clusters.models import Usage
from labportal.common.clock import now

FORGOTTEN_AFTER = 20  # half-lives: a millionth is left
CHARGED = (Attempt.Ending.FINISHED, Attempt.Ending.CANCELLED)  # a lost one is nobody's fault


def used(moment: datetime, half_life_s: float) -> dict[Account, float]:
    """Return core seconds as they count at `moment`."""
    rows = Usage.objects.values_list("project_id", "user_id", "core_s", "at")
    return {
        (project, user): decayed(
            core_s, age_s=(moment - at).total_seconds(), half_life_s=half_life_s
        )
        for project, user, core_s, at in rows
    }


def half_life_s(settings: LabSettings) -> float:
    return settings.half_life_days * 86400.0


def charge(attempts: Iterable[Attempt], **_: Any) -> None:
    """Add what ended attempts used; expects their runs' calculations to be loaded.

    Called after the commit: locks of these rows, which many share, are held for a moment only.
    """
    settings = LabSettings.current()
    spent: dict[Account, float] = {}
    for attempt in attempts:
        c = attempt.run.calculation
        weight = c.cores + settings.gpu_weight * c.gpus
        if attempt.ending in CHARGED and (seconds := seconds_of(attempt)):
            account = (c.project_id, c.created_by_id)
            spent[account] = spent.get(account, 0.0) + weight * seconds
    if spent:
        _add(spent, half_life_s(settings))


def seconds_of(attempt: Attempt) -> float:
    if attempt.elapsed_s is not None:
        return max(0.0, attempt.elapsed_s)
    if attempt.started_at and attempt.finished_at:
        return max(0.0, (attempt.finished_at - attempt.started_at).total_seconds())
    return 0.0


_ADD = (  # {rows} is the one place that is filled in
    f'INSERT INTO "{Usage._meta.db_table}" AS had (project_id, user_id, core_s, at) '  # noqa: S608
    "VALUES {rows} ON CONFLICT (project_id, user_id) DO UPDATE SET "
    "core_s = excluded.core_s + had.core_s * power(2::double precision, -greatest(0, "
    "extract(epoch FROM excluded.at - had.at)::double precision) / %s), "
    "at = greatest(had.at, excluded.at)"
)


def _add(spent: dict[Account, float], half_life: float) -> None:
    """Add in the order of the keys, so that two callers never wait for one another in turns."""
    moment = now()
    values = [part for account in sorted(spent) for part in (*account, spent[account], moment)]
    rows = ", ".join(["(%s, %s, %s, %s)"] * len(spent))
    with connection.cursor() as cursor:
        cursor.execute(_ADD.replace("{rows}", rows), [*values, half_life])


_SPENT = f"""
SELECT c.project_id, c.created_by_id,
       sum((c.cores + %(gpu)s * c.gpus)
           * greatest(0, coalesce(a.elapsed_s, extract(epoch FROM a.finished_at - a.started_at), 0))
           * power(2::double precision,
                   -greatest(0, extract(epoch FROM %(now)s - a.recorded_at)) / %(half_life)s))
FROM "{Attempt._meta.db_table}" a
JOIN "{Run._meta.db_table}" r ON r.id = a.run_id
JOIN "{Calculation._meta.db_table}" c ON c.id = r.calculation_id
WHERE a.ending = ANY(%(endings)s) AND a.recorded_at > %(since)s
GROUP BY c.project_id, c.created_by_id
"""  # noqa: S608


@transaction.atomic
def rebuild() -> int:
    """Make all rows anew from the attempts; return how many there are. Charges wait meanwhile."""
    settings, moment = LabSettings.current(), now()
    half_life = half_life_s(settings)
    with connection.cursor() as cursor:
        cursor.execute(f'LOCK TABLE "{Usage._meta.db_table}" IN SHARE ROW EXCLUSIVE MODE')
        cursor.execute(
            _SPENT,
            {
                "gpu": settings.gpu_weight,
                "now": moment,
                "half_life": half_life,
                "endings": [str(ending) for ending in CHARGED],
                "since": moment - timedelta(seconds=FORGOTTEN_AFTER * half_life),
            },
        )
        rows = cursor.fetchall()
    Usage.objects.all().delete()
    Usage.objects.bulk_create(
        Usage(project_id=project, user_id=user, core_s=float(core_s), at=moment)
        for project, user, core_s in rows
        if core_s
    )
    return len(rows)
