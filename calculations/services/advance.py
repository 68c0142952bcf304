"""The only writer of states: many moves in a handful of statements, each a compare-and-set with its
event row.

Every service comes through here. Nothing else may write `state`; a test looks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, models, transaction

from calculations.models import Calculation, Event, Run
from calculations.states import CALCULATION_TRANSITIONS, RUN_TRANSITIONS, Transition
from labportal.accounts.models import User
from labportal.accounts.roles import require
from labportal.common.clock import now
from labportal.common.errors import Stale, WrongMoment
from labportal.realtime.events import publish

Subject = Calculation | Run
Actor = User | str  # a person, or the words for a part of the system ("policy", "agent metis")


@dataclass(frozen=True, slots=True)
class Move:
    """One wished change of state; `fields` are further columns of the same row, written in the same
    statement.
    """

    subject: Subject
    verb: str
    note: str = ""
    evidence: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


def advance(
    subject: Subject,
    verb: str,
    *,
    actor: Actor,
    note: str = "",
    evidence: Sequence[str] = (),
    **fields: Any,
) -> None:
    """Move one subject. Raises NotAllowed, WrongMoment (the table), Stale (somebody else was
    faster).
    """
    move = Move(subject, verb, note, evidence, fields)
    advance_all([move], actor=actor)


def advance_all(moves: Iterable[Move], *, actor: Actor) -> None:
    """Move all subjects or none, in one statement per model; the objects carry their new state
    afterwards.

    A subject may appear once. Raises like `advance`.
    """
    moves = list(moves)
    if not moves:
        return
    by_model: dict[type[Subject], list[tuple[Move, Transition]]] = {Run: [], Calculation: []}
    for move in moves:
        by_model[type(move.subject)].append((move, _transition(move, actor)))
    with transaction.atomic(savepoint=False):  # the caller keeps all of it or nothing
        for model, rows in by_model.items():
            if rows:
                _write(model, rows, actor)
        for move in moves:
            _publish(move.subject)


def _transition(move: Move, actor: Actor) -> Transition:
    table = RUN_TRANSITIONS if isinstance(move.subject, Run) else CALCULATION_TRANSITIONS
    transition = table[move.verb]
    if isinstance(actor, User) and transition.needs is not None:
        require(actor, transition.needs)
    if move.subject.state not in transition.sources:
        raise WrongMoment(
            f"{move.subject} is {move.subject.get_state_display().lower()}: "
            f"“{move.verb.replace('_', ' ')}” is not possible now."
        )
    return transition


def _write(model: type[Subject], rows: list[tuple[Move, Transition]], actor: Actor) -> None:
    moment = now()
    expected = {move.subject.pk: move.subject.state for move, _ in rows}
    changes = {
        move.subject.pk: {
            "state": transition.target,
            "state_since": moment,
            "reason": _reason(move),
            **move.fields,
        }
        for move, transition in rows
    }
    changed = compare_and_set(model, expected, changes)
    if len(changed) != len(rows):
        late = next(move.subject for move, _ in rows if move.subject.pk not in changed)
        raise Stale(f"{late} was changed by somebody else meanwhile; load it again.")
    Event.objects.bulk_create(_event(move, transition, actor, moment) for move, transition in rows)
    for move, _ in rows:
        for name, value in changes[move.subject.pk].items():
            setattr(move.subject, name, value)


def _reason(move: Move) -> str:
    return str(move.fields.get("reason", move.note))[:500]


def _event(move: Move, transition: Transition, actor: Actor, moment: Any) -> Event:
    subject = move.subject
    is_run = isinstance(subject, Run)
    person = actor if isinstance(actor, User) else None
    return Event(
        calculation_id=subject.calculation_id if is_run else subject.pk,
        run_id=subject.pk if is_run else None,
        attempt=(move.fields.get("attempt", subject.attempt) or None) if is_run else None,
        at=moment,
        verb=move.verb,
        source=subject.state,
        target=transition.target,
        actor=person,
        actor_label=person.display_name if person else str(actor),
        note=move.note,
        evidence=list(move.evidence),
    )


def _publish(subject: Subject) -> None:
    if isinstance(subject, Run):
        payload = {
            "calculation": subject.calculation_id,
            "run": str(subject.pk),
            "state": subject.state,
        }
        publish(f"calculation:{subject.calculation_id}", "run.changed", payload)
    else:
        payload = {"id": subject.pk, "state": subject.state}
        publish(f"project:{subject.project_id}", "calculation.changed", payload)
        publish(f"calculation:{subject.pk}", "calculation.changed", payload)


def compare_and_set(
    model: type[models.Model],
    expected: Mapping[Any, str],
    changes: Mapping[Any, Mapping[str, Any]],
) -> set[Any]:
    """Write each row's own columns where its state is still the expected one; return the keys of
    rows written.

    Rows that change the same columns share one UPDATE … FROM (VALUES …).
    """
    written: set[Any] = set()
    shapes: dict[tuple[str, ...], list[Any]] = {}
    for key, columns in changes.items():
        shapes.setdefault(tuple(sorted(columns)), []).append(key)
    with connection.cursor() as cursor:
        for names, keys in shapes.items():
            fields = [model._meta.pk, model._meta.get_field("state")]
            fields += [model._meta.get_field(name) for name in names]
            statement = _update_statement(model, names, fields, len(keys))
            values = [
                field.get_db_prep_save(value, connection)
                for key in keys
                for field, value in zip(
                    fields,
                    (key, expected[key], *(_plain(changes[key][name]) for name in names)),
                    strict=True,
                )
            ]
            cursor.execute(statement, values)
            written.update(row[0] for row in cursor.fetchall())
    return written


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def _update_statement(
    model: type[models.Model],
    names: Sequence[str],
    fields: Sequence[models.Field],
    count: int,
) -> str:
    quote = connection.ops.quote_name
    table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    casts = [f"%s::{_column_type(field)}" for field in fields]
    row = f"({', '.join(casts)})"
    sets = ", ".join(
        f"{quote(field.column)} = v.c{position}"
        for position, field in enumerate(fields[2:], start=2)
    )
    aliases = ", ".join(f"c{position}" for position in range(len(fields)))
    return (
        f"UPDATE {table} SET {sets} FROM (VALUES {', '.join([row] * count)}) AS v({aliases}) "  # noqa: S608
        f"WHERE {table}.{key} = v.c0 AND {table}.state = v.c1 RETURNING {table}.{key}"
    )


def _column_type(field: models.Field) -> str:
    return (
        field.rel_db_type(connection)
        if field.is_relation
        else field.db_type(connection).replace("bigint GENERATED BY DEFAULT AS IDENTITY", "bigint")
    )
