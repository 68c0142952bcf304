"""What people do to submitted calculations: cancel, retry, change the priority; as a whole, or of
some of its runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from django.db import transaction

from calculations.models import Calculation, Event, Run
from calculations.services.advance import Move, advance, advance_all
from calculations.services.execution import settle
from calculations.services.retries import Advice, advices_of, changed_columns, words_of
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
def cancel(
    calculation: Calculation, *, actor: User, why: str = "", numbers: Sequence[int] | None = None
) -> None:
    """Cancel at once what has not started; ask the clusters to stop the rest, which they then
    confirm. `numbers`: only these runs, from 1; what continues one of them is skipped.

    Raises WrongMoment for a draft or a calculation that has ended.
    """
    require(actor, Can.CREATE_CALCULATION)
    lock(calculation)
    runs = list(calculation.runs.select_for_update(of=("self",), no_key=True).order_by("index"))
    chosen = _chosen(runs, numbers)
    leased = [run for run in chosen if run.state in LEASED_RUNS]
    unplaced = [run for run in chosen if run.state in UNPLACED_RUNS]
    note = why or f"asked by {actor.display_name}"
    if not calculation.is_active and calculation.state != CalculationState.IN_REVIEW:
        raise WrongMoment(
            f"{calculation.number} is {calculation.get_state_display().lower()}: "
            "there is nothing to cancel."
        )
    if numbers is not None and not leased and not unplaced:
        raise WrongMoment("These runs have ended: there is nothing to cancel.")
    advance_all(
        (Move(r, "cancel", note=note, fields={"finished_at": now()}) for r in unplaced),
        actor=actor,
    )
    if leased:
        _ask_clusters(calculation, leased, note, actor)
    if numbers is not None:
        settle({calculation.pk: calculation})
    elif not leased:
        advance(calculation, "cancel", actor=actor, note=note, finished_at=now())


def _ask_clusters(calculation: Calculation, leased: Sequence[Run], note: str, actor: User) -> None:
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


def _chosen(runs: Sequence[Run], numbers: Sequence[int] | None) -> list[Run]:
    """Raises InvalidInput for a number that no run has."""
    if numbers is None:
        return list(runs)
    by_number = {run.index + 1: run for run in runs}
    unknown = [number for number in numbers if number not in by_number]
    if unknown or not numbers:
        words = f"there is no run {unknown[0]}" if unknown else "name at least one run"
        raise InvalidInput(errors={"runs": f"{words}; the runs are 1 to {len(runs)}"})
    return [by_number[number] for number in sorted(set(numbers))]


@transaction.atomic
def retry(
    calculation: Calculation,
    *,
    actor: User,
    advised: bool = False,
    numbers: Sequence[int] | None = None,
) -> None:
    """Run again what is not valid; valid runs keep their results, a chain goes on after the last
    valid one.

    `advised`: with what the last verdict of each run advises to change. `numbers`: only these runs,
    from 1, with those that they continue and those that continue them; then also while other runs
    are still on their way. Raises WrongMoment, also where no verdict advises anything.
    """
    require(actor, Can.CREATE_CALCULATION)
    lock(calculation)
    check_ready([calculation])
    runs = list(calculation.runs.select_for_update(of=("self",), no_key=True).order_by("index"))
    if not runs:
        raise WrongMoment(f"{calculation.number} was never approved; duplicate and submit it.")
    chosen = _to_repeat(calculation, runs, numbers)
    advices = advices_of(calculation) if advised else {}
    if advised and not {run.pk for run in chosen} & set(advices):
        raise WrongMoment(f"No verdict advises a change for {calculation.number}; retry it as is.")
    if numbers is None or not calculation.is_active:
        advance(calculation, "retry", actor=actor, finished_at=None, announced_at=None)
    if numbers is None and any(run.state not in TERMINAL_RUNS for run in runs):
        raise WrongMoment(f"{calculation.number} still has runs that have not ended.")
    valid = {run.pk for run in runs if run.state == RunState.VALID}
    advance_all((_repeat(calculation, run, valid, advices) for run in chosen), actor=actor)
    transaction.on_commit(lambda: work_queued.send(sender=Run))


def _to_repeat(
    calculation: Calculation, runs: Sequence[Run], numbers: Sequence[int] | None
) -> list[Run]:
    """The chosen runs, with what they need and what was skipped because of them, in order."""
    repeatable = TERMINAL_RUNS - {RunState.VALID}
    if numbers is None:
        return [run for run in runs if run.state != RunState.VALID]
    by_key = {run.pk: run for run in runs}
    wanted: set[Any] = set()
    for run in _chosen(runs, numbers):
        if run.state not in repeatable:
            raise WrongMoment(
                f"Run {run.index + 1} of {calculation.number} is "
                f"{run.get_state_display().lower()}; only what ended without a valid result is "
                "run again."
            )
        before: Run | None = run
        while before is not None and before.state in repeatable:
            wanted.add(before.pk)
            before = by_key.get(before.predecessor_id)
    for run in runs:  # a run comes after the one that it continues
        if run.predecessor_id in wanted and run.state == RunState.SKIPPED:
            wanted.add(run.pk)
    return [run for run in runs if run.pk in wanted]


def _repeat(
    calculation: Calculation, run: Run, valid: Set[Any], advices: Mapping[Any, Advice]
) -> Move:
    run.calculation = calculation
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
    if run.predecessor_id is None or run.predecessor_id in valid:
        return Move(run, "retry", note=note, fields={**fresh, "queued_at": now()})
    return Move(run, "retry_later", note=note, fields=fresh)


@transaction.atomic
def set_priority(calculation: Calculation, priority: int, *, actor: User) -> None:
    require(actor, Can.PRIORITISE)
    if not -100 <= priority <= 100:
        raise InvalidInput(errors={"priority": "must be between -100 and 100"})
    Calculation.objects.filter(pk=calculation.pk).update(priority=priority)
    calculation.runs.filter(state__in=UNPLACED_RUNS).update(priority=priority)
    calculation.priority = priority


def lock(calculation: Calculation) -> None:
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
