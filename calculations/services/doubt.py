"""What was derived from retracted results: found through saved structures, flagged in one statement
however deep it goes, and its authors told.

A calculation is derived from another where its structure, or one that its sweep varies, was saved
from a run of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.urls import reverse

from calculations.models import Calculation, Event
from calculations.states import Standing
from labportal.accounts.models import User
from labportal.notifications.services import Level, notify

# UNION leaves out what is known, so that a circle of structures ends by itself.
_SWEPT = "(jsonb_path_query(c.sweep, '$.axes[*].structures[*] ? (@.type() == \"number\")'))::bigint"
_DOWN = f"""
    uses(calculation, structure) AS MATERIALIZED (
        SELECT c.id, c.structure_id FROM calculations_calculation c
         WHERE c.structure_id IS NOT NULL
        UNION
        SELECT c.id, {_SWEPT} FROM calculations_calculation c
         WHERE jsonb_path_exists(c.sweep, '$.axes[*].structures[*]')
    ),
    affected(id) AS (
        SELECT unnest(%s::bigint[])
        UNION
        SELECT u.calculation FROM affected a
          JOIN calculations_run r ON r.calculation_id = a.id
          JOIN calculations_structure s ON s.derived_from_id = r.id
          JOIN uses u ON u.structure = s.id
    ),"""  # noqa: S608
_ALONE = "affected(id) AS (SELECT unnest(%s::bigint[])),"
_FLAG = f"""
    ancestry(target, source) AS (
        SELECT id, id FROM affected
        UNION
        SELECT t.target, r.calculation_id FROM ancestry t
          JOIN calculations_calculation c ON c.id = t.source
          CROSS JOIN LATERAL (SELECT c.structure_id AS id UNION SELECT {_SWEPT}) AS used
          JOIN calculations_structure s ON s.id = used.id
          JOIN calculations_run r ON r.id = s.derived_from_id
    ),
    reasons AS (
        SELECT t.target, min(t.source) AS first, count(*) AS number FROM ancestry t
          JOIN calculations_calculation src ON src.id = t.source
         WHERE src.standing = '{Standing.RETRACTED}' AND t.source <> t.target
         GROUP BY t.target
    ),
    worded AS (
        SELECT a.id, CASE WHEN f.id IS NULL THEN '' ELSE left(
            'derived from C-' || f.id || CASE WHEN reasons.number > 1
                THEN ' and ' || reasons.number - 1 || ' more, which were retracted: '
                ELSE ', which was retracted: ' END || f.standing_reason, 500) END AS doubt
          FROM affected a
          LEFT JOIN reasons ON reasons.target = a.id
          LEFT JOIN calculations_calculation f ON f.id = reasons.first
    )
    UPDATE calculations_calculation c SET doubt = worded.doubt FROM worded
     WHERE c.id = worded.id AND c.doubt <> worded.doubt
    RETURNING c.id, c.created_by_id, c.doubt"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Flagged:
    """A calculation whose doubt has changed; an empty one was cleared."""

    id: int
    created_by: int
    doubt: str


def inherit(calculations: Iterable[Calculation]) -> None:
    """Flag what is new, changed, or checked anew and derives from something retracted; nothing is
    asked where none uses a structure.
    """
    rows = {c.pk: c for c in calculations if c.doubt or c.structure_id or _varies_structures(c)}
    for flagged in _run(_ALONE, rows) if rows else ():
        rows[flagged.id].doubt = flagged.doubt


def _varies_structures(calculation: Calculation) -> bool:
    return any("structures" in axis for axis in (calculation.sweep or {}).get("axes", ()))


def spread(calculation: Calculation, *, actor: User) -> None:
    """Flag, or clear, everything derived from a calculation that was just retracted or restored,
    and tell the authors of both.
    """
    flagged = [row for row in _run(_DOWN, [calculation.pk]) if row.id != calculation.pk]
    event = calculation.events.filter(verb__in=("retract", "restore")).order_by("-id").first()
    _tell_author(calculation, actor, event)
    _tell_derived(calculation, flagged, actor, event)


def _run(affected: str, ids: Iterable[int]) -> list[Flagged]:
    with connection.cursor() as cursor:
        cursor.execute(f"WITH RECURSIVE {affected}{_FLAG}", [list(ids)])
        return [Flagged(*row) for row in cursor.fetchall()]


def _tell_author(calculation: Calculation, actor: User, event: Event) -> None:
    if calculation.created_by_id == actor.pk:
        return
    notify(
        [calculation.created_by_id],
        level=_level(event),
        subject=f"{calculation.number} {calculation.name}: {_done(event)}",
        body=f"By {actor.display_name}: {event.note}",
        url=calculation.get_absolute_url(),
        key=f"standing:{event.pk}",
    )


def _tell_derived(
    calculation: Calculation, flagged: Sequence[Flagged], actor: User, event: Event
) -> None:
    """One message to each author, however many of theirs are concerned."""
    by_author: dict[int, list[Flagged]] = {}
    for row in flagged:
        by_author.setdefault(row.created_by, []).append(row)
    for author, rows in by_author.items():
        if author == actor.pk:
            continue
        numbers = ", ".join(f"C-{row.id}" for row in sorted(rows, key=lambda r: r.id)[:10])
        more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
        what = "in doubt" if rows[0].doubt else "no longer in doubt"
        notify(
            [author],
            level=_level(event),
            subject=f"{calculation.number} was {_done(event)}: {len(rows)} of yours {what}",
            body=f"{event.note}\nDerived from it: {numbers}{more}.",
            url=_address(rows),
            key=f"standing:{event.pk}:derived",
        )


def _address(rows: Sequence[Flagged]) -> str:
    if len(rows) == 1:
        return reverse("calculation-detail", args=[rows[0].id])
    return f"{reverse('calculation-list')}?standing=doubtful"


def _done(event: Event) -> str:
    return "retracted" if event.verb == "retract" else "restored"


def _level(event: Event) -> Level:
    return Level.ERROR if event.verb == "retract" else Level.INFO
