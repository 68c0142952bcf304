"""The states of calculations and runs, and the one table that says what may follow what.

`services/advance.py` reads this table and is the only writer of a state.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import TextChoices

from labportal.accounts.roles import Can


class CalculationState(TextChoices):
    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    VALID = "valid", "Valid"
    NOT_VALID = "not_valid", "Not valid"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class RunState(TextChoices):
    WAITING = "waiting", "Waiting"  # for the run before it in a chain
    QUEUED = "queued", "Queued"
    ASSIGNED = "assigned", "Assigned"  # handed to a cluster under a lease, not started yet
    RUNNING = "running", "Running"
    VALID = "valid", "Valid"
    NOT_VALID = "not_valid", "Not valid"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    SKIPPED = "skipped", "Skipped"  # never started, since the run before it is not valid


class Standing(TextChoices):
    """How far the results of a valid calculation may be trusted; empty before any check."""

    CHECKED = "checked", "Checked"  # by rule
    VALIDATED = "validated", "Validated"  # by a second person
    RETRACTED = "retracted", "Retracted"


UNCHECKED = ""  # the standing before a check, or after one that failed
TRUSTED = frozenset({Standing.CHECKED, Standing.VALIDATED})


ACTIVE = frozenset({CalculationState.QUEUED, CalculationState.RUNNING})
TERMINAL = frozenset(
    {
        CalculationState.VALID,
        CalculationState.NOT_VALID,
        CalculationState.FAILED,
        CalculationState.CANCELLED,
    }
)
LEASED_RUNS = frozenset({RunState.ASSIGNED, RunState.RUNNING})
UNPLACED_RUNS = frozenset({RunState.WAITING, RunState.QUEUED})
TERMINAL_RUNS = frozenset(
    {RunState.VALID, RunState.NOT_VALID, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED}
)


@dataclass(frozen=True, slots=True)
class Transition:
    """`needs` None: the portal's own move, which no person asks for by name."""

    verb: str
    sources: frozenset[str]
    target: str
    needs: Can | None = None


def _table(*rows: Transition) -> dict[str, Transition]:
    return {row.verb: row for row in rows}


_C, _R = CalculationState, RunState

CALCULATION_TRANSITIONS = _table(
    Transition("submit", frozenset({_C.DRAFT}), _C.IN_REVIEW, Can.CREATE_CALCULATION),
    Transition("approve", frozenset({_C.IN_REVIEW}), _C.QUEUED, Can.REVIEW),
    Transition("approve_by_rule", frozenset({_C.IN_REVIEW}), _C.QUEUED),
    Transition("send_back", frozenset({_C.IN_REVIEW}), _C.DRAFT, Can.REVIEW),
    Transition("withdraw", frozenset({_C.IN_REVIEW}), _C.DRAFT, Can.CREATE_CALCULATION),
    Transition("cancel", ACTIVE | {_C.IN_REVIEW}, _C.CANCELLED, Can.CREATE_CALCULATION),
    Transition("retry", TERMINAL - {_C.VALID}, _C.QUEUED, Can.CREATE_CALCULATION),
    Transition("extend", TERMINAL, _C.QUEUED, Can.CREATE_CALCULATION),
    Transition("start", frozenset({_C.QUEUED}), _C.RUNNING),
    Transition("requeue", frozenset({_C.RUNNING}), _C.QUEUED),
    Transition("conclude_valid", ACTIVE, _C.VALID),
    Transition("conclude_not_valid", ACTIVE, _C.NOT_VALID),
    Transition("conclude_failed", ACTIVE, _C.FAILED),
    Transition("conclude_cancelled", ACTIVE, _C.CANCELLED),
    Transition("adopt", TERMINAL - {_C.VALID}, _C.RUNNING),
)

RUN_TRANSITIONS = _table(
    Transition("release", frozenset({_R.WAITING}), _R.QUEUED),
    Transition("assign", frozenset({_R.QUEUED}), _R.ASSIGNED),
    Transition("start", frozenset({_R.ASSIGNED}), _R.RUNNING),
    Transition("finish_valid", LEASED_RUNS, _R.VALID),
    Transition("finish_not_valid", LEASED_RUNS, _R.NOT_VALID),
    Transition("finish_failed", LEASED_RUNS, _R.FAILED),
    Transition("retry_with_change", LEASED_RUNS, _R.QUEUED),
    Transition("lose", LEASED_RUNS, _R.QUEUED),
    Transition("recall", frozenset({_R.ASSIGNED}), _R.QUEUED),
    Transition("give_up", LEASED_RUNS, _R.FAILED),
    Transition("cancel", UNPLACED_RUNS, _R.CANCELLED),
    Transition("confirm_cancel", LEASED_RUNS, _R.CANCELLED),
    Transition("skip", frozenset({_R.WAITING}), _R.SKIPPED),
    Transition("retry", TERMINAL_RUNS - {_R.VALID}, _R.QUEUED),
    Transition("retry_later", TERMINAL_RUNS - {_R.VALID}, _R.WAITING),
    Transition("adopt", TERMINAL_RUNS - {_R.VALID}, _R.RUNNING),
)

# Only of valid calculations. Whoever changes results takes a calculation out of TRUSTED; what was
# retracted stays so until somebody restores it.
STANDING_TRANSITIONS = _table(
    Transition("check", frozenset({UNCHECKED}), Standing.CHECKED),
    Transition("check_fails", frozenset({UNCHECKED}), UNCHECKED),
    Transition("change_results", TRUSTED, UNCHECKED),
    Transition(
        "validate", frozenset({UNCHECKED, Standing.CHECKED}), Standing.VALIDATED, Can.VALIDATE
    ),
    Transition("retract", TRUSTED | {UNCHECKED}, Standing.RETRACTED, Can.CREATE_CALCULATION),
    Transition("restore", frozenset({Standing.RETRACTED}), UNCHECKED, Can.CREATE_CALCULATION),
)
