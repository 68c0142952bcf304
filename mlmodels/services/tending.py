"""Keeps the replicas of a model as they should be: places, stops, drains and removes them, switches
to a new version, and writes how the model stands. May be called at any time, by anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import redis
from django.db import connection, transaction
from django.db.models import Q

from clusters.calling import call
from clusters.leases import LEASE
from clusters.models import Cluster
from labportal.common.clock import now
from labportal.common.wake import redis_client
from mlmodels import traffic
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.models.version import without_heavy
from mlmodels.placement import Room, choose, rooms_for, sentence, why_unable
from mlmodels.planning import Plan, Standing, Wanted, plan
from mlmodels.services import events, model_files, replicas
from mlmodels.services.locking import for_change
from mlmodels.services.standing import write_standing
from mlmodels.states import Desired, Purpose, ReplicaWanted

log = logging.getLogger(__name__)

PLACEMENT_LOCK = 0x4C_50_02  # an arbitrary number, the same in every process
DRAIN_BEYOND_S = 10.0  # a call is given so much more than the model's time to answer


@transaction.atomic
def tend(model: RegisteredModel) -> None:
    """Compare and mend; the caller holds the model's lock. Agents are called on commit."""
    moment = now()
    there = {one.pk: one for one in _replicas(model)}
    tender = _Tender(model, there, moment)
    tender.carry_out(plan(_wanted(model), tender.standings()))
    write_standing(model, [r for r in there.values() if r.removed_at is None], tender.waits)
    tender.call()


def tend_all() -> int:
    """Tend every model that might have something to mend; return how many. The beat calls this."""
    left = Q(versions__replicas__isnull=False, versions__replicas__removed_at=None)
    unsettled = Q(desired=Desired.RUNNING) | left
    ids = RegisteredModel.objects.filter(unsettled).order_by("pk").values_list("pk", flat=True)
    done = 0
    for model_id in list(ids.distinct()):
        try:
            with transaction.atomic():
                tend(for_change().get(pk=model_id))
            done += 1
        except Exception:  # one that cannot be tended must not keep the others from it
            log.exception("model %s could not be tended", model_id)
    return done


