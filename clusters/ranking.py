"""Which waiting runs go where, in which order. Pure: no database, no clock.

Higher priorities go first. Within one, the run with the greatest sum of its account's fair-share
factor (0 to 1) and its age (1 per `aging_s`) goes first: whoever waits `aging_s` longer is always
before, so nobody waits for ever. What does not fit lets others pass, but for one reservation on
each cluster: see rooms.Room.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from calculations.software.base import Resources
from clusters.fairshare import GROWN, Account, Ledger
from clusters.rooms import Leased, Room


class Reason(Enum):
    """Why a run waits."""

    NEVER = auto()  # no cluster can; the shape says why
    FULL = auto()
    KEPT = auto()  # it would fit, but the room is kept for a wider run
    DEARER = auto()  # only a dearer cluster is free
    USER = auto()  # caps
    PROJECT = auto()
    USER_HERE = auto()
    PROJECT_HERE = auto()
    LICENCE = auto()


@dataclass(frozen=True, slots=True)
class Why:
    """`name`: of the licence; `number`: the cap, the seats, or how many of the able rooms it waits
    for; `room`: where.
    """

    reason: Reason
    name: str = ""
    number: int = 0
    room: Room | None = None


@dataclass(slots=True)
class Shape:
    """What runs have in common that may go to the same clusters.

    `able`: the rooms that can ever take one, the cheapest first, with what an hour costs there;
    `never`: why there are none; `seats`: how many of each licence of the lab one takes.
    """

    need: Resources
    able: tuple[tuple[Room, float], ...] = ()
    never: str = ""
    seats: tuple[tuple[str, int], ...] = ()
    why: dict[bool, Why] = field(default_factory=dict)  # found in this round, by patience


@dataclass(frozen=True, slots=True)
class Ask:
    """A waiting run. `queued`: Unix time; `near`: the cluster that holds files to start from."""

    key: Any
    account: Account
    priority: int
    queued: float
    index: int
    shape: Shape
    near: int | None = None
    told: str = ""  # why it waits, as it stands now


@dataclass(frozen=True, slots=True)
class Rules:
    """What the lab has decided. None: no cap."""

    aging_s: float = 3 * 86400.0
    gpu_weight: float = 8.0
    per_user: int | None = None
    per_project: int | None = None
    tolerance: float = 0.2
    dearer_after_s: float = 3600.0
    seats: Mapping[str, int] = field(default_factory=dict)

    def weight(self, need: Resources) -> float:
        """As how many cores it counts."""
        return need.cores + self.gpu_weight * need.gpus


@dataclass(slots=True)
class Plan:
    """`waiting` is in the order of the queue."""

    placed: list[tuple[Ask, Room]] = field(default_factory=list)
    waiting: list[tuple[Ask, Why]] = field(default_factory=list)


class Round:
    """One round of placement: rooms fill as runs are placed."""

    def __init__(
        self, rooms: Iterable[Room], leased: Iterable[Leased], rules: Rules, *, now: float
    ) -> None:
        self._rooms, self._rules, self._now = list(rooms), rules, now
        self._users: Counter[int] = Counter()
        self._projects: Counter[int] = Counter()
        self._seats: Counter[str] = Counter()
        for one in leased:
            self._count(one.account, seats_of(one.need, rules.seats))

    def _count(self, account: Account, seats: Iterable[tuple[str, int]]) -> None:
        self._projects[account[0]] += 1
        self._users[account[1]] += 1
        for name, count in seats:
            self._seats[name] += count

    def hand_out(self, asks: Iterable[Ask], ledger: Ledger) -> Plan:
        plan = Plan()
        for ask in self._in_order(asks, ledger, plan):
            outcome = self._place(ask)
            if isinstance(outcome, Why):
                plan.waiting.append((ask, outcome))
            else:
                plan.placed.append((ask, outcome))
        return plan

    def _in_order(self, asks: Iterable[Ask], ledger: Ledger, plan: Plan) -> Iterable[Ask]:
        """Yield each once; what was placed when the next is asked for has been charged."""
        queues: defaultdict[int, defaultdict[Account, list[Ask]]]
        queues = defaultdict(lambda: defaultdict(list))
        for ask in sorted(asks, key=lambda a: (a.queued, a.index), reverse=True):
            queues[ask.priority][ask.account].append(ask)
        for priority in sorted(queues, reverse=True):
            yield from self._level(queues[priority], ledger, plan)

    def _level(self, queues: dict[Account, list[Ask]], ledger: Ledger, plan: Plan) -> Iterable[Ask]:
        """The asks of one priority. Each queue holds its oldest last."""
        now, aging_s = self._now, self._rules.aging_s

        def entry(account: Account) -> tuple[float, float, int, Account]:
            head = queues[account][-1]
            due = ledger.factor(account) + (now - head.queued) / aging_s
            return -due, head.queued, head.index, account

        heap = [entry(account) for account in queues]
        heapq.heapify(heap)
        counted_at, placed = ledger.total, len(plan.placed)
        while heap:
            account = heapq.heappop(heap)[-1]
            ask = queues[account].pop()
            yield ask
            if len(plan.placed) > placed:
                placed = len(plan.placed)
                need, room = ask.shape.need, plan.placed[-1][1]
                ledger.charge(account, self._rules.weight(need) * room.expected_s(need))
            if queues[account]:
                heapq.heappush(heap, entry(account))
            if ledger.total > counted_at * GROWN:  # all factors have changed
                heap = [entry(one[-1]) for one in heap]
                heapq.heapify(heap)
                counted_at = ledger.total

    def _place(self, ask: Ask) -> Room | Why:
        shape, rules = ask.shape, self._rules
        if not shape.able:
            return Why(Reason.NEVER)
        patient = self._now - ask.queued < rules.dearer_after_s
        if (known := shape.why.get(patient)) is not None:
            return known
        project, user = ask.account
        if rules.per_user is not None and self._users[user] >= rules.per_user:
            return Why(Reason.USER, number=rules.per_user)
        if rules.per_project is not None and self._projects[project] >= rules.per_project:
            return Why(Reason.PROJECT, number=rules.per_project)
        for name, count in shape.seats:
            if self._seats[name] + count > rules.seats[name]:
                return Why(Reason.LICENCE, name=name, number=rules.seats[name])
        room = self._choose(ask, patient)
        if isinstance(room, Why):
            return room
        room.take(ask.account, shape.need, now=self._now)
        self._count(ask.account, shape.seats)
        return room

    def _choose(self, ask: Ask, patient: bool) -> Room | Why:
        """The room for it; of those that cost about the same the one with the files, then the one
        with most room.
        """
        need, able = ask.shape.need, ask.shape.able
        dearest = able[0][1] * (1 + self._rules.tolerance)
        best: Room | None = None
        capped: Why | None = None
        cheap = 0
        for room, price in able:
            if patient and price > dearest:
                break
            if best is not None and price > dearest:
                break  # it has waited, but a cheap one is free after all
            cheap += 1
            if not room.can_start(need, self._now):
                continue
            if (cap := _cap_of(room, ask.account)) is not None:
                capped = capped or cap
            elif best is None or _better(room, best, ask.near):
                best = room
        if best is not None:
            return best
        if capped is not None:
            return capped  # others may still fit: nothing is concluded for the shape
        why = self._why_full(ask.shape, cheap)
        ask.shape.why[patient] = why
        return why

    def _why_full(self, shape: Shape, cheap: int) -> Why:
        need = shape.need
        dearer = next((r for r, _ in shape.able[cheap:] if r.can_start(need, self._now)), None)
        fits = next((r for r, _ in shape.able[:cheap] if r.free.fits(need)), None)
        self._reserve(shape, cheap)
        if dearer is not None:
            return Why(Reason.DEARER, number=cheap, room=dearer)
        return Why(Reason.FULL if fits is None else Reason.KEPT, number=cheap, room=fits)

    def _reserve(self, shape: Shape, cheap: int) -> None:
        """Keep room for the first that does not fit, where it will fit first."""
        found = [
            (opening[0], place, room, opening)
            for place, (room, _) in enumerate(shape.able[:cheap])
            if room.bounded and room.reserved_at is None
            if (opening := room.opening(shape.need)) is not None
        ]
        if found:
            _, _, room, opening = min(found, key=lambda one: one[:2])
            room.reserve(shape.need, opening)


def _cap_of(room: Room, account: Account) -> Why | None:
    project, user = account
    if room.per_user is not None and room.users[user] >= room.per_user:
        return Why(Reason.USER_HERE, number=room.per_user, room=room)
    if room.per_project is not None and room.projects[project] >= room.per_project:
        return Why(Reason.PROJECT_HERE, number=room.per_project, room=room)
    return None


def _better(room: Room, than: Room, near: int | None) -> bool:
    if near is not None and near in (room.key, than.key) and room is not than:
        return room.key == near
    return room.free.slots > than.free.slots


def seats_of(need: Resources, known: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Read "matlab:2"; names that are no licences of the lab are for the site to count."""
    if not need.licences:
        return ()
    wanted: Counter[str] = Counter()
    for words in need.licences:
        name, _, count = words.partition(":")
        if name in known:
            wanted[name] += int(count) if count.isdecimal() else 1
    return tuple(wanted.items())
