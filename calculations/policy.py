"""Who may do what to which calculation, and which calculations wait for a moderator. Pure
questions, no writes.
"""

from __future__ import annotations

from calculations.models import Calculation, LabSettings
from calculations.states import CalculationState, Standing
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.templatetags.labportal import number

# Whose events name the people that set a calculation going.
BEGINNINGS = ("submit", "retry", "adopt", "add_points")


def review_reason(calculation: Calculation, settings: LabSettings) -> str:
    """Return why the calculation must be reviewed; empty where the rule approves it."""
    limit, most = settings.auto_approve_core_hours, calculation.core_hours_limit
    if most <= limit:
        return ""
    return f"may use {number(most, 3)} core-hours, above the {limit:g} that need no review"


def may_review(user: User, calculation: Calculation) -> bool:
    """Nobody approves their own but who holds REVIEW_OWN."""
    if not can(user, Can.REVIEW):
        return False
    return calculation.created_by_id != user.pk or can(user, Can.REVIEW_OWN)


def why_not_validate(user: User, calculation: Calculation) -> str:
    """Return why the person may not vouch for the results, "" where they may.

    Anybody of the project who holds VALIDATE, but never whoever made the calculation or set it
    going: the second pair of eyes is somebody else's.
    """
    if not can(user, Can.VALIDATE):
        return "Your role does not allow you to validate results."
    if calculation.created_by_id == user.pk:
        return "Somebody else must validate your own calculation."
    if calculation.events.filter(verb__in=BEGINNINGS, actor=user).exists():
        return "Somebody else must validate what you submitted or ran again."
    return ""


def may_retract(user: User, calculation: Calculation) -> bool:
    """The author, and who holds RETRACT."""
    own = calculation.created_by_id == user.pk and can(user, Can.CREATE_CALCULATION)
    return own or can(user, Can.RETRACT)


def may_restore(user: User, calculation: Calculation) -> bool:
    """Whoever retracted it, and who holds RETRACT."""
    own = calculation.standing_by_id == user.pk and can(user, Can.CREATE_CALCULATION)
    return own or can(user, Can.RETRACT)


def may_purge(user: User, calculation: Calculation) -> bool:
    """Who may have raw files deleted, or kept: the author, and moderators and admins."""
    return may_retract(user, calculation)


def standing_verbs(user: User, calculation: Calculation) -> list[str]:
    """Return what `user` may do to the standing of a valid calculation."""
    if calculation.state != CalculationState.VALID:
        return []
    if calculation.standing == Standing.RETRACTED:
        return ["restore"] if may_restore(user, calculation) else []
    verbs = []
    open_to = calculation.standing != Standing.VALIDATED and not calculation.doubt
    if open_to and not why_not_validate(user, calculation):
        verbs += ["validate"]
    return verbs + (["retract"] if may_retract(user, calculation) else [])


def verbs_for(user: User, calculation: Calculation) -> list[str]:
    """Return what `user`, who sees the calculation, may do to it now."""
    verbs: list[str] = []
    state = calculation.state
    if can(user, Can.CREATE_CALCULATION):
        if state == CalculationState.DRAFT:
            verbs += ["submit", "edit"]
        if state == CalculationState.IN_REVIEW:
            verbs += ["withdraw"]
        if calculation.is_active or state == CalculationState.IN_REVIEW:
            verbs += ["cancel"]
        if calculation.is_terminal and state != CalculationState.VALID:
            verbs += ["retry"]
        verbs += ["duplicate"]
        if state == CalculationState.DRAFT:
            verbs += ["delete"]
    if state == CalculationState.IN_REVIEW and may_review(user, calculation):
        verbs += ["approve", "send_back"]
    return verbs + standing_verbs(user, calculation)
