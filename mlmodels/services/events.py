"""Writes what happened to a model: its timeline, the audit trail of what people did, live pages,
and the word to the proxies that other replicas answer now. Called by the services of this app.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from labportal.accounts.models import User
from labportal.audit.services import record
from labportal.common.wake import wake
from labportal.realtime.events import publish
from mlmodels.models import ModelEvent, ModelVersion, RegisteredModel, Replica

ROUTES_CHANGED = "models"  # the channel on which proxies hear that they must look again
MOST_NOTE, MOST_EVIDENCE = 2000, 40

Actor = User | str  # a person, or the words for a part of the system ("schedule", "agent metis")


def note(
    model: RegisteredModel,
    verb: str,
    *,
    actor: Actor,
    version: ModelVersion | None = None,
    replica: UUID | None = None,
    note: str = "",
    evidence: Sequence[str] = (),
) -> ModelEvent:
    """Add to the timeline; what a person did also goes into the audit trail (`audit`)."""
    person = actor if isinstance(actor, User) else None
    return ModelEvent.objects.create(
        model=model,
        version=version,
        replica=replica,
        verb=verb,
        actor=person,
        actor_label=(person.display_name if person else str(actor))[:150],
        note=note[:MOST_NOTE],
        evidence=[str(line)[:500] for line in evidence][-MOST_EVIDENCE:],
    )


def audit(model: RegisteredModel, verb: str, *, actor: User, **detail: Any) -> None:
    """Call it last in a transaction: one writer after the other holds the trail."""
    record(actor, f"model.{verb}", target=model.name, detail=detail)


def tell(model: RegisteredModel) -> None:
    """Have open pages show the model anew, and proxies look where its calls go now."""
    payload = {"id": model.pk, "name": model.name, "state": model.state, "why": model.why}
    publish(f"model:{model.pk}", "model.changed", payload)
    publish("models", "model.changed", payload)
    wake(ROUTES_CHANGED)


def tell_replica(model: RegisteredModel, replica: Replica) -> None:
    publish(
        f"model:{model.pk}",
        "replica.changed",
        {
            "id": model.pk,
            "replica": str(replica.pk),
            "state": replica.state,
            "why": replica.why,
            "launch": replica.launch,
        },
    )
