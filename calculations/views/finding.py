"""Fetch and authorise in one step: what a person may not see is not there."""

from __future__ import annotations

from calculations.models import Calculation
from labportal.accounts.models import User
from labportal.common.errors import NotFound


def find(user: User, pk: int) -> Calculation:
    """Raises NotFound."""
    rows = Calculation.objects.visible_to(user).filter(pk=pk)
    related = ("project", "created_by", "cluster", "copied_from", "standing_by", "structure")
    found = rows.select_related(*related).defer("structure__content").first()
    if found is None:
        raise NotFound(f"There is no calculation C-{pk}, or it is in a project of others.")
    return found
