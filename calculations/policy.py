"""Who may do what to which calculation, and which calculations wait for a moderator. Pure
questions, no writes.
"""

from __future__ import annotations

from calculations.models import Calculation, LabSettings
from calculations.states import CalculationState
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.templatetags.labportal import number


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


def verbs_for(user: User, calculation: Calculation) -> list[str]:
    """Return what `user`, who sees the calculation, may do to it now; the order is that of the
    buttons.
    """
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
    return verbs
