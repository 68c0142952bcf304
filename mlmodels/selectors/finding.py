"""Fetch and authorise in one step: what a person may not see is not there."""

from __future__ import annotations

from uuid import UUID

from labportal.accounts.models import User
from labportal.common.errors import NotFound
from mlmodels.models import AsyncInvocation, ModelVersion, RegisteredModel, Replica
from mlmodels.models.version import without_heavy


def find(user: User, name: str) -> RegisteredModel:
    """Its versions come without their long columns; `find_version` has them. Raises NotFound."""
    rows = RegisteredModel.objects.visible_to(user).filter(name=name)
    rows = rows.select_related("created_by", "current", "serving", "previous")
    found = rows.defer(*without_heavy("current", "serving", "previous")).first()
    if found is None:
        raise NotFound(f"There is no model called {name}.")
    return found


def find_version(model: RegisteredModel, number: int) -> ModelVersion:
    """Raises NotFound."""
    found = model.versions.select_related("created_by", "approved_by").filter(number=number).first()
    if found is None:
        raise NotFound(f"{model.name} has no version {number}.")
    found.model = model
    return found


def find_replica(model: RegisteredModel, replica: UUID) -> Replica:
    """One that serves or served a version of the model. Raises NotFound."""
    rows = Replica.objects.filter(version__model=model, pk=replica)
    rows = rows.select_related("version", "cluster").defer(*without_heavy("version"))
    found = rows.first()
    if found is None:
        raise NotFound(f"{model.name} has no such replica.")
    return found


def find_call(user: User, model: RegisteredModel, call_id: UUID) -> AsyncInvocation:
    """Raises NotFound, for what is not there and for what is not theirs to see."""
    rows = AsyncInvocation.objects.visible_to(user).filter(model=model, pk=call_id)
    found = rows.select_related("version", "user").first()
    if found is None:
        raise NotFound(f"You have no such call of {model.name}.")
    found.model = model
    return found
