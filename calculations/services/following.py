"""Calculations follow their runs: started, queued again, concluded. Also the locks of both.

Called by execution, inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Count

from calculations.models import Calculation, Quantity, Run
from calculations.services.advance import Move, advance_all
from calculations.software.registry import get_software
from calculations.states import ACTIVE, LEASED_RUNS, CalculationState, RunState
from labportal.common.clock import now


def lock_calculations(ids: Iterable[int]) -> dict[int, Calculation]:
    """Lock in the order of keys. Whoever writes runs that are handed out holds these locks first,
    so that exchanges, cancels and retries never deadlock.
    """
    rows = (
        Calculation.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=ids)
        .order_by("pk")
    )
    return {row.pk: row for row in rows}


def roll_up(calculation_ids: Iterable[int] | Mapping[int, Calculation]) -> None:
    """Let calculations follow their runs: started, queued again, or concluded. Expects or takes the
    rows' locks.
    """
    rows = (
        calculation_ids
        if isinstance(calculation_ids, Mapping)
        else lock_calculations(calculation_ids)
    )
    counts: dict[int, dict[str, int]] = {pk: {} for pk in rows}
    for pk, state, count in (
        Run.objects.filter(calculation__in=rows)
        .order_by()
        .values_list("calculation_id", "state")
        .annotate(Count("pk"))
    ):
        counts[pk][state] = count
    concluded = [pk for pk in rows if _conclusion(counts[pk]) and rows[pk].state in ACTIVE]
    details = _details(concluded)
    results = _main_results(rows, details)
    moves = [
        move
        for pk, row in rows.items()
        if (move := _follow(row, counts[pk], details.get(pk), results.get(pk, {})))
    ]
    advance_all(moves, actor="runs")


def _conclusion(counts: Mapping[str, int]) -> str | None:
    """Return the verb that ends the calculation, None while a run is not terminal."""
    open_states = LEASED_RUNS | {RunState.WAITING, RunState.QUEUED}
    if not counts or any(counts.get(state) for state in open_states):
        return None
    if counts.get(RunState.FAILED):
        return "conclude_failed"
    if counts.get(RunState.NOT_VALID):
        return "conclude_not_valid"
    if counts.get(RunState.CANCELLED):
        return "conclude_cancelled"
    return "conclude_valid"


def _follow(
    calculation: Calculation,
    counts: Mapping[str, int],
    last: Run | None,
    result: Mapping[str, Any],
) -> Move | None:
    state = calculation.state
    if state not in ACTIVE:
        return None
    verb = _conclusion(counts)
    if verb:
        note = _summary(calculation, counts, last)
        return Move(calculation, verb, note=note, fields={"finished_at": now(), **result})
    begun = any(counts.get(s) for s in (RunState.RUNNING, RunState.VALID))
    if begun and state == CalculationState.QUEUED:
        return Move(calculation, "start")
    moving = any(counts.get(s) for s in (*LEASED_RUNS, RunState.VALID))
    if not moving and state == CalculationState.RUNNING:
        return Move(calculation, "requeue", note="its runs wait for a cluster again")
    return None


def _details(calculation_ids: Sequence[int]) -> dict[int, Run]:
    """For each concluded calculation the run that explains it: the first that is not valid, else
    the last.
    """
    found: dict[int, Run] = {}
    runs = Run.objects.filter(calculation__in=calculation_ids).order_by("calculation_id", "index")
    for run in runs.only("calculation_id", "index", "state", "reason", "main_value"):
        held = found.get(run.calculation_id)
        if held is None or held.state == RunState.VALID:
            found[run.calculation_id] = run
    return found


def _summary(calculation: Calculation, counts: Mapping[str, int], run: Run | None) -> str:
    if run is None or calculation.run_count == 1:
        return run.reason if run else ""
    total, valid = sum(counts.values()), counts.get(RunState.VALID, 0)
    if valid == total:
        return f"all {total} runs valid"
    return f"{valid} of {total} runs valid; run {run.index + 1}: {run.reason}"


def _main_results(
    rows: Mapping[int, Calculation], details: Mapping[int, Run]
) -> dict[int, dict[str, Any]]:
    """Return the columns of the single calculations' main results, in one query."""
    wanted = {
        run.pk: get_software(rows[pk].software).main_result
        for pk, run in details.items()
        if rows[pk].run_count == 1 and run.main_value is not None
    }
    if not wanted:
        return {}
    found = Quantity.objects.filter(run__in=wanted, name__in=set(wanted.values()))
    return {
        q.calculation_id: {
            "main_value": q.number,
            "main_label": q.label[:60],
            "main_unit": q.unit,
        }
        for q in found
        if wanted[q.run_id] == q.name
    }
