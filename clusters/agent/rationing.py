"""Gives waiting runs their slots, cores, memory and GPUs, and says what they wait for.

Between the life cycle, which asks, and `allotment.plan`, which decides. Nothing has to be handed
back: what a run holds follows from its phase, so that a restart finds it as it was. What models
take, `serving` says; they have the first choice of what becomes free.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from clusters.agent.allotment import Held, Machine, Need, Room, free_room, plan
from clusters.agent.config import Config
from clusters.agent.devices import DeviceBusy, Devices, DevicesSilent, in_use
from clusters.agent.records import STARTED, Phase, Record, Wanted
from clusters.agent.schedulers.base import Job, Key

log = logging.getLogger(__name__)

REASON = "Resources"


class BeyondMachine(Exception):
    """A run asks for more than this machine has; (what is too much, what to ask for)."""


class Rations:
    """What one agent has to give. `own`: cores, memory and GPUs too, where no scheduler does it."""

    def __init__(
        self,
        config: Config,
        devices: Devices,
        *,
        own: bool,
        memory_mib: int | None,
        slots: int | None = None,
    ) -> None:
        self.devices = devices
        self.own = own
        self._slots = slots or config.slots
        self._grace_s = config.grace_s
        self._cores = config.cores
        self._memory_mib = config.memory_mib or memory_mib
        self._given: set[int] = set()  # GPUs that were held when it was last looked
        self.models: Callable[[], list[Held]] = list  # what servers of models hold
        self.reserved: Callable[[], list[Held]] = list  # what others of them wait for

    def machine(self) -> Machine:
        if not self.own:
            return Machine(self._slots)
        return Machine(
            self._slots, self._cores, self._memory_mib or math.inf, gpus=self.devices.types
        )

    def choose(self, records: Iterable[Record], busy: Collection[Key]) -> list[Record]:
        """Return the waiting records whose turn it is, their GPUs noted; those that may never start
        here are among them, for `ready` to refuse.
        """
        records, now = list(records), time.time()
        machine, held = self.machine(), self._held(records, busy, now)
        self._release(held)
        if sum(one.need.slots for one in held) >= machine.slots:
            return []
        waiting = [
            record
            for record in records
            if record.phase is Phase.QUEUED
            and record.wanted is Wanted.NOTHING
            and record.key not in busy
        ]
        needs = [Need.from_spec(record.spec) for record in waiting]
        refused = [self.refusal(need) is not None for need in needs]
        starting = [record for record, never in zip(waiting, refused) if never]
        waiting = [record for record, never in zip(waiting, refused) if not never]
        needs = [need for need, never in zip(needs, refused) if not never]
        unusable = self.devices.unusable() if self.own else set()
        found = plan(machine, held, needs, now=now, unusable=unusable)
        for position, gpus in found.starts:
            waiting[position].gpus, waiting[position].pending = gpus, None
            starting.append(waiting[position])
        if found.first is not None:
            held = self._held(records, {*busy, *(record.key for record in starting)}, now)
            room = free_room(machine, held, unusable)
            self._say(waiting[found.first], needs[found.first], room)
        return starting

    def ready(self, record: Record, prepare: Callable[[], Job]) -> Job:
        """Return the prepared job of a run that may start here now; for worker threads.

        Raises BeyondMachine, and what `postpones` knows where its GPUs are not free after all.
        """
        refusal = self.refusal(Need.from_spec(record.spec))
        if refusal is not None:
            raise BeyondMachine(*refusal)
        job = prepare()
        if self.own:
            self.devices.check(record.gpus)
        return job

    def postpones(self, record: Record, error: Exception | None) -> bool:
        """Whether an error of `ready` only means that the run has to wait."""
        if not isinstance(error, (DeviceBusy, DevicesSilent)):
            return False
        self.found(error)
        log.warning("it waits: %s", error, extra={"run": record.run})
        record.gpus = ()
        record.pending = {"reason": REASON, "text": str(error)[:300]}
        return True

    def found(self, error: DeviceBusy | DevicesSilent) -> None:
        """Note what the look before a start has found."""
        if isinstance(error, DeviceBusy):
            self.devices.found_busy(error)
        else:
            self.devices.silent(str(error))

    def refusal(self, need: Need) -> tuple[str, str] | None:
        """Return (what is too much, the remedy) for what can never start here."""
        if need.gpus and self.own and not self.devices.known:
            return None  # nobody has said yet which GPUs there are: it waits
        return self.machine().refusal(need)

    def give(
        self,
        need: Need,
        models: Sequence[Held],
        records: Iterable[Record],
        busy: Collection[Key],
    ) -> tuple[tuple[int, ...] | None, str]:
        """Return the GPUs for a model that starts now, or None and what it waits for; `models`:
        what others hold.
        """
        held = [*self._held_by_runs(list(records), busy, time.time()), *models]
        room = free_room(self.machine(), held, self.devices.unusable())
        gpus = room.choose(need)
        return gpus, "" if gpus is not None else self._lacks(need, room)

    def reserve(self, need: Need, models: Sequence[Held]) -> Held | None:
        """Return what is kept free for a model that waits until runs have ended; None where other
        models stand in its way, for which no run has to wait.
        """
        gpus = free_room(self.machine(), models).choose(need)
        return None if gpus is None else Held(need, gpus, math.inf)

    def equip(self, job: Job, gpus: Sequence[int]) -> Job:
        """Return the job with an environment in which it sees its GPUs alone."""
        if not self.own:
            return job
        return replace(job, environment={**job.environment, **self.devices.environment(gpus)})

    def looked(self, found: Any, error: Exception | None, records: Iterable[Record]) -> None:
        """Take in what nvidia-smi said, in the loop's thread."""
        if error is not None:
            self.devices.silent(str(error))
        else:
            self.devices.update(found, ours=self._gpus_of(records))

    def capacity(self, records: Iterable[Record], busy: Collection[Key]) -> dict[str, Any]:
        """Return the part of the exchange's capacity that is given out here."""
        machine = self.machine()
        room = free_room(machine, self._held(list(records), busy, time.time()), ())
        if not self.own:
            return {"gpus": []}
        free = {
            "slots": max(room.slots, 0),
            "cores": max(int(room.cores), 0),
            "memory_mib": None if math.isinf(room.memory_mib) else max(int(room.memory_mib), 0),
            "gpus": len(room.gpus - self.devices.unusable()),
        }
        return {"cores": self._cores, "gpus": self.devices.capacity(), "free": free}

    def _held(self, records: Sequence[Record], busy: Collection[Key], now: float) -> list[Held]:
        return [*self._held_by_runs(records, busy, now), *self.models(), *self.reserved()]

    def _held_by_runs(
        self, records: Sequence[Record], busy: Collection[Key], now: float
    ) -> list[Held]:
        found = []
        for record in records:
            queued = record.phase is Phase.QUEUED and record.key in busy
            if record.phase in STARTED or queued:
                need = Need.from_spec(record.spec)
                ends_at = (record.started_at or now) + need.walltime_s + self._grace_s
                found.append(Held(need, tuple(record.gpus), ends_at))
        return found

    def _release(self, held: Iterable[Held]) -> None:
        """What GPUs of ended runs held was theirs, and says nothing of anybody else."""
        given = {index for one in held for index in one.gpus}
        self.devices.forget_use(self._given - given)
        self._given = given

    def _gpus_of(self, records: Iterable[Record]) -> set[int]:
        open_phases = {*STARTED, Phase.QUEUED}
        ours = {i for record in records if record.phase in open_phases for i in record.gpus}
        return ours | {index for held in self.models() for index in held.gpus}

    def _say(self, record: Record, need: Need, room: Room) -> None:
        """Note on the first that waits what is missing, for the scientist."""
        record.pending = {"reason": REASON, "text": self._lacks(need, room)}

    def _lacks(self, need: Need, room: Room) -> str:
        lacks = []
        if need.alone and room.slots < room.total:
            lacks.append("the machine asked for alone")
        elif room.slots < need.slots:
            lacks.append("no slot free")
        if need.cores > room.cores:
            lacks.append(f"{need.cores} cores asked for, {max(int(room.cores), 0)} free")
        if need.memory_mib > room.memory_mib:
            free = max(int(room.memory_mib), 0)
            lacks.append(f"{need.memory_mib:,} MiB asked for, {free:,} free")
        if self.own and need.gpus > len(room.gpus):
            many = "GPUs" if need.gpus > 1 else "GPU"
            lacks.append(f"{need.gpus} {many} asked for, {self._gpus_free(room)}")
        return "; ".join(lacks)[:300]

    def _gpus_free(self, room: Room) -> str:
        if self.devices.problem:
            return self.devices.problem
        used = [in_use(index, mib) for index, mib in sorted(self.devices.busy().items())]
        return "; ".join([f"{len(room.gpus)} free", *used])
