"""Whether the raw files of a calculation stay on their cluster for good: anybody who may have them
deleted may say so, at any time before they are.
"""

from __future__ import annotations

from django.db import transaction

from calculations.models import Calculation, Event
from calculations.policy import may_purge
from calculations.services.lifecycle import lock
from calculations.signals import files_kept
from labportal.accounts.models import User
from labportal.common.errors import NotAllowed
from labportal.realtime.events import publish


@transaction.atomic
def keep_files(calculation: Calculation, *, keep: bool, actor: User) -> None:
    """Set or clear the flag; an order to delete that no cluster has carried out is withdrawn."""
    if not may_purge(actor, calculation):
        raise NotAllowed("Only the author, moderators and admins decide about raw files.")
    lock(calculation)
    if calculation.keep_files == keep:
        return
    calculation.keep_files = keep
    calculation.save(update_fields=["keep_files"])
    Event.objects.create(
        calculation=calculation,
        verb="keep_files" if keep else "let_files_go",
        source=calculation.state,
        target=calculation.state,
        actor=actor,
        actor_label=actor.display_name,
    )
    publish(f"calculation:{calculation.pk}", "calculation.changed", {"id": calculation.pk})
    if keep:
        files_kept.send(sender=Calculation, calculation=calculation)
