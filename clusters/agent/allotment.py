"""Which waiting run starts now, with which cores, memory and GPUs: in order of arrival, and nobody
starves.

Pure. The first that does not fit gets a reservation: the moment at which what runs will, at the
latest, have ended. Later ones may pass it only where they do not put that moment off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MOST_PASSING = 200  # waiting runs that are looked at beyond the first that does not fit
DEFAULT_MEMORY_MIB, DEFAULT_WALLTIME_S = 1024, 600


@dataclass(frozen=True)
class Need:
    """What one run takes, or one server of a model, which takes no slot; `alone`: no other run may
    run beside it.
    """

    cores: int = 1
    memory_mib: int = DEFAULT_MEMORY_MIB
    gpus: int = 0
    gpu_type: str = ""
    walltime_s: int = DEFAULT_WALLTIME_S
    alone: bool = False
    nodes: int = 1
    slots: int = 1

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Need:
        """Read a run's description; what is absent or odd counts as its default."""
        resources = spec.get("resources")
        asked = resources if isinstance(resources, Mapping) else {}

        def number(name: str, default: int) -> int:
            value = asked.get(name, default)
            return value if isinstance(value, int) and value > 0 else default

        return cls(
            cores=number("cores", 1),
            memory_mib=number("memory_mib", DEFAULT_MEMORY_MIB),
            gpus=number("gpus", 0),
            gpu_type=str(asked.get("gpu_type") or ""),
            walltime_s=number("walltime_s", DEFAULT_WALLTIME_S),
            alone=bool(asked.get("exclusive")),
            nodes=number("nodes", 1),
        )


@dataclass(frozen=True)
class Held:
    """What a run that has begun takes, and when it will have ended at the latest (Unix time);
    infinite for a model, which goes on.
    """

    need: Need
    gpus: tuple[int, ...]
    ends_at: float


@dataclass(frozen=True)
class Machine:
    """What there is to give out. `gpus` by index with their types; None, and infinite cores and
    memory, where a scheduler of the site gives these out itself.
    """

    slots: int
    cores: float = math.inf
    memory_mib: float = math.inf
    gpus: Mapping[int, str] | None = None

    def refusal(self, need: Need) -> tuple[str, str] | None:
        """Return (what is too much, the remedy) for a run that can never start here."""
        if self.gpus is None:
            return None
        fitting = [index for index, name in self.gpus.items() if of_type(name, need.gpu_type)]
        if need.nodes > 1:
            return f"{need.nodes} nodes, and this is one machine", "Ask for one node"
        if need.cores > self.cores:
            return _beyond(need.cores, self.cores, "cores", "core")
        if need.memory_mib > self.memory_mib:
            return _beyond(need.memory_mib, self.memory_mib, "MiB of memory")
        if need.gpus > len(fitting):
            kind = f" of the type {need.gpu_type}" if need.gpu_type else ""
            return _beyond(need.gpus, len(fitting), f"GPUs{kind}", f"GPU{kind}")
        return None


@dataclass
class Room:
    """What is free at some moment."""

    slots: int
    cores: float
    memory_mib: float
    gpus: set[int]
    types: Mapping[int, str]
    bounded: bool  # whether GPUs are given out here at all
    total: int = 0

    def choose(self, need: Need, among: set[int] | None = None) -> tuple[int, ...] | None:
        """Return the GPUs that a run would get, None where it does not fit."""
        if need.alone and self.slots < self.total:
            return None
        if self.slots < need.slots or need.cores > self.cores:
            return None
        if need.memory_mib > self.memory_mib:
            return None
        if not self.bounded:
            return ()
        free = self.gpus if among is None else self.gpus & among
        fitting = sorted(i for i in free if of_type(self.types.get(i, ""), need.gpu_type))
        return tuple(fitting[: need.gpus]) if len(fitting) >= need.gpus else None

    def take(self, need: Need, gpus: Iterable[int]) -> None:
        self.slots -= self.total if need.alone else need.slots
        self.cores -= need.cores
        self.memory_mib -= need.memory_mib
        self.gpus -= set(gpus)

    def give_back(self, held: Held) -> None:
        self.slots += self.total if held.need.alone else held.need.slots
        self.cores += held.need.cores
        self.memory_mib += held.need.memory_mib
        self.gpus |= set(held.gpus)

    def copy(self) -> Room:
        return replace(self, gpus=set(self.gpus))


@dataclass
class Plan:
    """`starts`: positions among the waiting, with their GPUs; `first`: the position of the first
    that does not fit.
    """

    starts: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    first: int | None = None


def free_room(machine: Machine, held: Iterable[Held], unusable: Iterable[int] = ()) -> Room:
    """`unusable`: GPUs that somebody else's programs use."""
    types = machine.gpus or {}
    room = Room(
        machine.slots,
        machine.cores,
        machine.memory_mib,
        set(types) - set(unusable),
        types,
        machine.gpus is not None,
        machine.slots,
    )
    for one in held:
        room.take(one.need, one.gpus)
    return room


def plan(
    machine: Machine,
    held: Sequence[Held],
    waiting: Sequence[Need],
    *,
    now: float,
    unusable: Iterable[int] = (),
) -> Plan:
    """Choose what starts now among runs that wait in the order of their arrival."""
    unusable = set(unusable)
    room = free_room(machine, held, unusable)
    holding = list(held)
    found = Plan()
    reserved: tuple[float, Room] | None = None
    for position, need in enumerate(waiting):
        if room.slots < 1 or (found.first is not None and position - found.first > MOST_PASSING):
            break
        ends_at = now + need.walltime_s
        if reserved is None or ends_at <= reserved[0]:
            gpus = room.choose(need)
        else:
            gpus = _beside(room, reserved[1], need)
        if gpus is not None:
            room.take(need, gpus)
            if reserved is not None and ends_at > reserved[0]:
                reserved[1].take(need, gpus)
            holding.append(Held(need, gpus, ends_at))
            found.starts.append((position, gpus))
        elif found.first is None:
            found.first = position
            reserved = _reserve(room, holding, need, unusable)
    if found.first is None and len(found.starts) < len(waiting):
        found.first = len(found.starts)  # no slot is free
    return found


def _reserve(
    room: Room, holding: Sequence[Held], need: Need, unusable: set[int]
) -> tuple[float, Room] | None:
    """Return when a run will fit at the latest, and what will be free beside it then; None where
    that hangs on programs that are not ours, for which nobody else has to wait.
    """
    later = room.copy()
    for held in sorted(holding, key=lambda one: one.ends_at):
        later.give_back(held)
        later.gpus -= unusable
        gpus = later.choose(need)
        if gpus is not None:
            later.take(need, gpus)
            return held.ends_at, later
    return None


def _beside(room: Room, spare: Room, need: Need) -> tuple[int, ...] | None:
    """GPUs for a run that would go on beyond the reservation: what is free now and then."""
    if spare.choose(need) is None or room.choose(need) is None:
        return None
    return room.choose(need, among=spare.gpus)


def of_type(name: str, wanted: str) -> bool:
    """Whether a GPU's name answers to a type, such as "NVIDIA A100-SXM4-80GB" to "a100"."""
    return _bare(wanted) in _bare(name)


def _bare(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def _beyond(asked: float, there: float, what: str, one: str = "") -> tuple[str, str]:
    asked, there = int(asked), int(there)
    has = f"{there:,} {one if there == 1 and one else what}" if there else f"no {one or what}"
    least = f"Ask for at most {there:,}" if there else f"Ask for no {one or what}"
    return f"{asked:,} {one if asked == 1 and one else what}, and this machine has {has}", least
