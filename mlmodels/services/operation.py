"""What people do with a model that has a version: start, stop, restart, deploy another version, go
back. Each says what is wanted; nodes follow by their exchanges. Each may be done twice.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from labportal.accounts.models import User
from labportal.common.errors import NotFound, WrongMoment
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.policy import require_change
from mlmodels.services import events, replicas
from mlmodels.services.events import Actor
from mlmodels.services.locking import lock
from mlmodels.services.tending import tend
from mlmodels.states import Desired, Purpose, ReplicaWanted


@transaction.atomic
def start(
    model: RegisteredModel, *, actor: User, version: ModelVersion | None = None
) -> RegisteredModel:
    """Want it running, with `version` where one is named. Raises WrongMoment where there is none
    that may run.
    """
    require_change(actor, model)
    lock(model)
    if version is not None and version.pk != model.current_id:
        _choose(model, version)
    check_version(model)
    if set_desired(model, Desired.RUNNING, actor=actor):
        events.audit(model, "start", actor=actor, version=model.current.number)
    return model


@transaction.atomic
def stop(model: RegisteredModel, *, actor: User, why: str = "") -> RegisteredModel:
    """Want it stopped: its replicas end, and keep what makes the next start quick."""
    require_change(actor, model)
    lock(model)
    if set_desired(model, Desired.STOPPED, actor=actor, note=why.strip()):
        events.audit(model, "stop", actor=actor, why=why.strip())
    return model


def set_desired(
    model: RegisteredModel, desired: Desired, *, actor: Actor, note: str = "", asleep: bool = False
) -> bool:
    """Write what is wanted of a locked model; return whether that is new."""
    if model.desired == desired and model.asleep == asleep:
        tend(model)
        return False
    model.desired, model.asleep = desired, asleep
    model.save(update_fields=["desired", "asleep"])
    verb = "start" if desired == Desired.RUNNING else "stop"
    events.note(model, verb, actor=actor, version=model.current, note=note)
    tend(model)
    events.tell(model)
    return True


@transaction.atomic
def restart(
    model: RegisteredModel, *, actor: User, replica: Replica | UUID | None = None
) -> RegisteredModel:
    """Start its replicas anew, or just one; what was given up is tried again. Raises WrongMoment
    for a model that is stopped, NotFound.
    """
    require_change(actor, model)
    lock(model)
    if model.desired != Desired.RUNNING:
        raise WrongMoment(f"{model.name} is stopped: start it.")
    rows = Replica.objects.filter(
        version__model=model, purpose=Purpose.SERVE, wanted=ReplicaWanted.SERVE, removed_at=None
    )
    if replica is not None:
        rows = rows.filter(pk=getattr(replica, "pk", replica))
    chosen = list(rows.select_related("version", "cluster"))
    if replica is not None and not chosen:
        raise NotFound(f"{model.name} has no such replica now.")
    for row in chosen:
        replicas.start_anew(row, why=f"asked by {actor.display_name}")
    words = ", ".join(f"{row.name} on {row.cluster.name}" for row in chosen)
    events.note(model, "restart", actor=actor, version=model.current, note=words)
    tend(model)
    events.tell(model)
    events.audit(model, "restart", actor=actor, replicas=words)
    return model


@transaction.atomic
def deploy(version: ModelVersion, *, actor: User) -> RegisteredModel:
    """Have this version serve. Where the model runs, it comes up beside the one that answers, takes
    over once it is ready, and the old one ends after its last answer; a stopped model stays so.

    Raises WrongMoment for a version that is not approved.
    """
    model = version.model
    require_change(actor, model)
    lock(model)
    if model.current_id == version.pk:
        return model
    before = model.current
    _choose(model, version)
    events.note(model, "deploy", actor=actor, version=version, note=_from(before))
    tend(model)
    events.tell(model)
    events.audit(model, "deploy", actor=actor, version=version.number)
    return model


@transaction.atomic
def roll_back(model: RegisteredModel, *, actor: User) -> RegisteredModel:
    """Deploy the version that served before. Raises WrongMoment where there was none."""
    require_change(actor, model)
    lock(model)
    before, target = model.current, model.previous
    if target is None:
        raise WrongMoment(f"{model.name} has no version to go back to.")
    _choose(model, target)
    events.note(model, "roll_back", actor=actor, version=target, note=_from(before))
    tend(model)
    events.tell(model)
    events.audit(model, "roll_back", actor=actor, version=target.number)
    return model


def _choose(model: RegisteredModel, version: ModelVersion) -> None:
    """Make it current; what goes back is the version that answers, not one that never came up."""
    if version.model_id != model.pk:
        raise NotFound(f"{model.name} has no such version.")
    check_approved(version)
    before = model.serving or model.current
    if before is not None and before.pk == version.pk:
        before = model.current
    model.previous, model.current = before, version
    model.save(update_fields=["previous", "current"])


def check_version(model: RegisteredModel) -> None:
    """Raises WrongMoment unless its version may run."""
    if model.current is None:
        raise WrongMoment(f"{model.name} has no version yet: add one first.", code="no-version")
    check_approved(model.current)


def check_approved(version: ModelVersion) -> None:
    if not version.approved:
        raise WrongMoment(
            f"{version} waits for approval: a moderator or an admin looks at it first.",
            code="not-approved",
        )


def _from(version: ModelVersion | None) -> str:
    return f"instead of v{version.number}" if version is not None else ""
