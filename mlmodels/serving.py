"""The portal's half of the serving part of the exchange: takes what an agent says of its replicas,
and answers what should be. Called within the exchange's transaction, under its cluster's lock.

Level-triggered: every entry is answered by a verb, whatever was lost is said again, and nothing is
inferred from absence but that a replica is gone whose removal was told.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from clusters.agent.protocol import ReplicaState, ServingVerb, serving_instruction
from clusters.models import Cluster
from clusters.serving import Served
from labportal.common.clock import now
from mlmodels import hearing, traffic
from mlmodels.models import RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.services import contracts, events, replicas
from mlmodels.services.locking import for_change
from mlmodels.services.specs import spec_of
from mlmodels.services.tending import tend
from mlmodels.states import Purpose, ReplicaWanted

Entry = Mapping[str, Any]

LATEST = ("pinged_at", "answered_at")
TAKEN = ("cores", "memory_mib", "gpus", "gpu_type")
#: What a change of makes the model look at its replicas again; the rest is only shown.
WEIGHTY = frozenset({"state", "why", "address", "told_generation", "removed_at", "generation"})
#: States that a timeline tells of, with the log's end.
TOLD = frozenset(
    {
        ReplicaState.READY,
        ReplicaState.UNHEALTHY,
        ReplicaState.BACKING_OFF,
        ReplicaState.GIVEN_UP,
    }
)
WITH_TAIL = frozenset({ReplicaState.BACKING_OFF, ReplicaState.GIVEN_UP})


def take(cluster: Cluster, entries: Sequence[Entry] | None) -> Served:
    """`entries` None: the agent is older than serving, nothing is said of models."""
    if entries is None:
        return Served()
    told = _by_replica(entries)
    if not told and not _has_replicas(cluster):
        return Served()
    moment = now()
    rows = _rows(cluster)
    if any(_is_weighty(_news(one, told.get(one.pk), moment)) for one in rows):
        models = _lock_models({one.version.model_id for one in rows})
        rows = _rows(cluster)  # again, now that nobody else changes what is wanted of them
        _take_in(cluster, rows, told, moment, models)
        rows = _rows(cluster)
    else:
        for one in rows:
            _write(one, _news(one, told.get(one.pk), moment))
    return _answers(rows, told, moment)


def known(cluster: Cluster, ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these are replicas that this cluster has or had: of the others no line is kept."""
    rows = Replica.objects.filter(pk__in=list(ids), cluster=cluster)
    return set(rows.values_list("pk", flat=True))


def held() -> dict[int, list[dict[str, Any]]]:
    """What replicas take of each cluster, which runs cannot have."""
    rows = Replica.objects.filter(wanted=ReplicaWanted.SERVE, removed_at=None)
    found: dict[int, list[dict[str, Any]]] = {}
    for key, *amounts in rows.values_list("cluster", *(f"version__{name}" for name in TAKEN)):
        found.setdefault(key, []).append(dict(zip(TAKEN, amounts, strict=True)))
    return found


def _by_replica(entries: Sequence[Entry]) -> dict[uuid.UUID, Entry]:
    found = {}
    for entry in entries:
        try:
            found[uuid.UUID(str(entry["replica"]))] = entry
        except (KeyError, ValueError):
            continue  # it names no replica: there is nothing to answer
    return found


_HAS = f'SELECT 1 FROM "{Replica._meta.db_table}" WHERE cluster_id = %s AND removed_at IS NULL'  # noqa: S608


