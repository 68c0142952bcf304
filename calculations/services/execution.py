"""What clusters tell of runs: handed out, started, finished, lost. Called by the exchange and by
the lease watch.

All of it works on many runs in a constant number of statements, inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count

from calculations.models import Attempt, Calculation, OrphanResult, Quantity, Run
from calculations.services.advance import Move, advance_all, compare_and_set
from calculations.services.progress import read_progress, with_trail
from calculations.services.progress import told as told_before
from calculations.services.reports import FinishReport, read_report
from calculations.services.results import main_value, store_run_results
from calculations.signals import settled, work_queued
from calculations.software.registry import get_software
from calculations.software.results import Verdict
from calculations.states import ACTIVE, LEASED_RUNS, CalculationState, RunState
from labportal.common.clock import now
from labportal.realtime.events import publish

MAX_LOSSES = 3
FINISH = {
    Verdict.VALID: "finish_valid",
    Verdict.NOT_VALID: "finish_not_valid",
    Verdict.FAILED: "finish_failed",
}


def assign(pairs: Iterable[tuple[Run, Any]], *, expires_at: datetime) -> None:
    """Hand queued runs (locked by the caller) to clusters: the next attempt under a new lease."""
    moves = [
        Move(
            run,
            "assign",
            evidence=[f"lease until {expires_at:%H:%M:%S} UTC"],
            fields={
                "attempt": run.attempt + 1,
                "cluster": cluster,
                "lease_expires_at": expires_at,
                "started_at": None,
                "progress": None,
                "reason": f"handed to {cluster.name}",
            },
        )
        for run, cluster in pairs
    ]
    advance_all(moves, actor="placement")


def record_running(
    runs: Sequence[Run], told: Mapping[Any, Mapping[str, Any]], *, agent: str
) -> None:
    """Note which leased runs have started, and how far they are; `told` is the agent's entry by run
    id.
    """
    begun = [
        run
        for run in runs
        if run.state == RunState.ASSIGNED and told[run.pk]["state"] != "preparing"
    ]
    if begun:
        lock_calculations({run.calculation_id for run in begun})
    advance_all(
        (
            Move(
                run,
                "start",
                evidence=[f"process {told[run.pk].get('scheduler_id') or '?'}"],
                fields={"started_at": now()},
            )
            for run in begun
        ),
        actor=agent,
    )
    if begun:
        roll_up({run.calculation_id for run in begun})
    changed = {
        run.pk: {"progress": with_trail(run.progress, progress)}
        for run in runs
        if (progress := read_progress(told[run.pk].get("progress")))
        and progress != told_before(run.progress)
    }
    if changed:
        compare_and_set(Run, {r.pk: r.state for r in runs if r.pk in changed}, changed)
        for run in runs:
            if run.pk in changed:
                publish(
                    f"calculation:{run.calculation_id}",
                    "run.progress",
                    {"run": str(run.pk), **told_before(changed[run.pk]["progress"])},
                )


def accept(pairs: Sequence[tuple[Run, Mapping[str, Any]]], *, agent: str) -> None:
    """Take terminal reports of current attempts: state, attempt record, results, all or nothing."""
    if not pairs:
        return
    calculations = lock_calculations({run.calculation_id for run, _ in pairs})
    reports = [(run, read_report(document)) for run, document in pairs]
    for run, _ in reports:
        run.calculation = calculations[run.calculation_id]
    advance_all((_finish_move(run, report) for run, report in reports), actor=agent)
    Attempt.objects.bulk_create(_attempt(run, report) for run, report in reports)
    store_run_results(reports)
    settle(calculations)


def _finish_move(run: Run, report: FinishReport) -> Move:
    outcome = report.outcome
    return Move(
        run,
        FINISH[outcome.verdict],
        note=outcome.message,
        evidence=[*outcome.evidence, *([f"try: {outcome.remedy}"] if outcome.remedy else [])],
        fields={
            "started_at": report.started_at or run.started_at,
            "finished_at": report.finished_at or now(),
            "lease_expires_at": None,
            "main_value": main_value(run, report),
        },
    )


def _attempt(run: Run, report: FinishReport) -> Attempt:
    return Attempt(
        run=run,
        number=run.attempt,
        cluster_id=run.cluster_id,
        ending=Attempt.Ending.FINISHED,
        code=report.outcome.code,
        message=report.outcome.message,
        remedy=report.outcome.remedy,
        evidence=list(report.outcome.evidence),
        exit_code=report.exit_code,
        exit_signal=report.exit_signal,
        started_at=report.started_at,
        finished_at=report.finished_at,
        elapsed_s=report.elapsed_s,
        cpu_s=report.cpu_s,
        max_rss_mib=report.max_rss_mib,
    )


def confirm_cancelled(runs: Sequence[Run], *, agent: str) -> None:
    """The cluster says that these runs, which were to be cancelled, have stopped."""
    if not runs:
        return
    calculations = lock_calculations({run.calculation_id for run in runs})
    advance_all(
        (
            Move(
                r,
                "confirm_cancel",
                note=r.cancel_reason,
                fields={"finished_at": now(), "lease_expires_at": None},
            )
            for r in runs
        ),
        actor=agent,
    )
    Attempt.objects.bulk_create(
        Attempt(
            run=r,
            number=r.attempt,
            cluster_id=r.cluster_id,
            started_at=r.started_at,
            finished_at=now(),
            ending=Attempt.Ending.CANCELLED,
            message=r.cancel_reason,
        )
        for r in runs
    )
    settle(calculations)


def lose(losses: Sequence[tuple[Run, str]], *, actor: str) -> None:
    """End leases whose attempt is lost: queued again as the next attempt, given up after
    MAX_LOSSES.
    """
    if not losses:
        return
    calculations = lock_calculations({run.calculation_id for run, _ in losses})
    Attempt.objects.bulk_create(
        Attempt(
            run=r,
            number=r.attempt,
            cluster_id=r.cluster_id,
            started_at=r.started_at,
            finished_at=now(),
            ending=Attempt.Ending.LOST,
            code="lost",
            message=why,
        )
        for r, why in losses
    )
    advance_all((_loss_move(run, why) for run, why in losses), actor=actor)
    settle(calculations)
    transaction.on_commit(lambda: work_queued.send(sender=Run))


def _loss_move(run: Run, why: str) -> Move:
    ended = {"lease_expires_at": None, "losses": run.losses + 1, "progress": None}
    if run.cancel_reason:
        return Move(
            run,
            "confirm_cancel",
            note=f"{run.cancel_reason}; {why}",
            fields={**ended, "finished_at": now()},
        )
    if run.losses + 1 > MAX_LOSSES:
        return Move(
            run,
            "give_up",
            note=f"lost {run.losses + 1} times; the last time: {why}",
            fields={**ended, "finished_at": now()},
        )
    return Move(run, "lose", note=why, fields={**ended, "queued_at": run.queued_at or now()})


def keep_orphans(cluster: Any, entries: Sequence[tuple[Run, Mapping[str, Any], str]]) -> None:
    """Keep terminal reports of attempts that are no longer current; the same one is kept once."""
    OrphanResult.objects.bulk_create(
        (
            OrphanResult(
                run=run,
                attempt=document["attempt"],
                cluster=cluster,
                report=dict(document),
                why=why,
            )
            for run, document, why in entries
        ),
        ignore_conflicts=True,
    )


def lock_calculations(ids: Iterable[int]) -> dict[int, Calculation]:
    """Lock in the order of keys, so that exchanges on the same calculations never deadlock."""
    rows = (
        Calculation.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk__in=ids)
        .order_by("pk")
    )
    return {row.pk: row for row in rows}


def settle(calculations: Mapping[int, Calculation]) -> None:
    """After runs ended: release or skip the next ones of chains, then roll up."""
    chains = [pk for pk, calculation in calculations.items() if calculation.is_chain]
    if chains:
        _follow_chains(chains)
    roll_up(calculations)
    rows = list(calculations.values())
    transaction.on_commit(lambda: settled.send(sender=Calculation, calculations=rows))


def _follow_chains(calculation_ids: Sequence[int]) -> None:
    waiting = (
        Run.objects.filter(calculation__in=calculation_ids, state=RunState.WAITING)
        .select_related("predecessor")
        .order_by("calculation_id", "index")
    )
    stopped: dict[int, str] = {}
    moves: list[Move] = []
    for run in waiting:
        before = run.predecessor
        if before.state == RunState.VALID:
            moves.append(Move(run, "release", fields={"queued_at": now()}))
        elif run.calculation_id in stopped or before.state in _STOPS:
            why = stopped.setdefault(
                run.calculation_id,
                f"run {before.index + 1} is {before.get_state_display().lower()}"
                + (f": {before.reason}" if before.reason else ""),
            )
            moves.append(Move(run, "skip", note=why, fields={"finished_at": now()}))
    advance_all(moves, actor="chain")
    if any(move.verb == "release" for move in moves):
        transaction.on_commit(lambda: work_queued.send(sender=Run))


_STOPS = frozenset({RunState.NOT_VALID, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED})


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
