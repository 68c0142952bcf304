"""The portal's half of the exchange: takes what is, answers what should be. Any carrier calls
`handle`.

The same document may come twice, late or never: each exchange is one transaction under the
cluster's row lock, and every answer is computed from the database, never from memory.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.dateparse import parse_datetime

from calculations.models import Attempt, OrphanResult, Run
from calculations.services import execution
from calculations.services.following import lock_calculations
from calculations.services.integrity import arrived_intact
from calculations.services.reports import DAMAGED, damaged_report
from calculations.services.specs import specs_of
from calculations.states import LEASED_RUNS
from clusters import breaker, recalls, retention, rows, serving, tombstones, updates
from clusters.agent.protocol import (
    PROTOCOL,
    TERMINAL,
    AgentState,
    Verb,
    instruction,
    reply,
)
from clusters.intake import take_events
from clusters.keys import authenticate
from clusters.leases import RENEW_BELOW, agent_settings, lease_from
from clusters.models import Cluster, Purge
from labportal.common.clock import now
from labportal.common.errors import DomainError, InvalidInput
from labportal.realtime.events import publish

MAX_EXECUTE = 200
OTHER_AGENT_S = 30
REMEMBERED_BOOTS = 8
MEAN_WEIGHT = 0.2  # of the newest run in the cluster's mean run time


class OtherProtocol(DomainError):
    status = 426
    title = "This agent speaks another version of the protocol"
    default_code = "protocol"


class OtherAgent(DomainError):
    status = 409
    title = "Another agent uses this key"
    default_code = "other-agent"


class NewerBoot(DomainError):
    status = 409
    title = "This agent was started anew elsewhere"
    default_code = "newer-boot"


@dataclass(slots=True)
class Answer:
    """The reply, and whether it says anything that the agent should hear at once."""

    cluster_id: int
    document: dict[str, Any]
    urgent: bool


@dataclass(slots=True)
class _Sorted:
    """The agent's entries by what has to be done with them; `verbs` is the answer to each."""

    told: dict[uuid.UUID, Mapping[str, Any]] = field(default_factory=dict)
    running: list[Run] = field(default_factory=list)
    finished: list[tuple[Run, Mapping[str, Any]]] = field(default_factory=list)
    cancelled: list[Run] = field(default_factory=list)
    lost: list[tuple[Run, str]] = field(default_factory=list)
    orphans: list[tuple[Run, Mapping[str, Any], str]] = field(default_factory=list)
    damaged: list[tuple[Run, Mapping[str, Any]]] = field(default_factory=list)
    verbs: list[dict[str, Any]] = field(default_factory=list)
    due: list[uuid.UUID] = field(default_factory=list)  # whose leases are renewed
    locked: set[int] = field(default_factory=set)  # calculations


def handle(authorization: str, document: Mapping[str, Any]) -> Answer:
    """Answer an agent that shows its key. Raises KeyRefused, OtherProtocol, OtherAgent,
    InvalidInput; nothing is stored then.
    """
    return _handle(lambda: authenticate(authorization, lock=True).cluster, document)


def handle_known(cluster_id: int, document: Mapping[str, Any]) -> Answer:
    """Answer the agent of a cluster that the carrier itself has identified. Raises as `handle`,
    and Cluster.DoesNotExist.
    """
    locked = Cluster.objects.select_for_update(no_key=True)
    return _handle(lambda: locked.get(pk=cluster_id), document)