def _has_replicas(cluster: Cluster) -> bool:
    """By hand: every exchange of every cluster asks this."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_HAS} LIMIT 1", [cluster.pk])
        return cursor.fetchone() is not None


def _rows(cluster: Cluster) -> list[Replica]:
    rows = Replica.objects.filter(cluster=cluster, removed_at=None)
    rows = rows.select_related("version__model").defer(*without_heavy("version"))
    return list(rows.order_by("pk"))


def _lock_models(ids: Iterable[int]) -> dict[int, RegisteredModel]:
    """In order, so that two exchanges never wait in turns."""
    rows = for_change().filter(pk__in=ids).order_by("pk")
    return {model.pk: model for model in rows}


def _news(one: Replica, entry: Entry | None, moment: datetime) -> dict[str, Any]:
    """The columns that change by what the agent says, or no longer says, of the replica."""
    if entry is None:
        gone = one.wanted == ReplicaWanted.REMOVE and one.remove_told_at is not None
        return {"removed_at": moment} if gone else {}
    given = hearing.generation_of(entry)
    if given > one.generation:
        # The portal came back from an older copy of its database: what runs there is not known.
        return {"generation": given + 1, "told_generation": given}
    if given < one.generation or hearing.is_late(entry, one.report):
        return {}
    try:
        columns = hearing.heard(entry, state=one.state, moment=moment)
    except hearing.BadEntry:
        return {}
    for name in LATEST:  # proxies write them too: the later one counts
        if (before := getattr(one, name)) is not None and before > columns.get(name, before):
            del columns[name]
    return {name: value for name, value in columns.items() if getattr(one, name) != value}


def _is_weighty(news: Mapping[str, Any]) -> bool:
    return not WEIGHTY.isdisjoint(news)


def _write(one: Replica, news: Mapping[str, Any]) -> None:
    if news:
        for name, value in news.items():
            setattr(one, name, value)
        one.save(update_fields=list(news))
        events.tell_replica(one.version.model, one)


def _take_in(
    cluster: Cluster,
    rows: Sequence[Replica],
    told: Mapping[uuid.UUID, Entry],
    moment: datetime,
    models: Mapping[int, RegisteredModel],
) -> None:
    touched = set()
    for one in rows:
        news = _news(one, told.get(one.pk), moment)
        model = models.get(one.version.model_id)
        if model is None:
            continue  # placed here just now: the next exchange tells of it
        one.cluster, one.version.model = cluster, model
        before = one.state
        _write(one, news)
        if not _is_weighty(news):
            continue
        if one.state != before:
            _note(model, one, actor=f"agent {cluster.name}")
        if one.purpose == Purpose.CONTRACT:
            contracts.hear(one, told.get(one.pk) or {})
        else:
            touched.add(model.pk)
    for key in sorted(touched):
        tend(models[key])


def _note(model: RegisteredModel, one: Replica, *, actor: str) -> None:
    if one.purpose != Purpose.SERVE or not one.is_wanted or one.state not in TOLD:
        return
    evidence = [line for line in (one.why, replicas.exit_words(one)) if line]
    if one.state in WITH_TAIL:
        evidence += replicas.tail_of(one)
    events.note(
        model,
        f"replica_{one.state}",
        actor=actor,
        version=one.version,
        replica=one.pk,
        note=f"{one.name} on {one.cluster.name}",
        evidence=evidence,
    )
    if one.has_given_up:
        replicas.announce_given_up(one)


def _answers(rows: Sequence[Replica], told: Mapping[uuid.UUID, Entry], moment: datetime) -> Served:
    served = Served()
    open_rows = {one.pk: one for one in rows}
    for key in told.keys() - open_rows.keys():  # not ours, or removed already
        served.entries.append(_remove(key, "the portal knows no such replica"))
        served.urgent |= told[key].get("state") not in hearing.ENDED
    calls = traffic.of(open_rows.keys() & told.keys())
    for key, one in open_rows.items():
        entry = told.get(key)
        verb = hearing.answer(one.wanted, entry, one.generation)
        if verb is None:
            continue
        before = one.remove_told_at is not None
        served.urgent |= hearing.is_urgent(verb, entry, told_before=before)
        served.entries.append(_instruction(one, verb, calls.get(str(key)), moment))
    return served


def _instruction(
    one: Replica, verb: ServingVerb, calls: traffic.Traffic | None, moment: datetime
) -> dict[str, Any]:
    if verb == ServingVerb.REMOVE:
        if one.remove_told_at is None:
            _write(one, {"remove_told_at": moment})
        return _remove(one.pk, one.wanted_why)
    details: dict[str, Any] = {"generation": one.generation}
    if verb == ServingVerb.SERVE:
        details["spec"] = spec_of(one)
    elif verb == ServingVerb.STOP:
        details["why"] = one.wanted_why
    elif calls is not None:
        details["traffic"] = {"in_flight": calls.in_flight, "answered_s": calls.answered_s}
    return serving_instruction(str(one.pk), verb, **details)


def _remove(key: uuid.UUID, why: str) -> dict[str, Any]:
    return serving_instruction(str(key), ServingVerb.REMOVE, why=why)
