"""A lab in simulated time: people submit, clusters run, rounds of placement hand out."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from calculations.software.base import Resources
from clusters.fairshare import Account, Ledger, decayed
from clusters.ranking import Ask, Reason, Round, Rules, Shape, seats_of
from clusters.rooms import Free, Leased, Room

HOUR = 3600.0
DAY = 24 * HOUR


@dataclass(frozen=True)
class Site:
    key: int
    slots: int
    cores: float = float("inf")
    price: float = 0.0
    per_user: int | None = None

    def room(self, running: Iterable[Job], now: float) -> Room:
        room = Room(
            self.key,
            f"site-{self.key}",
            self.slots,
            Free(self.slots, cores=self.cores),
            price_core=self.price,
            per_user=self.per_user,
            bounded=self.cores != float("inf"),
        )
        for job in running:
            room.take(job.account, job.need, now=now, elapsed_s=now - job.started)
        return room


@dataclass
class Job:
    account: Account
    queued: float
    lasts_s: float
    need: Resources = field(default_factory=Resources)
    priority: int = 0
    started: float = -1.0
    where: int = -1

    @property
    def waited(self) -> float:
        return self.started - self.queued


def job(
    user: int, queued: float, *, lasts_s: float = 600.0, project: int = 1, **more: object
) -> Job:
    """`cores` and the like go to its resources."""
    priority = int(more.pop("priority", 0))
    asked = {"walltime_s": int(lasts_s), **more}
    return Job((project, user), queued, lasts_s, _resources(**asked), priority)


@cache
def _resources(**asked: object) -> Resources:
    return Resources(**asked)


class Lab:
    """`every_s`: the rhythm of placement, in which everything else is rounded up."""

    def __init__(
        self,
        sites: Iterable[Site],
        *,
        rules: Rules | None = None,
        shares: dict[int, float] | None = None,
        half_life_s: float = 7 * DAY,
        every_s: float = 30.0,
    ) -> None:
        self.sites = {site.key: site for site in sites}
        self.rules, self.shares = rules or Rules(), shares
        self.half_life_s, self.every_s = half_life_s, every_s
        self.now = 0.0
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.done: list[Job] = []
        self.used: dict[Account, tuple[float, float]] = {}
        self.core_s: Counter[Account] = Counter()
        self.reasons: Counter[Reason] = Counter()

    def run(self, jobs: Iterable[Job], *, until: float | None = None) -> None:
        """Go on until everything has ended, or until then."""
        coming = sorted(jobs, key=lambda one: one.queued, reverse=True)
        while coming or self.waiting or self.running:
            if until is not None and self.now >= until:
                return
            self._end()
            while coming and coming[-1].queued <= self.now:
                self.waiting.append(coming.pop())
            self.place()
            self.now += self.every_s

    def _end(self) -> None:
        for one in [j for j in self.running if j.started + j.lasts_s <= self.now]:
            self.running.remove(one)
            self.done.append(one)
            spent = one.lasts_s * self.rules.weight(one.need)
            self.used[one.account] = (self._left(one.account) + spent, self.now)
            self.core_s[one.account] += int(spent)

    def _left(self, account: Account) -> float:
        core_s, at = self.used.get(account, (0.0, self.now))
        return decayed(core_s, age_s=self.now - at, half_life_s=self.half_life_s)

    def place(self) -> list[Job]:
        rooms = {
            key: site.room((j for j in self.running if j.where == key), self.now)
            for key, site in self.sites.items()
        }
        shapes: dict[int, Shape] = {}
        asks = []
        for place, one in enumerate(self.waiting):
            if id(one.need) not in shapes:
                able = [(r, r.price(one.need)) for r in rooms.values()]
                able = [a for a in able if one.need.cores <= self.sites[a[0].key].cores]
                able.sort(key=lambda a: a[1])
                seats = seats_of(one.need, self.rules.seats)
                shapes[id(one.need)] = Shape(one.need, tuple(able), seats=seats)
            shape = shapes[id(one.need)]
            asks.append(Ask(one, one.account, one.priority, one.queued, place, shape))
        leased = [Leased(j.account, j.need, self.now - j.started) for j in self.running]
        used = {account: self._left(account) for account in self.used}
        for one in leased:
            spent = max(one.elapsed_s, 60.0) * self.rules.weight(one.need)
            used[one.account] = used.get(one.account, 0.0) + spent
        present = {j.account for j in itertools.chain(self.waiting, self.running)}
        ledger = Ledger(used, present, self.shares)
        plan = Round(rooms.values(), leased, self.rules, now=self.now).hand_out(asks, ledger)
        for ask, room in plan.placed:
            ask.key.started, ask.key.where = self.now, room.key
            self.running.append(ask.key)
        self.waiting = [ask.key for ask, _ in plan.waiting]
        self.reasons.update(why.reason for _, why in plan.waiting)
        self.check()
        return [ask.key for ask, _ in plan.placed]

    def check(self) -> None:
        """No cluster ever holds more than it has, and nobody more than the lab allows."""
        for key, site in self.sites.items():
            here = [one for one in self.running if one.where == key]
            assert len(here) <= site.slots
            assert sum(one.need.cores for one in here) <= site.cores
            if site.per_user is not None:
                people = Counter(one.account[1] for one in here)
                assert not people or max(people.values()) <= site.per_user
        for part, cap in ((0, self.rules.per_project), (1, self.rules.per_user)):
            held = Counter(one.account[part] for one in self.running)
            assert cap is None or not held or max(held.values()) <= cap
        taken: Counter[str] = Counter()
        for one in self.running:
            taken.update(dict(seats_of(one.need, self.rules.seats)))
        assert all(count <= self.rules.seats[name] for name, count in taken.items())
