"""Locks the row of a model for the services that change it or its replicas."""

from __future__ import annotations

from labportal.common.errors import NotFound
from mlmodels.models import RegisteredModel


def lock(model: RegisteredModel) -> None:
    """Load the row anew, locked until the end of the transaction. Raises NotFound where it was
    deleted.

    Services lock a model before its replicas, and never a cluster after it: an exchange holds its
    cluster while it waits for models.
    """
    rows = RegisteredModel.objects.select_for_update(of=("self",), no_key=True)
    rows = rows.select_related("created_by", "current", "serving", "previous")
    model.refresh_from_db(from_queryset=rows)
    if model.deleted_at is not None:
        raise NotFound("This model was deleted.")
