"""What models announce to the shared rooms at start: topics, navigation, panels, their part of the
exchange. Called by the AppConfig alone.
"""

from __future__ import annotations

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.realtime.topics import register_topic
from mlmodels.models import RegisteredModel


def register() -> None:
    register_topic("model", _may_hear_model)


def _may_hear_model(user: User, key: str) -> bool:
    """Models are visible to everyone who may sign in."""
    known = key.isdecimal() and RegisteredModel.objects.filter(pk=key).exists()
    return can(user, Can.SIGN_IN) and known
