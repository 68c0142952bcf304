"""What people do to submitted calculations: cancel, retry, change the priority."""

from __future__ import annotations

from django.db import transaction

from calculations.models import Calculation, Event, Run
from calculations.services.advance import Move, advance, advance_all
from calculations.services.retries import advices_of, changed_columns, words_of
from calculations.services.submission import check_ready
from calculations.signals import cancel_requested, work_queued
from calculations.states import (
    LEASED_RUNS,
    TERMINAL_RUNS,
    UNPLACED_RUNS,
    CalculationState,
    RunState,
)
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, WrongMoment


@transaction.atomic
def cancel(calculation: Calculation, *, actor: User, why: str = "") -> None:
    """Cancel at once what has not started; ask the clusters to stop the rest, which they then
    confirm.

    Raises WrongMoment for a draft or a calculation that has ended.
    """
    require(actor, Can.CREATE_CALCULATION)
    _lock(calculation)
    runs = list(calculation.runs.select_for_update(of=("self",), no_key=True))
    leased = [run for run in runs if run.state in LEASED_RUNS]
    note = why or f"asked by {actor.display_name}"
    if not calculation.is_active and calculation.state != CalculationState.IN_REVIEW:
        raise WrongMoment(
            f"{calculation.number} is {calculation.get_state_display().lower()}: "
            "there is nothing to cancel."
        )
    advance_all(
        (
            Move(r, "cancel", note=note, fields={"finished_at": now()})
            for r in runs
            if r.state in UNPLACED_RUNS
        ),
        actor=actor,
    )
    if not leased:
        advance(calculation, "cancel", actor=actor, note=note, finished_at=now())
        return
    Run.objects.filter(pk__in=[run.pk for run in leased]).update(cancel_reason=note[:300])
    Event.objects.create(
        calculation=calculation,
        verb="ask_to_cancel",
        source=calculation.state,
        target=calculation.state,
        actor=actor,
        actor_label=actor.display_name,
        note=note,
    )
    run_ids = [run.pk for run in leased]
    cluster_ids = {run.cluster_id for run in leased}
    transaction.on_commit(
        lambda: cancel_requested.send(sender=Run, run_ids=run_ids, cluster_ids=cluster_ids)
    )


@transaction.atomic
def retry(calculation: Calculation, *, actor: User, advised: bool = False) -> None:
    """Run again what is not valid; valid runs keep their results, a chain goes on after the last
    valid one. `advised`: with what the last verdict of each run advises to change.

    Raises WrongMoment, also where no verdict advises anything.
    """
    require(actor, Can.CREATE_CALCULATION)
    _lock(calculation)
    check_ready([calculation])
    runs = list(calculation.runs.select_for_update(of=("self",), no_key=True).order_by("index"))
    if not runs:
        raise WrongMoment(f"{calculation.number} was never approved; duplicate and submit it.")
    advices = advices_of(calculation) if advised else {}
    if advised and not advices:
        raise WrongMoment(f"No verdict advises a change for {calculation.number}; retry it as is.")
    moment = now()
    moves: list[Move] = []
    ready = True
    for run in runs:
        if run.state == RunState.VALID:
            continue
        run.calculation = calculation
        chained = run.predecessor_id is not None
        fresh = {
            "losses": 0,
            "automatic_retries": 0,
            "restart": None,
            "cancel_reason": "",
            "progress": None,
            "finished_at": None,
        }
        note = ""
        if run.pk in advices:
            note = f"with {words_of(run, advices[run.pk])}"
            fresh |= changed_columns(run, advices[run.pk])
        if not chained or ready:
            moves.append(Move(run, "retry", note=note, fields={**fresh, "queued_at": moment}))
        else:
            moves.append(Move(run, "retry_later", fields=fresh))
        ready = False if calculation.is_chain else ready
    advance(calculation, "retry", actor=actor, finished_at=None, announced_at=None)
    if any(run.state not in TERMINAL_RUNS for run in runs):
        raise WrongMoment(f"{calculation.number} still has runs that have not ended.")
    advance_all(moves, actor=actor)
    transaction.on_commit(lambda: work_queued.send(sender=Run))


@transaction.atomic
def set_priority(calculation: Calculation, priority: int, *, actor: User) -> None:
    require(actor, Can.PRIORITISE)
    if not -100 <= priority <= 100:
        raise InvalidInput(errors={"priority": "must be between -100 and 100"})
    Calculation.objects.filter(pk=calculation.pk).update(priority=priority)
    calculation.runs.filter(state__in=UNPLACED_RUNS).update(priority=priority)
    calculation.priority = priority


def _lock(calculation: Calculation) -> None:
    """Read the row again under a lock, so that no agent's report comes between reading and
    writing; the caller's object says afterwards what became of it.
    """
    known = {
        name: calculation._state.fields_cache[name]
        for name in ("project", "created_by", "cluster")
        if name in calculation._state.fields_cache
    }
    rows = Calculation.objects.select_for_update(of=("self",), no_key=True)
    calculation.refresh_from_db(from_queryset=rows)
    for name, related in known.items():
        if getattr(related, "pk", None) == getattr(calculation, f"{name}_id"):
            calculation._state.fields_cache[name] = related
