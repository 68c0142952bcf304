"""Locks the row of a model for the services that change it or its replicas."""

from __future__ import annotations

from django.db.models import QuerySet

from labportal.common.errors import NotFound
from mlmodels.models import RegisteredModel
from mlmodels.models.version import without_heavy


def for_change() -> QuerySet[RegisteredModel]:
    """Rows locked until the end of the transaction, with the versions that they name."""
    rows = RegisteredModel.objects.select_for_update(of=("self",), no_key=True)
    rows = rows.select_related("created_by", "current", "serving", "previous")
    return rows.defer(*without_heavy("current", "serving", "previous"))


def lock(model: RegisteredModel) -> None:
    """Load the row anew, locked until the end of the transaction. Raises NotFound where it was
    deleted.

    Services lock a model before its replicas, and never a cluster after it: an exchange holds its
    cluster while it waits for models.
    """
    model.refresh_from_db(from_queryset=for_change())
    if model.deleted_at is not None:
        raise NotFound("This model was deleted.")
