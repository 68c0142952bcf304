"""Who may do what to a model: its creator and whoever manages models may change, start and stop it.

Services ask before they do, pages ask for what to offer; whether the moment is right, services say.
"""

from __future__ import annotations

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.errors import NotAllowed
from mlmodels.models import RegisteredModel
from mlmodels.states import Desired


def may_change(user: User, model: RegisteredModel) -> bool:
    """Models are visible to all; changing, starting and stopping is for few."""
    if can(user, Can.MANAGE_MODELS):
        return True
    return can(user, Can.REGISTER_MODEL) and model.created_by_id == user.pk


def require_change(user: User, model: RegisteredModel) -> None:
    """Raise NotAllowed unless the model is theirs to change."""
    if not may_change(user, model):
        raise NotAllowed(
            f"{model.name} belongs to {model.created_by.display_name}: they, moderators and admins"
            " may change, start and stop it.",
            code="role",
        )


def verbs_for(user: User, model: RegisteredModel) -> frozenset[str]:
    """What the page of a model offers this person now."""
    verbs = set()
    if may_change(user, model):
        verbs |= {"edit", "delete", "add_version", "deploy", "check"}
        if model.desired == Desired.RUNNING:
            verbs |= {"stop", "restart"}
        elif model.current is not None and model.current.approved:
            verbs.add("start")
        if model.previous_id is not None:
            verbs.add("roll_back")
    if can(user, Can.APPROVE_MODEL):
        verbs |= {"approve", "check"}
    return frozenset(verbs)
