"""What clusters tell of runs: handed out, started, finished, lost. Called by the exchange and by
the lease watch.

All of it works on many runs in a constant number of statements, inside the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from calculations.models import Attempt, Calculation, OrphanResult, Run
from calculations.services import jobs, retries
from calculations.services.advance import Move, advance_all, compare_and_set
from calculations.services.following import lock_calculations, roll_up
from calculations.services.progress import read_progress, with_trail
from calculations.services.progress import told as told_before
from calculations.services.reports import FinishReport, read_report
from calculations.services.results import main_value, store_run_results
from calculations.services.retries import Advice
from calculations.signals import attempts_ended, settled, work_queued
from calculations.software.results import Verdict
from calculations.states import RunState
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
                "purged_at": None,
                "purge_held": "",
                "scheduler_id": "",
                "pending": None,
                "walltime_ends_at": None,
                "reason": f"handed to {cluster.name}",
                "waits_for": "",
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
    changed: dict[Any, dict[str, Any]] = {
        run.pk: {"progress": with_trail(run.progress, progress)}
        for run in runs
        if (progress := read_progress(told[run.pk].get("progress")))
        and progress != told_before(run.progress)
    }
    for run in runs:
        taken = told[run.pk].get("disk_bytes")
        if type(taken) is int and 0 <= taken < 2**63 and taken != run.disk_bytes:
            changed.setdefault(run.pk, {})["disk_bytes"] = taken
        if columns := jobs.job_columns(run, told[run.pk]):
            changed.setdefault(run.pk, {}).update(columns)
    touched = {run.calculation_id for run in runs if run in begun or run.pk in changed}
    if touched:
        lock_calculations(touched)
    advance_all(
        (
            Move(
                run,
                "start",
                evidence=[f"job {jobs.scheduler_id(told[run.pk]) or '?'}"],
                fields={"started_at": now()},
            )
            for run in begun
        ),
        actor=agent,
    )
    if begun:
        roll_up({run.calculation_id for run in begun})
    if changed:
        compare_and_set(Run, {r.pk: r.state for r in runs if r.pk in changed}, changed)
        jobs.tell_of_ends(changed)
        for run in runs:
            if "pending" in changed.get(run.pk, ()) and run not in begun:
                publish(f"calculation:{run.calculation_id}", "run.changed", {"run": str(run.pk)})
            if "progress" in changed.get(run.pk, ()):
                publish(
                    f"calculation:{run.calculation_id}",
                    "run.progress",
                    {"run": str(run.pk), **told_before(changed[run.pk]["progress"])},
                )


def accept(
    pairs: Sequence[tuple[Run, Mapping[str, Any]]], *, agent: str, retry: bool = True
) -> None:
    """Take terminal reports of current attempts: state, attempt record, results, all or nothing.

    With `retry`, a run whose verdict advises a change is queued once more where its scientist
    asked for that. The attempt is on record by then: the same report, heard again, is an old one.
    """
    if not pairs:
        return
    calculations = lock_calculations({run.calculation_id for run, _ in pairs})
    reports = [(run, read_report(document)) for run, document in pairs]
    for run, _ in reports:
        run.calculation = calculations[run.calculation_id]
    advices = {
        run.pk: retries.advised(run, report.outcome, report.results) for run, report in reports
    }
    _hear_of_cancels(run for run, _ in reports if advices[run.pk])
    records = [_attempt(run, report, advices[run.pk]) for run, report in reports]
    moves = [
        _retry_move(run, report, advice)
        if retry and (advice := advices[run.pk]) and retries.may_try_again(run)
        else _finish_move(run, report)
        for run, report in reports
    ]
    advance_all(moves, actor=agent)
    Attempt.objects.bulk_create(records)
    _tell_of(records)
    store_run_results(reports)
    settle(calculations)
    if any(move.verb == "retry_with_change" for move in moves):
        transaction.on_commit(lambda: work_queued.send(sender=Run))


def _retry_move(run: Run, report: FinishReport, advice: Advice) -> Move:
    """Back into the queue with what the verdict advises; the attempt that ended stays on record."""
    words = retries.try_words(run, advice)
    note = f"{report.outcome.message} {words[:1].upper()}{words[1:]}."
    return Move(
        run,
        "retry_with_change",
        note=note,
        evidence=list(report.outcome.evidence),
        fields={
            **retries.changed_columns(run, advice),
            "automatic_retries": run.automatic_retries + 1,
            "queued_at": now(),
            "lease_expires_at": None,
            "progress": None,
        },
    )


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
            "disk_bytes": report.disk_bytes if report.disk_bytes is not None else run.disk_bytes,
        },
    )


def _attempt(run: Run, report: FinishReport, advice: Advice | None) -> Attempt:
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
        results_sha256=report.results_sha256,
        not_finite=list(report.not_finite),
        scheduler_id=report.scheduler_id,
        accounting=report.accounting,
        changes=run.changes,
        advice=advice.to_json() if advice else {},
    )


def confirm_cancelled(
    runs: Sequence[Run], *, agent: str, told: Mapping[Any, Mapping[str, Any]] | None = None
) -> None:
    """The cluster says that these runs, which were to be cancelled, have stopped; `told` is the
    agent's entry by run id.
    """
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
    records = [
        Attempt(
            run=r,
            number=r.attempt,
            cluster_id=r.cluster_id,
            started_at=r.started_at,
            finished_at=now(),
            ending=Attempt.Ending.CANCELLED,
            message=r.cancel_reason,
            **jobs.attempt_columns(r, (told or {}).get(r.pk, {})),
        )
        for r in runs
    ]
    for r in runs:
        r.calculation = calculations[r.calculation_id]
    Attempt.objects.bulk_create(records)
    _tell_of(records)
    settle(calculations)


def _tell_of(records: Sequence[Attempt]) -> None:
    """After the commit; whoever listens must not undo what an agent has told."""
    transaction.on_commit(
        lambda: attempts_ended.send(sender=Attempt, attempts=records), robust=True
    )


def lose(
    losses: Sequence[tuple[Run, str]],
    *,
    actor: str,
    told: Mapping[Any, Mapping[str, Any]] | None = None,
) -> None:
    """End leases whose attempt is lost: queued again as the next attempt, given up after
    MAX_LOSSES. `told` is the agent's entry by run id, where it is the agent who says so.
    """
    if not losses:
        return
    calculations = lock_calculations({run.calculation_id for run, _ in losses})
    _hear_of_cancels(run for run, _ in losses)
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
            **jobs.attempt_columns(r, (told or {}).get(r.pk, {})),
        )
        for r, why in losses
    )
    advance_all((_loss_move(run, why) for run, why in losses), actor=actor)
    settle(calculations)
    transaction.on_commit(lambda: work_queued.send(sender=Run))


def recall(runs: Sequence[Run], *, why: str, actor: str) -> None:
    """Take back what was handed out and has not begun: queued again, and no loss is counted.

    An agent that did hear of the attempt is told to abandon it.
    """
    if not runs:
        return
    lock_calculations({run.calculation_id for run in runs})
    fields = {"lease_expires_at": None, "progress": None}
    moves = [Move(r, "recall", note=why, fields=fields) for r in runs if not r.cancel_reason]
    advance_all(moves, actor=actor)
    transaction.on_commit(lambda: work_queued.send(sender=Run))


def _hear_of_cancels(runs: Iterable[Run]) -> None:
    """Somebody may have asked to cancel since the runs were read; else they would run once more."""
    by_id = {run.pk: run for run in runs}
    if not by_id:
        return
    asked = Run.objects.filter(pk__in=by_id).exclude(cancel_reason="")
    for pk, reason in asked.values_list("pk", "cancel_reason"):
        by_id[pk].cancel_reason = reason


def _loss_move(run: Run, why: str) -> Move:
    ended = {
        "lease_expires_at": None,
        "losses": run.losses + 1,
        "progress": None,
        "pending": None,
    }
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


def settle(calculations: Mapping[int, Calculation]) -> None:
    """After runs ended: release or skip the next ones of their lines, then roll up."""
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
    stopped: dict[Any, str] = {}  # why, by what is skipped here; a run comes after its predecessor
    moves: list[Move] = []
    for run in waiting:
        before = run.predecessor
        if before.pk in stopped or before.state in _STOPS:
            stopped[run.pk] = stopped.get(before.pk) or _why_stopped(before)
            note = stopped[run.pk]
            moves.append(Move(run, "skip", note=note, fields={"finished_at": now()}))
        elif before.state == RunState.VALID:
            moves.append(Move(run, "release", fields={"queued_at": now()}))
    advance_all(moves, actor="chain")
    if any(move.verb == "release" for move in moves):
        transaction.on_commit(lambda: work_queued.send(sender=Run))


def _why_stopped(run: Run) -> str:
    """The run that ended a line, which those after it name too."""
    if run.state == RunState.SKIPPED:
        return run.reason
    words = f"run {run.index + 1} is {run.get_state_display().lower()}"
    return f"{words}: {run.reason}" if run.reason else words


_STOPS = frozenset({RunState.NOT_VALID, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED})
