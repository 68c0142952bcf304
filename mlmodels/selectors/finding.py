"""Fetch and authorise in one step: what a person may not see is not there."""

from __future__ import annotations

from uuid import UUID

from labportal.accounts.models import User
from labportal.common.errors import NotFound
from mlmodels.models import ModelVersion, RegisteredModel, Replica


def find(user: User, name: str) -> RegisteredModel:
    """Raises NotFound."""
    rows = RegisteredModel.objects.visible_to(user).filter(name=name)
    found = rows.select_related("created_by", "current", "serving", "previous").first()
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
    found = rows.select_related("version", "cluster").first()
    if found is None:
        raise NotFound(f"{model.name} has no such replica.")
    return found
