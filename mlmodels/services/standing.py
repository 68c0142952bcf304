"""How a model stands: derived from what is wanted and from its replicas. The only writer of a
model's `state`, `why` and `since`.
"""

from __future__ import annotations

from collections.abc import Sequence

from clusters.agent.protocol import ReplicaState
from labportal.common.clock import now
from mlmodels.models import RegisteredModel, Replica
from mlmodels.services import events
from mlmodels.services.replicas import FAILED_TOLD
from mlmodels.states import Desired, ModelState

MOST_WHY = 500
#: Changes that a timeline tells of by themselves; the others follow from a verb that stands there.
TOLD = frozenset(
    {
        ModelState.READY,
        ModelState.DEGRADED,
        ModelState.WAITING,
        ModelState.GIVEN_UP,
        ModelState.STOPPED,
    }
)


def write_standing(model: RegisteredModel, replicas: Sequence[Replica], waits: str) -> None:
    """`replicas`: those that serve and are not removed; `waits`: why one found no place. The caller
    holds the model's lock.
    """
    state, why = derive(model, replicas, waits)
    why = why[:MOST_WHY]
    if (model.state, model.why) == (state, why):
        return
    changed = model.state != state
    model.state, model.why = state, why
    if changed:
        model.since = now()
    model.save(update_fields=["state", "why", "since"])
    if changed and state in TOLD:
        events.note(model, state.value, actor="portal", version=model.current, note=why)
    events.tell(model)


def derive(
    model: RegisteredModel, replicas: Sequence[Replica], waits: str = ""
) -> tuple[ModelState, str]:
    """Return the state, and why it is so where that is not plain."""
    if model.desired != Desired.RUNNING or model.current is None:
        return _ended(replicas)
    active = [one for one in replicas if one.is_wanted and one.draining_at is None]
    mine = [one for one in active if one.version_id == model.current_id]
    ready = [one for one in mine if one.answers]
    if model.serving_id not in (None, model.current_id):
        old = [one for one in active if one.version_id == model.serving_id and one.answers]
        if old:
            return _updating(model, mine, ready, waits)
    if len(ready) >= model.replicas_wanted:
        return ModelState.READY, _doubt(ready)
    if ready:
        words = f"{len(ready)} of {model.replicas_wanted} replicas answer"
        return ModelState.DEGRADED, _and(words, waits or _trouble(mine))
    if mine and all(one.has_given_up for one in mine):
        return ModelState.GIVEN_UP, _trouble(mine)
    if not mine:
        return ModelState.WAITING, waits
    return ModelState.STARTING, _trouble(mine) or waits


def _ended(replicas: Sequence[Replica]) -> tuple[ModelState, str]:
    going = [one for one in replicas if one.state not in ("", ReplicaState.STOPPED)]
    if going:
        where = ", ".join(sorted({one.cluster.name for one in going}))
        return ModelState.STOPPING, f"ends on {where}"
    return ModelState.STOPPED, ""


def _updating(
    model: RegisteredModel, mine: Sequence[Replica], ready: Sequence[Replica], waits: str
) -> tuple[ModelState, str]:
    new, old = f"v{model.current.number}", f"v{model.serving.number}"
    if mine and all(one.has_given_up for one in mine):
        return ModelState.DEGRADED, _and(f"{new} was given up, {old} answers", _trouble(mine))
    words = f"{new} comes up beside {old}"
    if ready:
        words = f"{words}: {len(ready)} of {model.replicas_wanted} replicas are ready"
    return ModelState.UPDATING, _and(words, waits or _trouble(mine))


def _trouble(mine: Sequence[Replica]) -> str:
    """Why the worst off among those that do not answer does not."""
    silent = [one for one in mine if not one.answers]
    silent.sort(key=lambda one: (not one.has_given_up, not one.why, -one.since.timestamp()))
    for one in silent:
        if one.cluster.is_silent():
            return f"{one.cluster.name} is silent"
        if one.why:
            return f"{one.cluster.name}: {one.why}"
    return ""


def _doubt(ready: Sequence[Replica]) -> str:
    """What speaks against an agent's word that a replica is ready."""
    for one in ready:
        if one.cluster.is_silent():
            return f"{one.cluster.name} is silent: nobody knows whether its replica still answers"
        if one.failed_calls >= FAILED_TOLD:
            return f"{one.cluster.name}: the last {one.failed_calls} calls failed"
    return ""


def _and(words: str, more: str) -> str:
    return f"{words}; {more}" if more else words
