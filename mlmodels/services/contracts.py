"""Runs of the contract test: a replica of its own on some node, tested there by its agent, and
removed. What the test asks is in clusters/agent/contract.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction

from clusters.agent.contract import passed
from clusters.agent.protocol import ReplicaState
from clusters.calling import call
from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.clock import now
from labportal.common.errors import WrongMoment
from mlmodels.models import ContractCheck, ModelVersion, Replica
from mlmodels.placement import choose, sentence
from mlmodels.policy import require_change
from mlmodels.services import events
from mlmodels.services.locking import lock
from mlmodels.services.operation import check_approved
from mlmodels.services.tending import is_lost, lock_placement, rooms_of
from mlmodels.states import Purpose, ReplicaWanted

BEYOND_STARTUP = timedelta(minutes=15)  # preparing, and the test itself
MOST_CHECKS, MOST_DETAIL = 50, 1000
FAILED = frozenset({ReplicaState.GIVEN_UP})


@transaction.atomic
def check(version: ModelVersion, *, actor: User, cluster: Cluster | None = None) -> ContractCheck:
    """Have the contract tested with this version; one that is under way is returned.

    Whoever approves versions may test one that is not approved yet. Raises WrongMoment where it may
    not run, or no node has room.
    """
    model = version.model
    if not can(actor, Can.APPROVE_MODEL):
        require_change(actor, model)
        check_approved(version)
    lock(model)
    running = version.contract_checks.filter(ended_at=None).first()
    if running is not None:
        return running
    lock_placement()
    rooms = rooms_of(version, moment=now())
    if cluster is not None:
        rooms = [room for room in rooms if room.key == cluster.pk]
    chosen = choose(rooms, version, 1)
    if not chosen:
        raise WrongMoment(sentence(rooms, version), code="no-room")
    replica = Replica.objects.create(
        version=version, cluster_id=chosen[0].key, purpose=Purpose.CONTRACT
    )
    made = ContractCheck.objects.create(version=version, replica=replica, by=actor)
    words = f"on {chosen[0].name}"
    events.note(model, "check_contract", actor=actor, version=version, note=words)
    events.tell(model)
    transaction.on_commit(lambda: call({replica.cluster_id}), robust=True)
    events.audit(model, "check_contract", actor=actor, version=version.number)
    return made


def hear(replica: Replica, entry: Mapping[str, Any]) -> None:
    """Take what an agent says of a replica that is tested; the caller holds the model's lock."""
    checks = entry.get("contract")
    if isinstance(checks, Sequence) and not isinstance(checks, str):
        _end(replica, [_plain(one) for one in checks[:MOST_CHECKS] if isinstance(one, Mapping)])
    elif replica.state in FAILED:
        _end(replica, [], why=replica.why or "it was never ready")
    elif replica.removed_at is not None:
        _end(replica, [], why="it was removed before it was tested")


@transaction.atomic
def expire() -> int:
    """End tests whose node says nothing any more; return how many."""
    ended = 0
    for one in ContractCheck.objects.filter(ended_at=None).select_related("version__model"):
        limit = timedelta(seconds=one.version.startup_s) + BEYOND_STARTUP
        if one.replica is None or now() - one.began_at > limit:
            lock(one.version.model)
            _close(one, [], why="the node did not say how it went")
            ended += 1
    _forget_lost()
    return ended


def _forget_lost() -> None:
    """Nobody is left to say that they are gone; an agent that comes back is told to remove them."""
    moment = now()
    tested = Replica.objects.filter(
        purpose=Purpose.CONTRACT, wanted=ReplicaWanted.REMOVE, removed_at=None
    )
    lost = [one.pk for one in tested.select_related("cluster") if is_lost(one.cluster, moment)]
    tested.filter(pk__in=lost).update(removed_at=moment)


def _end(replica: Replica, checks: list[dict[str, Any]], *, why: str = "") -> None:
    running = ContractCheck.objects.filter(replica=replica, ended_at=None).first()
    if running is not None:
        running.version = replica.version
        _close(running, checks, why=why)


def _close(one: ContractCheck, checks: list[dict[str, Any]], *, why: str) -> None:
    """Keep the result, and have the replica removed."""
    moment, version = now(), one.version
    failed = [check["title"] for check in checks if check["ok"] is False]
    one.checks, one.ended_at = checks, moment
    one.passed = passed(checks)
    unanswered = "" if one.passed else "the example was not answered"
    one.why = (why or "; ".join(failed) or unanswered)[:500]
    one.save(update_fields=["checks", "ended_at", "passed", "why"])
    ModelVersion.objects.filter(pk=version.pk).update(
        contract_passed_at=moment if one.passed else None
    )
    events.note(
        version.model,
        "contract_passed" if one.passed else "contract_failed",
        actor="contract test",
        version=version,
        note=one.why,
    )
    events.tell(version.model)
    replica = one.replica
    if replica is not None and replica.removed_at is None:
        values = {"wanted": ReplicaWanted.REMOVE, "wanted_at": moment, "wanted_why": "it is tested"}
        Replica.objects.filter(pk=replica.pk).update(**values)
        transaction.on_commit(lambda: call({replica.cluster_id}), robust=True)


def _plain(check: Mapping[str, Any]) -> dict[str, Any]:
    name = str(check.get("name", ""))[:60]
    return {
        "name": name,
        "title": str(check.get("title") or name)[:200],
        "ok": check.get("ok") if check.get("ok") in (True, False) else None,
        "detail": str(check.get("detail") or "")[:MOST_DETAIL],
    }
