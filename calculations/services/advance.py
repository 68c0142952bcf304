"""The only writer of states and standings: many moves in a handful of statements, each a
compare-and-set with its event row.

Every service comes through here. Nothing else may write `state` or `standing`; a test looks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import connection, models, transaction

from calculations.models import Calculation, Event, Run
from calculations.states import (
    CALCULATION_TRANSITIONS,
    RUN_TRANSITIONS,
    STANDING_TRANSITIONS,
    TRUSTED,
    Transition,
)
from labportal.accounts.models import User
from labportal.accounts.roles import require
from labportal.common.clock import now
from labportal.common.errors import Stale, WrongMoment
from labportal.realtime.events import publish

Subject = Calculation | Run
Actor = User | str  # a person, or the words for a part of the system ("policy", "agent metis")
TABLES: Mapping[tuple[type[Subject], str], Mapping[str, Transition]] = {
    (Run, "state"): RUN_TRANSITIONS,
    (Calculation, "state"): CALCULATION_TRANSITIONS,
    (Calculation, "standing"): STANDING_TRANSITIONS,
}


@dataclass(frozen=True, slots=True)
class Move:
    """One wished change of state, or (`column`) of a calculation's standing; `fields` are further
    columns of the same row, written in the same statement.
    """

    subject: Subject
    verb: str
    note: str = ""
    evidence: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    column: str = "state"


def advance(
    subject: Subject,
    verb: str,
    *,
    actor: Actor,
    note: str = "",
    evidence: Sequence[str] = (),
    column: str = "state",
    **fields: Any,
) -> None:
    """Move one subject. Raises NotAllowed, WrongMoment (the table), Stale (somebody else was
    faster).
    """
    move = Move(subject, verb, note, evidence, fields, column)
    advance_all([move], actor=actor)


def advance_all(moves: Iterable[Move], *, actor: Actor) -> None:
    """Move all subjects or none, in one statement per model; the objects carry their new state
    afterwards.

    A subject may appear once. A calculation that changes its state loses the trust in its results,
    since these may change. Raises like `advance`.
    """
    moves = list(moves)
    if not moves:
        return
    moves += [_distrust(move) for move in moves if _changes_results(move)]
    groups: dict[tuple[type[Subject], str], list[tuple[Move, Transition]]] = {
        key: [] for key in TABLES
    }
    for move in moves:
        groups[type(move.subject), move.column].append((move, _transition(move, actor)))
    with transaction.atomic(savepoint=False):  # the caller keeps all of it or nothing
        for (model, column), rows in groups.items():
            if rows:
                _write(model, column, rows, actor)
        for subject in dict.fromkeys(move.subject for move in moves):
            _publish(subject)


def _changes_results(move: Move) -> bool:
    of_state = isinstance(move.subject, Calculation) and move.column == "state"
    return of_state and move.subject.standing in TRUSTED


def _distrust(move: Move) -> Move:
    return Move(move.subject, "change_results", note=move.note or move.verb, column="standing")


def _transition(move: Move, actor: Actor) -> Transition:
    transition = TABLES[type(move.subject), move.column][move.verb]
    if isinstance(actor, User) and transition.needs is not None:
        require(actor, transition.needs)
    if getattr(move.subject, move.column) not in transition.sources:
        raise WrongMoment(
            f"{move.subject} is {_words(move)}: "
            f"“{move.verb.replace('_', ' ')}” is not possible now."
        )
    return transition


def _words(move: Move) -> str:
    words = getattr(move.subject, f"get_{move.column}_display")()
    return words.lower() or "not checked"


def _write(
    model: type[Subject], column: str, rows: list[tuple[Move, Transition]], actor: Actor
) -> None:
    moment = now()
    expected = {move.subject.pk: getattr(move.subject, column) for move, _ in rows}
    columns = _standing_columns if column == "standing" else _state_columns
    changes = {
        move.subject.pk: {
            column: transition.target,
            **columns(move, actor, moment),
            **move.fields,
        }
        for move, transition in rows
    }
    changed = compare_and_set(model, expected, changes, column=column)
    if len(changed) != len(rows):
        late = next(move.subject for move, _ in rows if move.subject.pk not in changed)
        raise Stale(f"{late} was changed by somebody else meanwhile; load it again.")
    _record([_event(move, transition, actor, moment) for move, transition in rows])
    for move, _ in rows:
        for name, value in changes[move.subject.pk].items():
            setattr(move.subject, name, value)


def _state_columns(move: Move, actor: Actor, moment: Any) -> dict[str, Any]:
    columns = {"state_since": moment, "reason": str(move.fields.get("reason", move.note))[:500]}
    if isinstance(move.subject, Calculation) and not move.subject.standing:
        columns["standing_reason"] = ""  # why an earlier check failed
    return columns


def _standing_columns(move: Move, actor: Actor, moment: Any) -> dict[str, Any]:
    person = actor if isinstance(actor, User) else None
    return {"standing_at": moment, "standing_by": person, "standing_reason": move.note[:500]}


def _event(move: Move, transition: Transition, actor: Actor, moment: Any) -> tuple[Any, ...]:
    """The values of _EVENT."""
    subject = move.subject
    is_run = isinstance(subject, Run)
    person = actor if isinstance(actor, User) else None
    return (
        subject.calculation_id if is_run else subject.pk,
        subject.pk if is_run else None,
        (move.fields.get("attempt", subject.attempt) or None) if is_run else None,
        moment,
        move.verb,
        str(getattr(subject, move.column)),
        str(transition.target),
        person.pk if person else None,
        person.display_name if person else str(actor),
        move.note,
        json.dumps(list(move.evidence)),
    )


_EVENT = (
    *("calculation_id", "run_id", "attempt", "at", "verb", "source", "target"),
    *("actor_id", "actor_label", "note", "evidence"),
)
_RECORD = f'INSERT INTO "{Event._meta.db_table}" ({", ".join(_EVENT)}) '


def _record(events: Sequence[tuple[Any, ...]]) -> None:
    """Event.objects.bulk_create, by hand: each change of a state pays for it. What is the same for
    all rows travels once.
    """
    columns = list(zip(*events, strict=True))
    own = [place for place, values in enumerate(columns) if not _all_same(values)]
    own = own or [0]
    typed = _event_types()
    taken = [f"v.c{place}" if place in own else typed[place] for place in range(len(_EVENT))]
    row = f"({', '.join(typed[place] for place in own)})"
    names = ", ".join(f"c{place}" for place in own)
    rows = ", ".join([row] * len(events))
    arguments = [values[0] for place, values in enumerate(columns) if place not in own]
    arguments += [event[place] for event in events for place in own]
    with connection.cursor() as cursor:
        cursor.execute(
            f"{_RECORD}SELECT {', '.join(taken)} FROM (VALUES {rows}) AS v({names})",  # noqa: S608
            arguments,
        )


@cache
def _event_types() -> tuple[str, ...]:
    fields = (Event._meta.get_field(name.removesuffix("_id")) for name in _EVENT)
    return tuple(f"%s::{_column_type(field)}" for field in fields)


def _publish(subject: Subject) -> None:
    if isinstance(subject, Run):
        payload = {
            "calculation": subject.calculation_id,
            "run": str(subject.pk),
            "index": subject.index,
            "state": subject.state,
        }
        publish(f"calculation:{subject.calculation_id}", "run.changed", payload)
    else:
        payload = {"id": subject.pk, "state": subject.state, "standing": subject.standing}
        publish(f"project:{subject.project_id}", "calculation.changed", payload)
        publish(f"calculation:{subject.pk}", "calculation.changed", payload)


def compare_and_set(
    model: type[models.Model],
    expected: Mapping[Any, str],
    changes: Mapping[Any, Mapping[str, Any]],
    *,
    column: str = "state",
) -> set[Any]:
    """Write each row's own columns where its state (or other `column`) is still the expected one;
    return the keys of rows written.

    Rows that change the same columns share one UPDATE … FROM (VALUES …), which holds only what
    differs from row to row.
    """
    written: set[Any] = set()
    shapes: dict[tuple[str, ...], list[Any]] = {}
    for key, columns in changes.items():
        shapes.setdefault(tuple(sorted(columns)), []).append(key)
    with connection.cursor() as cursor:
        for names, keys in shapes.items():
            # What is compared comes first, then what is written.
            values = {_EXPECTED: [expected[key] for key in keys]}
            values |= {name: [_plain(changes[key][name]) for key in keys] for name in names}
            fields = {name: model._meta.get_field(name) for name in names}
            fields[_EXPECTED] = model._meta.get_field(column)
            same = {name for name, many in values.items() if _all_same(many)}
            prepared = {
                name: [
                    fields[name].get_db_prep_save(value, connection)
                    for value in (many[:1] if name in same else many)
                ]
                for name, many in values.items()
            }
            own = [prepared[name] for name in values if name not in same]
            arguments = [prepared[name][0] for name in names if name in same]
            key_field = model._meta.pk
            for row in zip(
                [key_field.get_db_prep_save(k, connection) for k in keys], *own, strict=True
            ):
                arguments += row
            arguments += [prepared[_EXPECTED][0]] if _EXPECTED in same else []
            cursor.execute(_update_statement(model, fields, same, len(keys)), arguments)
            written.update(row[0] for row in cursor.fetchall())
    return written


_EXPECTED = ""  # stands for what the compared column must still hold


def _all_same(values: Sequence[Any]) -> bool:
    first = values[0]
    return all(value is first or value == first for value in values)


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def _update_statement(
    model: type[models.Model], fields: Mapping[str, models.Field], same: Set[str], count: int
) -> str:
    """Arguments: what is the same for all rows, then the rows (key, what is expected if that
    differs, the rest), then what is expected if that is the same.
    """
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    expected = fields[_EXPECTED]
    written = [name for name in fields if name != _EXPECTED]
    in_rows = [name for name in (_EXPECTED, *written) if name not in same]
    place = {name: f"v.c{number}" for number, name in enumerate(in_rows, start=1)}
    sets = [
        f"{quote(fields[name].column)} = %s::{_column_type(fields[name])}"
        for name in written
        if name in same
    ]
    sets += [
        f"{quote(fields[name].column)} = {place[name]}" for name in written if name not in same
    ]
    casts = [f"%s::{_column_type(f)}" for f in (model._meta.pk, *(fields[n] for n in in_rows))]
    row = f"({', '.join(casts)})"
    aliases = ", ".join(f"c{number}" for number in range(len(casts)))
    still = place.get(_EXPECTED, f"%s::{_column_type(expected)}")
    return (
        f"UPDATE {table} SET {', '.join(sets)} "  # noqa: S608
        f"FROM (VALUES {', '.join([row] * count)}) AS v({aliases}) "
        f"WHERE {table}.{key} = v.c0 AND {table}.{quote(expected.column)} = {still} "
        f"RETURNING {table}.{key}"
    )


def _column_type(field: models.Field) -> str:
    return (
        field.rel_db_type(connection)
        if field.is_relation
        else field.db_type(connection).replace("bigint GENERATED BY DEFAULT AS IDENTITY", "bigint")
    )
