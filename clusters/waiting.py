"""Why a run waits, in one sentence for the scientist, and its writing.

Whoever may see the run may read it: it names clusters and licences, never people, projects or other
calculations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from django.db import connection

from calculations.models import Run
from calculations.software.base import Resources
from calculations.states import RunState
from clusters.abilities import plural
from clusters.ranking import Ask, Plan, Reason, Shape, Why
from clusters.rooms import Free, Room
from labportal.common.templatetags.labportal import mebibytes

LONGEST = Run._meta.get_field("waits_for").max_length
EXACT = 20  # so many runs before it are counted; beyond, in steps, lest each end rewrites them all
IN_LINE = frozenset({Reason.FULL, Reason.KEPT, Reason.DEARER})  # what waits for room, one by one
AT_ONCE = 5000  # rows of one statement


def sentences(plan: Plan) -> list[tuple[Ask, str]]:
    """Say why each waits. The order of `plan.waiting` tells how many are before it."""
    before: Counter[int] = Counter()
    said: dict[tuple[int, int], str] = {}
    found = []
    for ask, why in plan.waiting:
        shape = ask.shape
        ahead = max((before[room.key] for room, _ in shape.able), default=0)
        known = (id(why) if why.reason is not Reason.NEVER else id(shape), _step(ahead))
        if known not in said:
            said[known] = sentence(shape, why, ahead)
        found.append((ask, said[known]))
        for room, _ in shape.able if why.reason in IN_LINE else ():
            before[room.key] += 1
    return found


def sentence(shape: Shape, why: Why, before: int = 0) -> str:
    room = why.room
    match why.reason:
        case Reason.NEVER:
            words = shape.never
        case Reason.USER:
            words = f"All {why.number} runs that its author may have at once are in use."
        case Reason.PROJECT:
            words = f"All {why.number} runs that its project may have at once are in use."
        case Reason.USER_HERE:
            words = f"All {why.number} runs that its author may have on {room.name} are in use."
        case Reason.PROJECT_HERE:
            words = f"All {why.number} runs that its project may have on {room.name} are in use."
        case Reason.LICENCE:
            seats = f"All {why.number} seats" if why.number > 1 else "The one seat"
            verb = "are" if why.number > 1 else "is"
            words = f"{seats} of licence {why.name} {verb} taken."
        case Reason.DEARER:
            words = (
                f"{_lacking(shape, why)} {room.name} is free but costs more; it goes there later."
            )
        case Reason.KEPT:
            words = f"Waits on {room.name}: what is free there is kept for a wider run."
        case Reason.FULL:
            words = _lacking(shape, why)
    if before and why.reason in IN_LINE:
        words = f"{words} {_before(before)}"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _lacking(shape: Shape, why: Why) -> str:
    """Waits for 16 cores on tesla-1; 12 are free."""
    rooms = [room for room, _ in shape.able[: why.number]]
    if len(rooms) == 1:
        what, free = _lack(shape.need, rooms[0])
        return f"Waits for {what} on {rooms[0].name}; {free}."
    lacks = {_lack(shape.need, room)[0] for room in rooms}
    what = lacks.pop() if len(lacks) == 1 else "room"
    names = [room.name for room in rooms]
    where = f"{names[0]} or {names[1]}" if len(names) == 2 else f"one of {len(names)} clusters"
    return f"Waits for {what} on {where}."


def _lack(need: Resources, room: Room) -> tuple[str, str]:
    """What a run waits for there, and how much of it is free."""
    free = room.free
    if room.slots == 0:
        return "a free slot", "it offers none now"
    if free.slots < 1:
        runs = "1 run is" if free.held == 1 else f"{free.held} runs are"
        return "a free slot", f"{runs} there"
    if need.exclusive and free.slots < free.alone:
        return "the whole machine", f"{free.held} {plural('run', free.held)} still there"
    for asked, there, what in (
        (need.cores, free.cores, "core"),
        (need.gpus, free.gpus_of(need.gpu_type), _gpu(need)),
    ):
        if asked > there:
            left = _whole(there)
            return f"{asked} {plural(what, asked)}", f"{left} {'is' if left == 1 else 'are'} free"
    if need.memory_mib > free.memory_mib:
        return f"{mebibytes(need.memory_mib)} of memory", _memory(free)
    return "its turn", "what is free is kept for a wider run"


def _gpu(need: Resources) -> str:
    return f"GPU of type {need.gpu_type}" if need.gpu_type else "GPU"


def _memory(free: Free) -> str:
    return f"{mebibytes(max(0.0, free.memory_mib))} are free"


def _whole(amount: float) -> int:
    return max(0, math.floor(amount))


def _before(count: int) -> str:
    if count <= EXACT:
        return "1 run is before it." if count == 1 else f"{count} runs are before it."
    return f"About {_step(count):,} runs are before it."


def _step(count: int) -> int:
    """Exact up to EXACT, then to one digit."""
    if count <= EXACT:
        return count
    unit = 10 ** (len(str(count)) - 1)
    return max(EXACT, round(count / unit) * unit)


def write(told: Iterable[tuple[Ask, str]], *, only_new: bool = False) -> list[object]:
    """Store the sentences that differ from what stands there, and return the runs' keys.

    `only_new`: of runs that have none yet. Rows that somebody else holds are left for the next
    round.
    """
    changed = [
        (ask.key, words) for ask, words in told if words != ask.told and not (only_new and ask.told)
    ]
    written: list[object] = []
    for start in range(0, len(changed), AT_ONCE):
        written += _write(changed[start : start + AT_ONCE])
    return written


_TABLE = f'"{Run._meta.db_table}"'
_UPDATE = (
    "WITH told(id, words) AS (SELECT * FROM unnest(%s::uuid[], %s::text[])), "  # noqa: S608
    f"free AS (SELECT run.id FROM {_TABLE} run JOIN told ON told.id = run.id "
    "WHERE run.state = %s FOR NO KEY UPDATE OF run SKIP LOCKED) "
    f"UPDATE {_TABLE} run SET waits_for = told.words FROM told, free "
    "WHERE run.id = told.id AND free.id = told.id RETURNING run.id"
)


def _write(rows: Sequence[tuple[object, str]]) -> list[object]:
    keys, words = [str(key) for key, _ in rows], [text for _, text in rows]
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [keys, words, RunState.QUEUED])
        return [row[0] for row in cursor.fetchall()]
