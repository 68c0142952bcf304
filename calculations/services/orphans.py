"""Late results: reports of attempts no longer current, which an admin may yet take over."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from calculations.models import Calculation, OrphanResult, OutputFile, Run
from calculations.services import execution
from calculations.services.advance import Move, advance_all
from calculations.services.following import lock_calculations
from calculations.services.reports import FileReport, read_report
from calculations.services.results import file_key
from calculations.software.results import Verdict
from calculations.states import TERMINAL, TERMINAL_RUNS, CalculationState, RunState
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotFound, WrongMoment
from labportal.common.storage import storage


@transaction.atomic
def adopt(orphan: OrphanResult, *, actor: User) -> Run:
    """Let the kept report be the run's result, as one more attempt; the calculation follows.

    Raises WrongMoment where the run could still end by itself, or has a valid result.
    """
    require(actor, Can.ADOPT_ORPHANS)
    calculation_id = Run.objects.values_list("calculation", flat=True).get(pk=orphan.run_id)
    calculation = lock_calculations([calculation_id])[calculation_id]
    orphan = (
        OrphanResult.objects.select_for_update(of=("self",))
        .select_related("cluster")
        .get(pk=orphan.pk)
    )
    runs = {
        run.pk: run for run in calculation.runs.select_for_update(no_key=True).order_by("index")
    }
    run = runs[orphan.run_id]
    _check_moment(orphan, run)
    report = read_report(orphan.report)
    moves = [_reopen(run, orphan)]
    if calculation.state in TERMINAL:
        fields = {"finished_at": None, "announced_at": None}
        moves.append(Move(calculation, "adopt", note=f"a late result of {run}", fields=fields))
    if report.outcome.verdict == Verdict.VALID:
        moves += _continue_chain(calculation, run, runs.values())
    advance_all(moves, actor=actor)
    late = f"late, {orphan.cluster.name}"
    execution.accept([(run, {**orphan.report, "files": ()})], agent=late, retry=False)
    _keep_files(run, orphan, report.files)
    orphan.adopted_at, orphan.adopted_by = now(), actor
    orphan.save(update_fields=["adopted_at", "adopted_by"])
    detail = {"attempt": orphan.attempt, "cluster": orphan.cluster.name}
    record(actor, "orphan.adopt", target=str(run), detail=detail)
    return run


def _check_moment(orphan: OrphanResult, run: Run) -> None:
    if orphan.adopted_at is not None:
        raise WrongMoment("This result was adopted already.")
    if run.state == RunState.VALID:
        raise WrongMoment(f"{run} has a valid result, which stays.")
    if run.state not in TERMINAL_RUNS:
        raise WrongMoment(
            f"{run} is {run.get_state_display().lower()}, attempt {run.attempt}, and may still end "
            "by itself. Cancel the calculation first, or wait until it has ended."
        )


def _reopen(run: Run, orphan: OrphanResult) -> Move:
    """One more attempt, on the cluster that found the result; the lost one's record stays."""
    fields: dict[str, Any] = {
        "attempt": run.attempt + 1,
        "cluster": orphan.cluster,
        "finished_at": None,
        "cancel_reason": "",
    }
    return Move(run, "adopt", note=f"the late result of attempt {orphan.attempt}", fields=fields)


def _continue_chain(calculation: Calculation, adopted: Run, runs: Any) -> list[Move]:
    """Runs that were left out since this one had not ended well wait for it again."""
    if not calculation.is_chain or calculation.state == CalculationState.CANCELLED:
        return []
    return [
        Move(
            run,
            "retry_later",
            note=f"run {adopted.index + 1} has a result",
            fields={"finished_at": None},
        )
        for run in runs
        if run.index > adopted.index and run.state == RunState.SKIPPED
    ]


def _keep_files(run: Run, orphan: OrphanResult, files: tuple[FileReport, ...]) -> None:
    """Of the attempt's files, those that had arrived before it was given up."""
    kept = []
    for file in files:
        key = file_key(run.pk, orphan.attempt, file.name)
        try:
            size = storage().size(key)
        except (NotFound, InvalidInput):
            continue
        kept.append(
            OutputFile(
                run=run, attempt=run.attempt, name=file.name, size=size, sha256=file.sha256, key=key
            )
        )
    OutputFile.objects.bulk_create(kept)