def _handle(identify: Callable[[], Cluster], document: Mapping[str, Any]) -> Answer:
    if document.get("protocol") != PROTOCOL:
        raise OtherProtocol(
            f"The portal speaks protocol {PROTOCOL}, not {document.get('protocol')!r:.20}: "
            "update the agent."
        )
    with transaction.atomic():
        cluster = identify()
        _check_shape(document)
        _greet(cluster, document)
        took_events = take_events(cluster, document.get("events") or ())
        held_before = cluster.held_at
        entries = _sort(cluster, document.get("runs") or ())
        purged = document.get("purged") or ()
        _lock(cluster, entries, purged)
        _apply(cluster, entries)
        _take_back(cluster, entries)
        verbs = entries.verbs + _executes(cluster, set(entries.told)) + _purges(cluster, purged)
        _remember(cluster, document)
        served = serving.take(cluster, document.get("serving"))
        reset = breaker.hear(cluster, cluster.capacity)
        update, fresh = updates.hear(cluster)
        breaker.announce(cluster, held_before)
    said = any(v["verb"] != Verb.KEEP.value for v in verbs)
    urgent = took_events or said or served.urgent or reset or fresh
    return Answer(
        cluster.pk,
        reply(
            desired=cluster.desired,
            acknowledged=cluster.acknowledged,
            runs=verbs,
            serving=served.entries,
            settings=agent_settings(),
            update=update,
            reset=reset,
        ),
        urgent,
    )


def _check_shape(document: Mapping[str, Any]) -> None:
    agent = document.get("agent")
    if not isinstance(agent, Mapping) or not agent.get("id"):
        raise InvalidInput("must hold the agent's id", field="agent")
    for name in ("runs", "events", "purged", "serving"):
        items = document.get(name) or ()
        if not isinstance(items, Sequence) or not all(isinstance(i, Mapping) for i in items):
            raise InvalidInput("must be a list of objects", field=name)
    if not isinstance(document.get("capacity", {}), Mapping):
        raise InvalidInput("must be an object", field="capacity")


def _greet(cluster: Cluster, document: Mapping[str, Any]) -> None:
    """Notice an agent that lost its disk: by a new id and an empty list its leases end at once."""
    agent_id = str(document["agent"]["id"])[:64]
    if cluster.agent_id == agent_id:
        _note_boot(cluster, document["agent"])
        return
    heard = cluster.last_exchange_at
    if cluster.agent_id and heard and (now() - heard).total_seconds() < OTHER_AGENT_S:
        raise OtherAgent(
            f"An agent on {cluster.agent_host or 'another host'} used this key a moment ago; "
            f"stop it, or wait {OTHER_AGENT_S} s if it is gone."
        )
    if cluster.agent_id and not document.get("runs"):
        gone = list(Run.objects.filter(cluster=cluster, state__in=LEASED_RUNS))
        why = f"the agent on {cluster.name} lost its work folder"
        execution.lose([(run, why) for run in gone], actor=f"agent {cluster.name}")
    cluster.agent_id = agent_id
    cluster.acknowledged = 0


def _note_boot(cluster: Cluster, agent: Mapping[str, Any]) -> None:
    """The process that began last is the agent; one before it, in a copy of its folder or in a
    message that comes late, is not heard any more.
    """
    boot = str(agent.get("boot", ""))[:64]
    if boot in cluster.superseded_boots:
        raise NewerBoot(f"The agent that is heard runs on {cluster.agent_host or 'another host'}.")
    if cluster.agent_boot and boot != cluster.agent_boot:
        before = [cluster.agent_boot, *cluster.superseded_boots]
        cluster.superseded_boots = before[:REMEMBERED_BOOTS]
        rows.save(cluster, ["superseded_boots"])


def _sort(cluster: Cluster, entries: Sequence[Mapping[str, Any]]) -> _Sorted:
    found = _Sorted()
    for entry in entries:
        try:
            found.told[uuid.UUID(str(entry["run"]))] = {**entry, "attempt": int(entry["attempt"])}
        except (KeyError, TypeError, ValueError):
            continue  # it names no run: there is nothing to answer
    runs = Run.objects.in_bulk(found.told) if found.told else {}
    old: list[tuple[Run, Mapping[str, Any]]] = []
    for run_id, entry in found.told.items():
        run = runs.get(run_id)
        if run is None:
            _answer(found, entry, Verb.ABANDON, why="the portal knows no such run")
        elif run.is_leased and run.cluster_id == cluster.pk and run.attempt == entry["attempt"]:
            _sort_current(found, run, entry)
        else:
            old.append((run, entry))
    _sort_old(found, cluster, old)
    _sort_damaged(found, cluster)
    return found