class _Tender:
    """One look at one model: `there` are its replicas that are not removed, by id."""

    def __init__(
        self, model: RegisteredModel, there: dict[UUID, Replica], moment: datetime
    ) -> None:
        self.model, self.there, self.moment = model, there, moment
        self.waits = ""  # why a replica found no place
        self._called: set[int] = set()  # clusters that have to hear of it
        self._allowed = set(model.clusters.values_list("pk", flat=True)) if there else set()

    def standings(self) -> list[Standing]:
        staying = [one for one in self.there.values() if one.wanted != ReplicaWanted.REMOVE]
        in_flight = calls_in_flight(one.pk for one in staying if one.draining_at is not None)
        return [self._standing(one, in_flight) for one in staying]

    def _standing(self, one: Replica, in_flight: Mapping[UUID, int | None]) -> Standing:
        since = one.draining_at
        return Standing(
            id=one.pk,
            version=one.version_id,
            stopped=one.is_put_by,
            answers=one.answers,
            stays=self._stays(one),
            given_up=one.has_given_up,
            drains_s=(self.moment - since).total_seconds() if since else None,
            in_flight=in_flight.get(one.pk, 0),
            age_s=(self.moment - one.created_at).total_seconds(),
        )

    def _stays(self, one: Replica) -> bool:
        """Whether its cluster may go on serving it; one that is only silent may, for a while."""
        cluster = one.cluster
        if not cluster.enabled or cluster.draining or is_lost(cluster, self.moment):
            return False
        if self._allowed and cluster.pk not in self._allowed:
            return False
        return not why_unable(cluster.capacity, one.version)

    def carry_out(self, made: Plan) -> None:
        for replica_id in made.stop:
            self._want(replica_id, ReplicaWanted.STOP, "the model is stopped")
        for replica_id in made.remove:
            self._want(replica_id, ReplicaWanted.REMOVE, "it is not wanted any more")
        if made.switch:
            self._switch()
        for replica_id in made.drain:
            self._drain(replica_id)
        if self.model.desired == Desired.RUNNING and self.model.current is not None:
            self._fill(made, self.model.current)
        self._forget_lost()
        left = any(one.removed_at is None for one in self.there.values())
        if self.model.deleted_at is not None and not left:
            model_files.forget(list(self.model.versions.all()))

    def _forget_lost(self) -> None:
        """Nobody is left to say that they are gone; an agent that comes back is told to remove
        them.
        """
        for one in self.there.values():
            if one.wanted == ReplicaWanted.REMOVE and is_lost(one.cluster, self.moment):
                one.removed_at = self.moment
                one.save(update_fields=["removed_at"])

    def _want(self, replica_id: UUID, wanted: ReplicaWanted, why: str) -> None:
        one = self.there[replica_id]
        if one.wanted == wanted:
            return
        one.wanted, one.wanted_at, one.wanted_why = wanted, self.moment, why
        one.save(update_fields=["wanted", "wanted_at", "wanted_why"])
        self._changed(one)

    def _drain(self, replica_id: UUID) -> None:
        one = self.there[replica_id]
        one.draining_at = self.moment
        one.save(update_fields=["draining_at"])
        self._changed(one)

    def _switch(self) -> None:
        before, model = self.model.serving, self.model
        model.serving = model.current
        model.save(update_fields=["serving"])
        if before is not None:
            words = f"takes the calls of v{before.number}"
            events.note(model, "switch", actor="portal", version=model.current, note=words)
        events.tell(model)

    def _fill(self, made: Plan, version: ModelVersion) -> None:
        """Find places for what is missing; stopped replicas that are not needed go."""
        spare = [self.there[replica_id] for replica_id in made.spare]
        if made.missing:
            lock_placement()
            rooms = rooms_of(version, moment=self.moment)
            chosen = choose(rooms, version, made.missing)
            for room in chosen:
                at_hand = next((one for one in spare if one.cluster_id == room.key), None)
                if at_hand is None:
                    self._place(version, room)
                else:
                    spare.remove(at_hand)
                    replicas.start_anew(at_hand)
                    self._changed(at_hand)
            if len(chosen) < made.missing:
                self.waits = sentence(rooms, version)
                self._squeeze(made, rooms, version)
                return
        for one in spare:
            self._want(one.pk, ReplicaWanted.REMOVE, "it is not wanted any more")

    def _place(self, version: ModelVersion, room: Room) -> None:
        one = Replica.objects.create(version=version, cluster_id=room.key)
        self.there[one.pk] = one
        events.note(
            self.model,
            "place",
            actor="portal",
            version=version,
            replica=one.pk,
            note=f"{one.name} on {room.name}",
        )
        self._changed(one)

    def _squeeze(self, made: Plan, rooms: Sequence[Room], version: ModelVersion) -> None:
        """Where the new version finds no room beside the old one, and another replica of that goes
        on answering: end one whose place it can take.
        """
        if any(one.draining_at is not None for one in self.there.values()):
            return  # room is being made already
        by_key = {room.key: room for room in rooms}
        for replica_id in made.squeezable:
            one = self.there[replica_id]
            room = by_key.get(one.cluster_id)
            if room is None:
                continue
            room.change(one.version, -1)
            if not room.why_not(version):
                self._drain(replica_id)
                return
            room.change(one.version, 1)

    def _changed(self, one: Replica) -> None:
        self._called.add(one.cluster_id)
        events.tell_replica(self.model, one)

    def call(self) -> None:
        """On commit: an exchange holds its cluster's row while it waits for the model we hold."""
        if self._called:
            called = set(self._called)
            transaction.on_commit(lambda: call(called), robust=True)
            events.tell(self.model)


def lock_placement() -> None:
    """Two who look for places take turns, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PLACEMENT_LOCK])


def rooms_of(version: ModelVersion, *, moment: datetime) -> list[Room]:
    """Every cluster as this version sees it now."""
    there = Replica.objects.filter(removed_at=None).select_related("version")
    there = there.defer(*without_heavy("version"))
    allowed = set(version.model.clusters.values_list("pk", flat=True))
    return rooms_for(version, Cluster.objects.all(), there, allowed=allowed, moment=moment)


def is_lost(cluster: Cluster, moment: datetime) -> bool:
    """Silent for as long as runs would be given to others."""
    heard = cluster.last_exchange_at
    return heard is None or moment - heard > LEASE


def calls_in_flight(replica_ids: Iterable[UUID]) -> dict[UUID, int | None]:
    """None where nobody knows, since Redis is away."""
    ids = list(replica_ids)
    if not ids:
        return {}
    found = traffic.of(ids)
    missing = 0 if found or _redis_answers() else None
    return {one: found[str(one)].in_flight if str(one) in found else missing for one in ids}


def _redis_answers() -> bool:
    try:
        return bool(redis_client().ping())
    except redis.RedisError:
        return False


def _replicas(model: RegisteredModel) -> list[Replica]:
    rows = Replica.objects.filter(version__model=model, purpose=Purpose.SERVE, removed_at=None)
    return list(rows.select_related("version", "cluster").defer(*without_heavy("version")))


def _wanted(model: RegisteredModel) -> Wanted:
    return Wanted(
        running=model.desired == Desired.RUNNING,
        kept=model.deleted_at is None,
        current=model.current_id,
        serving=model.serving_id,
        count=model.replicas_wanted,
        drain_s=model.timeout_s + DRAIN_BEYOND_S,
    )
