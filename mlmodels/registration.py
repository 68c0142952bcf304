"""What models announce to the shared rooms at start: topics, navigation, panels, their part of the
exchange. Called by the AppConfig alone.
"""

from __future__ import annotations

from uuid import UUID

from clusters.serving import register_serving
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.navigation import NavEntry, register_nav
from labportal.common.panels import register_panel
from labportal.realtime.topics import register_topic
from mlmodels import panels, sending_panels
from mlmodels.models import RegisteredModel, Replica
from mlmodels.serving import held, known, take


def register() -> None:
    register_topic("model", _may_hear_model)
    register_topic("models", _may_hear_models)
    register_topic("replica", _may_hear_replica)
    register_serving(take, known=known, held=held)
    register_panel("dashboard.needs", "models", panels.needs, order=70)
    register_panel("cluster.main", "models", panels.replicas_there)
    register_panel("structure.side", "models", sending_panels.about_structure)
    register_panel("calculation.where", "models", sending_panels.about_calculation, order=60)
    register_nav(NavEntry("Models", "model-list", key="o", order=50))


def _may_hear_model(user: User, key: str) -> bool:
    """Models are visible to everyone who may sign in."""
    found = key.isdecimal() and RegisteredModel.objects.filter(pk=key).exists()
    return can(user, Can.SIGN_IN) and found


def _may_hear_models(user: User, key: str) -> bool:
    return can(user, Can.SIGN_IN) and not key


def _may_hear_replica(user: User, key: str) -> bool:
    """The lines of its log."""
    return can(user, Can.SIGN_IN) and Replica.objects.filter(pk=UUID(key)).exists()