def _sort_current(found: _Sorted, run: Run, entry: Mapping[str, Any]) -> None:
    state = entry.get("state")
    if state == AgentState.FINISHED and not arrived_intact(entry):
        found.damaged.append((run, entry))
        return
    if state == AgentState.FINISHED:
        found.finished.append((run, entry))
    elif state == AgentState.CANCELLED and run.cancel_reason:
        found.cancelled.append(run)
    elif state in (AgentState.LOST, AgentState.CANCELLED):
        found.lost.append((run, str(entry.get("why") or "no reason given")[:300]))
    else:
        found.running.append(run)
        if run.cancel_reason:
            _answer(found, entry, Verb.CANCEL, why=run.cancel_reason)
        else:
            _answer(found, entry, Verb.KEEP)
        return
    _answer(found, entry, Verb.CLOSE)


def _sort_old(
    found: _Sorted, cluster: Cluster, entries: Sequence[tuple[Run, Mapping[str, Any]]]
) -> None:
    """Runs that this agent does not hold: a result that is stored is closed, another is kept."""
    finished = [run.pk for run, entry in entries if entry.get("state") == AgentState.FINISHED]
    stored = _stored(cluster, finished) if finished else set()
    for run, entry in entries:
        ours = run.cluster_id == cluster.pk and run.attempt == entry["attempt"]
        if entry.get("state") == AgentState.FINISHED:
            done = (run.pk, entry["attempt"]) in stored
        else:
            done = ours and entry.get("state") in TERMINAL
        if done:
            _answer(found, entry, Verb.CLOSE)
            continue
        why = f"the run is {run.get_state_display().lower()}, attempt {run.attempt}"
        if entry.get("state") == AgentState.FINISHED:
            found.orphans.append((run, entry, why))
        _answer(found, entry, Verb.ABANDON, why=why)


def _sort_damaged(found: _Sorted, cluster: Cluster) -> None:
    """Results that are not what the agent hashed: asked for once more; damaged again, the run has
    failed by that, and the report is kept for an admin to adopt.
    """
    if not found.damaged:
        return
    runs = [run.pk for run, _ in found.damaged]
    before = OrphanResult.objects.filter(cluster=cluster, run__in=runs, why=DAMAGED)
    asked = set(before.values_list("run", "attempt"))
    for run, entry in found.damaged:
        if (run.pk, entry["attempt"]) in asked:
            found.finished.append((run, {**entry, **damaged_report()}))
            _answer(found, entry, Verb.CLOSE)
        else:
            found.orphans.append((run, entry, DAMAGED))
            _answer(found, entry, Verb.KEEP)


def _stored(cluster: Cluster, run_ids: Sequence[uuid.UUID]) -> set[tuple[uuid.UUID, int]]:
    """The attempts whose results were taken. One that was given up is not among them, even while
    the next has not begun.
    """
    taken = Attempt.objects.filter(run__in=run_ids, cluster=cluster, ending=Attempt.Ending.FINISHED)
    return set(taken.values_list("run", "number"))


def _answer(found: _Sorted, entry: Mapping[str, Any], verb: Verb, **details: Any) -> None:
    found.verbs.append(instruction(str(entry["run"]), entry["attempt"], verb, **details))


def _lock(cluster: Cluster, found: _Sorted, purged: Sequence[Mapping[str, Any]]) -> None:
    """Lock the calculations of all that is written, in order; one kind of news locks its own."""
    finished, lost = [run for run, _ in found.finished], [run for run, _ in found.lost]
    kinds = [kind for kind in (found.running, finished, found.cancelled, lost) if kind]
    renewed = now() + RENEW_BELOW
    found.due = [run.pk for run in found.running if run.lease_expires_at < renewed]
    others = recalls.concerned(cluster, found.told) | tombstones.concerned(purged)
    if len(kinds) > 1 or found.due or others:
        ids = {run.calculation_id for kind in kinds for run in kind}
        found.locked = set(lock_calculations(ids | others))


