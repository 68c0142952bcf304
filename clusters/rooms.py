"""What is free on a cluster for the runs that wait: slots, cores, memory, GPUs, and what of it is
kept for a wide run. Pure; built by `room_of` from what the agent told and what is leased there.

A cluster with a batch scheduler only has slots: its cores are for that to give out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from calculations.software.base import Resources
from clusters.abilities import amount, gpu_names, is_batch
from clusters.agent.allotment import of_type
from clusters.fairshare import Account
from clusters.models import Cluster

AHEAD_S = 1.0  # hand out ahead of free slots what is done within this time ...
MAX_AHEAD = 64  # ... and never more runs than this


@dataclass(frozen=True, slots=True)
class Leased:
    """A run that a cluster holds. `elapsed_s`: since its start, 0 before."""

    account: Account
    need: Resources
    elapsed_s: float = 0.0


@dataclass(slots=True)
class Free:
    """Amounts at some moment, infinite where nobody counts them. `gpu_names`: of all GPUs; `typed`:
    how many of a wanted type are taken; `alone`: the slots of a run beside which nothing else runs.
    """

    slots: int
    cores: float = math.inf
    memory_mib: float = math.inf
    gpus: float = math.inf
    gpu_names: tuple[str, ...] = ()
    typed: Counter[str] = field(default_factory=Counter)
    held: int = 0  # runs
    alone: int = 1

    def fits(self, need: Resources) -> bool:
        if (
            self.slots < (self.alone if need.exclusive else 1)
            or need.cores > self.cores
            or need.memory_mib > self.memory_mib
            or need.gpus > self.gpus
        ):
            return False
        return not (need.gpu_type and need.gpus) or need.gpus <= self.gpus_of(need.gpu_type)

    def gpus_of(self, kind: str) -> float:
        if self.gpus == math.inf or not kind:
            return self.gpus
        there = sum(of_type(name, kind) for name in self.gpu_names)
        return min(self.gpus, there - self.typed[kind])

    def change(self, need: Resources, sign: int) -> None:
        """Take (1) or give back (-1)."""
        self.slots -= sign * (self.alone if need.exclusive else 1)
        self.cores -= sign * need.cores
        self.memory_mib -= sign * need.memory_mib
        self.gpus -= sign * need.gpus
        self.held += sign
        if need.gpu_type:
            self.typed[need.gpu_type] += sign * need.gpus

    def serve(self, need: Resources) -> None:
        """Take what a model's server holds, which needs no slot."""
        slots = self.slots
        self.change(need, 1)
        self.slots, self.held = slots, self.held - 1

    def copy(self) -> Free:
        return replace(self, typed=Counter(self.typed))


@dataclass(slots=True)
class Room:
    """One cluster during a round of placement."""

    key: int
    name: str
    slots: int
    free: Free
    mean_run_s: float = 60.0
    price_core: float = 0.0
    price_gpu: float = 0.0
    per_user: int | None = None
    per_project: int | None = None
    bounded: bool = False  # whether cores are counted, so that a wide run needs a reservation
    users: Counter[int] = field(default_factory=Counter)
    projects: Counter[int] = field(default_factory=Counter)
    ends: list[tuple[float, Resources]] = field(default_factory=list)  # (Unix time, what it takes)
    # The reservation of the first run that does not fit: what for, when, and what is free beside it
    # then.
    reserved_for: Resources | None = None
    reserved_at: float | None = None
    spare: Free | None = None

    def can_start(self, need: Resources, now: float) -> bool:
        """Whether it fits, and does not put off the run for which room is kept."""
        if not self.free.fits(need):
            return False
        if self.reserved_at is None or now + need.walltime_s <= self.reserved_at:
            return True
        return self.spare is not None and self.spare.fits(need)

    def take(
        self, account: Account, need: Resources, *, now: float, elapsed_s: float = 0.0
    ) -> None:
        self.free.change(need, 1)
        ends_at = now + max(1.0, need.walltime_s - elapsed_s)
        if self.reserved_at is not None and self.spare is not None and ends_at > self.reserved_at:
            self.spare.change(need, 1)
        self.ends.append((ends_at, need))
        self.users[account[1]] += 1
        self.projects[account[0]] += 1

    def opening(self, need: Resources) -> tuple[float, Free] | None:
        """Return when it fits at the latest, by the time limits of what runs, and what is free
        beside it then; None where not even on the empty machine.
        """
        later = self.free.copy()
        for ends_at, held in sorted(self.ends, key=lambda one: one[0]):
            later.change(held, -1)
            if later.fits(need):
                later.change(need, 1)
                return ends_at, later
        return None

    def reserve(self, need: Resources, opening: tuple[float, Free]) -> None:
        self.reserved_for = need
        self.reserved_at, self.spare = opening

    def expected_s(self, need: Resources) -> float:
        """How long it will probably take: as its cluster's runs lately, never beyond its limit."""
        return min(float(need.walltime_s), max(1.0, self.mean_run_s))

    def price(self, need: Resources) -> float:
        """What an hour costs."""
        return need.cores * self.price_core + need.gpus * self.price_gpu


def room_of(
    cluster: Cluster,
    leased: Sequence[Leased],
    *,
    served: Sequence[Resources] = (),
    now: float = 0.0,
) -> Room:
    """Free room, and for very short runs more of it, so that a slot never waits for the next
    exchange. `served`: what models hold.
    """
    slots = cluster.slots_total
    ahead = min(MAX_AHEAD, int(slots * AHEAD_S / max(cluster.mean_run_s, 0.001))) if slots else 0
    batch = is_batch(cluster.capacity)
    room = Room(
        key=cluster.pk,
        name=cluster.name,
        slots=slots,
        free=Free(slots + ahead)
        if batch
        else _machine(cluster, slots + ahead, (slots + ahead) / max(slots, 1)),
        mean_run_s=cluster.mean_run_s,
        price_core=float(cluster.price_core_hour or 0),
        price_gpu=float(cluster.price_gpu_hour or 0),
        per_user=cluster.max_runs_per_user,
        per_project=cluster.max_runs_per_project,
        bounded=not batch and not ahead,
    )
    for need in served:
        room.free.serve(need)
    for one in leased:
        room.take(one.account, one.need, now=now, elapsed_s=one.elapsed_s)
    if cluster.on_trial:
        room.free.slots = min(room.free.slots, 1 - len(leased))
    return room


def _machine(cluster: Cluster, slots: int, factor: float) -> Free:
    capacity = cluster.capacity
    names = gpu_names(capacity)
    cores, memory = amount(capacity, "cores"), amount(capacity, "memory_mib")
    return Free(
        slots,
        cores=math.inf if cores is None else cores * factor,
        memory_mib=math.inf if memory is None else memory * factor,
        gpus=len(names) * factor if "gpus" in capacity else math.inf,
        gpu_names=tuple(names),
        alone=max(1, slots),
    )
