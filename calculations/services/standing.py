"""How far results may be trusted: checked by rule, validated by a second person, retracted with a
reason, restored. What follows from something retracted carries a doubt (doubt.py).

The column is written by advance.py, as each state is; STANDING_TRANSITIONS says what may follow.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import transaction

from calculations.models import Calculation
from calculations.policy import may_restore, may_retract, why_not_validate
from calculations.services import doubt
from calculations.services.advance import Actor, Move, advance, advance_all
from calculations.services.checking import Rule, Stored, failed, rules_of, stored_of
from calculations.services.following import lock_calculations
from calculations.services.lifecycle import lock
from calculations.states import TRUSTED, UNCHECKED, CalculationState
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment

log = logging.getLogger(__name__)

RULES = "rules of the check"


@transaction.atomic
def check(calculation_ids: Iterable[int]) -> None:
    """Apply the rules to valid calculations that are not checked; twice is the same as once.

    Many at once cost as many statements as one.
    """
    _check(lock_calculations(calculation_ids).values())


def _check(calculations: Iterable[Calculation]) -> None:
    due = [c for c in calculations if c.state == CalculationState.VALID and c.standing == UNCHECKED]
    if not due:
        return
    doubt.inherit(due)
    stored = stored_of(due)
    moves = [move for one in due if (move := _check_move(one, stored[one.pk]))]
    advance_all(moves, actor=RULES)


def _check_move(calculation: Calculation, stored: Stored) -> Move | None:
    try:
        rules = rules_of(calculation, stored)
    except Exception:  # a plug-in's bounds, say; it must not keep others from being checked
        log.exception("%s could not be checked", calculation.number)
        return None
    broken = failed(rules)
    words = "; ".join(rule.words for rule in broken)[:500]
    if broken and words == calculation.standing_reason:
        return None  # said before
    return Move(
        calculation,
        "check_fails" if broken else "check",
        note=words or f"all {len(rules)} rules hold",
        evidence=_evidence(rules),
        column="standing",
        fields={"standing_reason": words},
    )


def _evidence(rules: Iterable[Rule]) -> list[str]:
    return [rule.line for rule in rules]


@transaction.atomic
def change_results(calculation: Calculation, *, actor: Actor, why: str) -> None:
    """Say that stored results have changed without a change of state: checked anew, by rule. What
    was retracted stays retracted.
    """
    lock(calculation)
    if calculation.standing in TRUSTED:
        advance(calculation, "change_results", actor=actor, note=why, column="standing")
    _check([calculation])


@transaction.atomic
def validate(calculation: Calculation, *, actor: User, note: str = "") -> None:
    """A second person vouches for the results.

    Where a rule of the check failed, `note` must say why they hold nevertheless; without stored,
    finite results nobody can vouch for them.
    """
    require(actor, Can.VALIDATE)
    why_not = why_not_validate(actor, calculation)
    if why_not:
        raise NotAllowed(why_not, code="second-person")
    _lock_valid(calculation)
    if calculation.doubt:
        raise WrongMoment(f"{calculation.number} cannot be validated: it is {calculation.doubt}")
    note, evidence = note.strip(), []
    if calculation.standing == UNCHECKED:
        rules = rules_of(calculation)
        _bear_with(failed(rules), calculation, note)
        evidence = _evidence(rules)
    advance(calculation, "validate", actor=actor, note=note, evidence=evidence, column="standing")
    record(actor, "calculation.validate", target=calculation.number, detail={"note": note})


def _bear_with(broken: list[Rule], calculation: Calculation, note: str) -> None:
    firm = [rule.words for rule in broken if rule.firm]
    if firm:
        raise WrongMoment(f"{calculation.number} cannot be validated: {'; '.join(firm)}.")
    if broken and not note:
        words = "; ".join(rule.words for rule in broken)
        raise InvalidInput(errors={"note": f"is needed: say why the results hold although {words}"})


@transaction.atomic
def retract(calculation: Calculation, *, actor: User, reason: str) -> None:
    """Take results back, with a reason that all who built on them are told."""
    if not may_retract(actor, calculation):
        raise NotAllowed("Only the author, moderators and admins retract results.")
    reason = _reason(reason, "retracted")
    _lock_valid(calculation)
    advance(calculation, "retract", actor=actor, note=reason, column="standing")
    record(actor, "calculation.retract", target=calculation.number, detail={"reason": reason})
    doubt.spread(calculation, actor=actor)


@transaction.atomic
def restore(calculation: Calculation, *, actor: User, reason: str) -> None:
    """Undo a retraction. The results are checked by rule again, and wait for a second person."""
    lock(calculation)
    if not may_restore(actor, calculation):
        raise NotAllowed(
            "Results are restored by whoever retracted them, by moderators and by admins."
        )
    _lock_valid(calculation)
    reason = _reason(reason, "restored")
    advance(calculation, "restore", actor=actor, note=reason, column="standing")
    record(actor, "calculation.restore", target=calculation.number, detail={"reason": reason})
    doubt.spread(calculation, actor=actor)
    calculation.standing_reason = ""
    _check([calculation])


def _reason(reason: str, done: str) -> str:
    if not reason.strip():
        raise InvalidInput(errors={"note": f"is needed; say why the results are {done}"})
    return reason.strip()


def _lock_valid(calculation: Calculation) -> None:
    lock(calculation)
    if calculation.state != CalculationState.VALID:
        raise WrongMoment(
            f"{calculation.number} is {calculation.get_state_display().lower()}: only the results "
            "of a valid calculation have a standing."
        )