def _apply(cluster: Cluster, entries: _Sorted) -> None:
    agent = f"agent {cluster.name}"
    execution.record_running(entries.running, entries.told, agent=agent)
    execution.accept(entries.finished, agent=agent)
    execution.confirm_cancelled(entries.cancelled, agent=agent, told=entries.told)
    execution.lose(entries.lost, actor=agent, told=entries.told)
    if entries.orphans:
        execution.keep_orphans(cluster, entries.orphans)
    _learn_run_time(cluster, entries.finished)
    lost = [run for run, _ in entries.lost]
    breaker.note(cluster, lost=lost, finished=len(entries.finished))
    if entries.due:
        Run.objects.filter(pk__in=entries.due).update(lease_expires_at=lease_from(now()))


def _learn_run_time(cluster: Cluster, finished: Sequence[tuple[Run, Mapping[str, Any]]]) -> None:
    """Keep the mean run time, by which placement decides how many runs to hand out ahead of free
    slots.
    """
    for _, entry in finished:
        elapsed = (entry.get("usage") or {}).get("elapsed_s")
        if isinstance(elapsed, (int, float)) and elapsed >= 0:
            cluster.mean_run_s += MEAN_WEIGHT * (float(elapsed) - cluster.mean_run_s)


def _take_back(cluster: Cluster, found: _Sorted) -> None:
    runs, why = recalls.take_back(cluster, found.told, locked=found.locked)
    taken = {str(run.pk) for run in runs}
    found.verbs = [verb for verb in found.verbs if verb["run"] not in taken]
    for run in runs:
        if run.pk in found.told:
            _answer(found, found.told[run.pk], Verb.ABANDON, why=why)


def _executes(cluster: Cluster, known: set[uuid.UUID]) -> list[dict[str, Any]]:
    """Hand out what the cluster holds a lease for and did not list."""
    missing = rows.leased_run_ids(cluster) - known
    if not missing:
        return []
    held = Run.objects.filter(pk__in=missing, state__in=LEASED_RUNS)
    runs = list(held.select_related("calculation").order_by("queued_at", "index")[:MAX_EXECUTE])
    if cluster.closed:
        runs = [run for run in runs if run.cancel_reason]
    specs = specs_of(runs)
    return [
        instruction(
            str(run.pk),
            run.attempt,
            Verb.EXECUTE,
            lease_s=settings.LEASE_S,
            spec=specs[str(run.pk)].to_json(),
        )
        for run in runs
        if not run.cancel_reason
    ] + [
        instruction(str(run.pk), run.attempt, Verb.CANCEL, why=run.cancel_reason)
        for run in runs
        if run.cancel_reason
    ]


def _purges(cluster: Cluster, purged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not cluster.purges_pending and not purged:
        return []
    tombstones.take(cluster, purged)
    wanted = retention.pending(cluster, MAX_EXECUTE)
    cluster.purges_pending = Purge.objects.filter(cluster=cluster, done_at=None).count()
    return [
        {"run": str(p.run_id), "attempt": p.attempt, "verb": Verb.PURGE.value, "keep": p.keep}
        for p in wanted
    ]


def _remember(cluster: Cluster, document: Mapping[str, Any]) -> None:
    """Write down what the agent said of itself; the counters were changed on the locked object."""
    agent, moment = document["agent"], now()
    was_silent = cluster.is_silent(moment)
    clock = parse_datetime(str(agent.get("clock", ""))) if agent.get("clock") else None
    cluster.agent_boot = str(agent.get("boot", ""))[:64]
    cluster.agent_version = str(agent.get("version", ""))[:40]
    cluster.agent_host = str(agent.get("host", ""))[:200]
    cluster.clock_skew_s = (clock - moment).total_seconds() if clock and clock.tzinfo else None
    cluster.last_exchange_at = moment
    cluster.capacity = document.get("capacity") or cluster.capacity
    rows.save(cluster, _REMEMBERED)
    publish(
        f"cluster:{cluster.pk}", "cluster.changed", {"id": cluster.pk, "was_silent": was_silent}
    )


_REMEMBERED = [
    "agent_id",
    "agent_boot",
    "agent_version",
    "agent_host",
    "clock_skew_s",
    "last_exchange_at",
    "capacity",
    "acknowledged",
    "mean_run_s",
    "purges_pending",
]
