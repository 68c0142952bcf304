"""Who sits at the other end of a socket, and whether that still holds. Called by consumers only.

Every function here queries the database and belongs into a thread. None of them writes.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from django.contrib.auth.models import AnonymousUser

from labportal.accounts.models import Project, User
from labportal.accounts.roles import Can, can
from labportal.accounts.services import sessions, tokens
from labportal.common import clock
from labportal.realtime import topics

#: PostgreSQL's largest bigint has 19 digits; 18 always fit.
MAX_ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as they signed in: by a session (its key), or by an access token (its end)."""

    user_id: int
    epoch: int
    session_key: str = ""
    ends_at: datetime | None = None


class Verdict(Enum):
    YES = auto()
    HIDDEN = auto()
    SIGNED_OUT = auto()


def by_session(user: User | AnonymousUser, session_key: str | None) -> Identity | None:
    """Identify the browser from what the session middleware found."""
    if not can(user, Can.SIGN_IN) or not session_key:
        return None
    return Identity(user.pk, user.sign_out_epoch, session_key=session_key)


def by_token(raw: str) -> Identity | None:
    """Identify a program from its access token."""
    found = tokens.person_of(raw)
    if found is None:
        return None
    user, ends_at = found
    return Identity(user.pk, user.sign_out_epoch, ends_at=ends_at)


def person(identity: Identity) -> User | None:
    """Return the person if they may still sit there: not blocked, not signed out, not expired."""
    if identity.ends_at is not None and identity.ends_at <= clock.now():
        return None
    user = User.objects.filter(pk=identity.user_id, sign_out_epoch=identity.epoch).first()
    if not can(user, Can.SIGN_IN):
        return None
    if identity.session_key and not sessions.session_store().exists(identity.session_key):
        return None
    return user


def judge(identity: Identity, topic: str) -> Verdict:
    """Say whether this person may see this topic at this moment."""
    user = person(identity)
    if user is None:
        return Verdict.SIGNED_OUT
    return Verdict.YES if topics.may_watch(user, topic) else Verdict.HIDDEN


def judge_all(identity: Identity, wanted: list[str]) -> dict[str, bool] | None:
    """Judge several topics in one visit to the database; None: signed out."""
    user = person(identity)
    if user is None:
        return None
    return {topic: topics.may_watch(user, topic) for topic in wanted}


def may_watch_project(user: User, ident: str) -> bool:
    if not ident.isdecimal() or len(ident) > MAX_ID_DIGITS:
        return False
    return Project.objects.visible_to(user).filter(pk=int(ident)).exists()


def may_watch_user(user: User, ident: str) -> bool:
    return ident == str(user.pk)
