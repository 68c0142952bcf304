"""The exchange of a cluster in AWS: the portal asks itself, as this cluster's agent, through the
same door as every other agent. One transaction; nothing outside the database is touched.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from clusters.agent import __version__
from clusters.agent.protocol import AgentState, Verb, request, timestamp
from clusters.exchange import handle_known
from clusters.models import AwsAccess, AwsExecution, Cluster
from clusters.transports.answering import storable
from clusters.transports.aws import books
from clusters.transports.aws.starting import SOFTWARE
from labportal.common.clock import now
from labportal.common.errors import DomainError
from labportal.common.metrics import EXCHANGES

log = logging.getLogger(__name__)

SLOTS = 10  # executions at once; their functions are counted apart
HOST = "AWS"
NEWS = frozenset({Verb.EXECUTE.value, Verb.CLOSE.value})  # the others are said until they are done


def exchange(cluster_id: int) -> bool:
    """Exchange once; return whether there is more to say at once. A cluster without access says
    nothing.
    """
    try:
        more = _exchange(cluster_id)
    except DomainError as error:
        log.warning("cluster %s: no exchange: %s", cluster_id, error.message)
        EXCHANGES.labels(Cluster.Carrier.AWS.value, str(int(error.status))).inc()
        return False
    if more is not None:
        EXCHANGES.labels(Cluster.Carrier.AWS.value, "200").inc()
    return bool(more)


@transaction.atomic
def _exchange(cluster_id: int) -> bool | None:
    access = (
        AwsAccess.objects.select_for_update(of=("self",))
        .select_related("cluster")
        .filter(cluster=cluster_id, cluster__carrier=Cluster.Carrier.AWS)
        .first()
    )
    if access is None or not access.state_machine_arn:
        return None
    executions = list(AwsExecution.objects.filter(cluster=cluster_id, abandoned=False))
    document = _document(access, executions)
    answer = handle_known(cluster_id, storable(document))
    _take_in(access, executions, answer.document)
    return any(item["verb"] in NEWS for item in answer.document["runs"])


def _document(access: AwsAccess, executions: Sequence[AwsExecution]) -> dict[str, Any]:
    return request(
        agent={
            "id": f"aws-{access.agent_id}",
            "boot": str(access.agent_id),
            "version": __version__,
            "host": f"{HOST}, {access.region}",
            "clock": timestamp(now().timestamp()),
        },
        took_in=access.told,
        wait_s=0,
        capacity=_capacity(access, executions),
        runs=[_entry(execution, access) for execution in executions],
        purged=access.purged,
        events=access.unsent,
    )


def _capacity(access: AwsAccess, executions: Sequence[AwsExecution]) -> dict[str, Any]:
    """While AWS does not let it in, nothing new is handed out there; what runs is kept."""
    problem = access.last_error if access.held_at or access.failures else ""
    open_ones = sum(not books.is_settled(execution) for execution in executions)
    return {
        "slots": {"total": SLOTS, "free": 0 if problem else max(0, SLOTS - open_ones)},
        "gpus": [],
        "scheduler": {"kind": "aws-stepfunctions", "version": access.region},
        "software": {
            SOFTWARE: {
                "version": f"Lambda, {access.memory_mib} MB",
                "ok": not problem,
                "problem": problem,
            }
        },
    }


def _entry(execution: AwsExecution, access: AwsAccess) -> dict[str, Any]:
    state = AgentState(execution.state)
    entry: dict[str, Any] = {
        "run": str(execution.run),
        "attempt": execution.attempt,
        "state": state.value,
        "since": timestamp(execution.since.timestamp()),
        "scheduler_id": str(execution) if execution.execution_arn else "",
        "progress": execution.progress,
    }
    waits_for = execution.waits_for or (access.last_error if access.failures else "")
    if state is AgentState.PREPARING and waits_for:
        entry["pending"] = {"reason": "AWS", "text": waits_for}
    elif state is AgentState.RUNNING and access.failures and access.last_try_at:
        entry["unknown_since"] = timestamp(access.last_try_at.timestamp())
    if execution.started_at:
        entry["started_at"] = timestamp(execution.started_at.timestamp())
    if execution.finished_at:
        entry["finished_at"] = timestamp(execution.finished_at.timestamp())
    if state in (AgentState.CANCELLED, AgentState.LOST):
        entry["why"] = execution.why
    if state is AgentState.FINISHED:
        entry.update(execution.report)
    return entry


def _take_in(
    access: AwsAccess, executions: Sequence[AwsExecution], reply: Mapping[str, Any]
) -> None:
    known = {(str(e.run), e.attempt): e for e in executions}
    purges = [item for item in reply["runs"] if item["verb"] == Verb.PURGE.value]
    for item in reply["runs"]:
        _take_verb(access, known.get((item["run"], item["attempt"])), item)
    wanted = {(item["run"], item["attempt"]) for item in purges}
    said = {(item["run"], item["attempt"]) for item in access.purged}
    access.purged = [p for p in access.purged if (p["run"], p["attempt"]) in wanted]
    access.purges = [
        {"run": p["run"], "attempt": p["attempt"], "keep": list(p.get("keep") or ())}
        for p in purges
        if (p["run"], p["attempt"]) not in said
    ]
    access.told = reply["desired"]
    access.unsent = [line for line in access.unsent if line["seq"] > reply["acknowledged"]]
    access.exchanged_at = now()
    access.save(update_fields=["purged", "purges", "told", "unsent", "exchanged_at"])


def _take_verb(access: AwsAccess, execution: AwsExecution | None, item: Mapping[str, Any]) -> None:
    verb, key = Verb(item["verb"]), {"run": uuid.UUID(item["run"]), "attempt": item["attempt"]}
    if verb is Verb.EXECUTE and execution is None:
        AwsExecution.objects.get_or_create(
            cluster_id=access.cluster_id, **key, defaults={"spec": item["spec"]}
        )
    elif verb is Verb.CANCEL and execution is None:
        AwsExecution.objects.get_or_create(
            cluster_id=access.cluster_id,
            **key,
            defaults={"state": AgentState.CANCELLED.value, "why": str(item.get("why"))[:300]},
        )
    elif execution is None:
        return
    elif verb is Verb.CANCEL and not execution.cancel_why:
        execution.cancel_why = str(item.get("why") or "asked for")[:300]
        execution.save(update_fields=["cancel_why"])
    elif verb is Verb.CLOSE:
        execution.delete()
    elif verb is Verb.ABANDON:
        execution.abandoned = True
        execution.save(update_fields=["abandoned"])
