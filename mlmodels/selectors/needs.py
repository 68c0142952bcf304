"""What of models needs somebody, and what runs on a cluster; for panels of other pages."""

from __future__ import annotations

from django.db.models import QuerySet

from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.states import ModelState

MOST_CHIPS = 4


def given_up(user: User) -> list[RegisteredModel]:
    """The models that they may mend, longest first."""
    rows = RegisteredModel.objects.visible_to(user).filter(state=ModelState.GIVEN_UP)
    if not can(user, Can.MANAGE_MODELS):
        rows = rows.filter(created_by=user)
    return list(rows.order_by("since")[:MOST_CHIPS])


def waiting(user: User) -> list[ModelVersion]:
    """The versions that wait for their approval, oldest first."""
    if not can(user, Can.APPROVE_MODEL):
        return []
    rows = ModelVersion.objects.filter(
        approved_at=None, model__in=RegisteredModel.objects.visible_to(user)
    )
    rows = rows.select_related("model", "created_by").defer(*without_heavy(""))
    return list(rows.order_by("created_at")[:MOST_CHIPS])


def replicas_on(cluster: Cluster) -> QuerySet[Replica]:
    rows = Replica.objects.filter(cluster=cluster, removed_at=None)
    rows = rows.select_related("version__model", "cluster").defer(*without_heavy("version"))
    return rows.order_by("version__model__name", "pk")
