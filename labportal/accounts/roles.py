"""The table of roles: who may do what. Every app asks `can` or `require`; nobody compares names.

Whether a person may see an object is another question: `visible_to(user)` on its queryset.
"""

from enum import StrEnum
from typing import Any

from django.db.models import TextChoices

from labportal.common.errors import NotAllowed


class Role(TextChoices):
    USER = "user", "User"
    MODERATOR = "moderator", "Moderator"
    ADMIN = "admin", "Admin"


class Can(StrEnum):
    SIGN_IN = "sign in"
    CREATE_CALCULATION = "create calculations"
    REVIEW = "review calculations"
    REVIEW_OWN = "review their own calculations"
    PRIORITISE = "change priorities"
    VALIDATE = "validate results of others"
    RETRACT = "retract results of others"
    VIEW_STORAGE = "see what fills the disks"
    VIEW_USAGE = "see what others have used"
    MANAGE_PSEUDOPOTENTIALS = "replace, rename and delete pseudopotentials"
    VIEW_ALL_PROJECTS = "see all projects"
    REGISTER_MODEL = "register models"
    CALL_MODEL = "call models"
    APPROVE_MODEL = "approve versions of models"
    MANAGE_MODELS = "start, stop, change and delete the models of others"
    MANAGE_CLUSTERS = "manage clusters"
    DELETE_LOGS = "delete logs"
    VIEW_USERS = "see the list of users"
    CREATE_USERS = "create users"
    DELETE_USERS = "delete users"
    BLOCK_USERS = "block users"
    SET_PASSWORDS = "set passwords"
    CHANGE_ROLES = "change roles"
    REVOKE_TOKENS = "sign other people out"
    MANAGE_SETTINGS = "change the settings"
    VIEW_AUDIT = "read the audit trail"
    MANAGE_PROJECTS = "manage every project"
    ADOPT_ORPHANS = "adopt orphaned results"


_USER = frozenset(
    {Can.SIGN_IN, Can.CREATE_CALCULATION, Can.VALIDATE, Can.REGISTER_MODEL, Can.CALL_MODEL}
)
_MODERATOR = _USER | {
    Can.REVIEW,
    Can.PRIORITISE,
    Can.RETRACT,
    Can.VIEW_STORAGE,
    Can.VIEW_USAGE,
    Can.MANAGE_PSEUDOPOTENTIALS,
    Can.VIEW_ALL_PROJECTS,
    Can.APPROVE_MODEL,
    Can.MANAGE_MODELS,
    Can.VIEW_USERS,
    Can.BLOCK_USERS,
    Can.SET_PASSWORDS,
    Can.VIEW_AUDIT,
}

GRANTS: dict[Role, frozenset[Can]] = {
    Role.USER: _USER,
    Role.MODERATOR: frozenset(_MODERATOR),
    Role.ADMIN: frozenset(Can),
}


def can(user: Any, verb: Can) -> bool:
    """Answer from the table; nobody (anonymous) and blocked people may do nothing."""
    if user is None or not getattr(user, "is_authenticated", False) or not user.is_active:
        return False
    return verb in GRANTS.get(user.role, frozenset())


def require(user: Any, verb: Can) -> None:
    """Raise NotAllowed unless `user` may do `verb`."""
    if not can(user, verb):
        raise NotAllowed(f"Your role does not allow you to {verb.value}.", code="role")


def outranks(actor: Any, other: Any) -> bool:
    """Say whether `actor` may administer that account: admins any, moderators plain users."""
    if not getattr(actor, "is_active", False):
        return False
    if actor.role == Role.ADMIN:
        return True
    return actor.role == Role.MODERATOR and other.role == Role.USER
