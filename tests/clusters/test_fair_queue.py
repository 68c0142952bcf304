"""The queue in simulated time: thousands of runs of many people, in seconds and without a database.

Nobody starves, shares are kept, caps hold at every moment (the simulation checks these itself).
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from clusters.fairshare import Ledger
from clusters.ranking import Reason, Rules
from tests.clusters.simulation import DAY, HOUR, Job, Lab, Site, job

RULES = Rules(aging_s=6 * HOUR)


def flood(
    user: int, count: int, *, every_s: float, start: float = 0.0, **more: object
) -> list[Job]:
    return [job(user, start + number * every_s, **more) for number in range(count)]


def test_nobody_starves_within_a_priority() -> None:
    """One person used everything for a month and asks for little; nine fill the clusters without an
    end. Whoever is queued `aging_s` later is never before, so the wait is bounded by what was
    queued until then.
    """
    lab = Lab([Site(1, 10), Site(2, 6)], rules=RULES, every_s=60)
    lab.used[1, 99] = (1e9, 0.0)
    rest = [
        one
        for user in range(9)
        for one in flood(user, 330, every_s=320, start=user, lasts_s=600, project=2 + user % 3)
    ]
    poor = flood(99, 12, every_s=HOUR, lasts_s=600)
    lab.run([*rest, *poor])
    assert len(lab.done) == len(rest) + len(poor) > 2900
    for one in lab.done:
        before = sum(o.queued <= one.queued + RULES.aging_s for o in lab.done)
        bound = (before / 16 + 1) * 660  # 16 slots, ten minutes each and a round of a minute
        assert one.started <= bound
    assert max(one.waited for one in poor) > HOUR  # it did wait for its turn
    assert max(one.waited for one in poor) < RULES.aging_s + 2 * HOUR


def test_use_converges_to_the_shares() -> None:
    shares = {1: 1.0, 2: 2.0, 3: 5.0}
    lab = Lab([Site(1, 16)], rules=Rules(aging_s=90 * DAY), shares=shares, every_s=240)
    jobs = [
        job(10 * project + person, 0.0, project=project, lasts_s=1080 + 240 * person)
        for project, share in shares.items()
        for person in range(2)
        for _ in range(int(90 * share))
    ]
    lab.run(jobs, until=DAY)
    whole = sum(lab.core_s.values())
    for project, share in shares.items():
        people = {a: core_s for a, core_s in lab.core_s.items() if a[0] == project}
        used = sum(people.values())
        assert used / whole == pytest.approx(share / 8, abs=0.03)
        assert [one / used for one in people.values()] == pytest.approx([0.5, 0.5], abs=0.06)


def test_who_came_late_to_an_idle_share_goes_first() -> None:
    lab = Lab([Site(1, 4)], every_s=60)
    lab.run(flood(1, 200, every_s=0), until=2 * HOUR)
    late = job(2, lab.now)
    lab.run([late], until=lab.now + 900)
    assert 0 <= late.waited <= 600  # the first slot that ends is theirs


def test_a_higher_priority_goes_first_whoever_asks() -> None:
    lab = Lab([Site(1, 3)], rules=RULES, every_s=60)
    lab.used[1, 1] = (1e9, 0.0)
    normal = flood(2, 60, every_s=0)
    urgent = flood(1, 20, every_s=0, start=900, priority=5)
    lab.run([*normal, *urgent])
    last_urgent = max(one.started for one in urgent)
    meanwhile = [one for one in normal if 900 <= one.started < last_urgent]
    assert meanwhile == []


def test_caps_hold_at_every_moment_and_the_rest_goes_on() -> None:
    rules = replace(RULES, per_user=4, per_project=7, seats={"matlab": 2})
    lab = Lab([Site(1, 10, per_user=3), Site(2, 10)], rules=rules, every_s=60)
    dice = random.Random(4)  # noqa: S311  (the same in every run)
    jobs = [
        job(
            number % 7,
            dice.uniform(0, 6 * HOUR),
            project=1 + number % 3,
            lasts_s=dice.choice([120, 600, 1800]),
            licences=("matlab:1",) if number % 5 == 0 else (),
        )
        for number in range(1000)
    ]
    lab.run(jobs)
    assert len(lab.done) == 1000
    assert {Reason.USER, Reason.PROJECT, Reason.LICENCE} <= set(lab.reasons)


def test_a_wide_run_starts_although_narrow_ones_never_end() -> None:
    """16 cores, always full of single-core runs; a run of all 16 starts once those that were
    started before it have ended.
    """
    lab = Lab([Site(1, 16, cores=16)], rules=Rules(aging_s=HOUR), every_s=30)
    narrow = [
        one
        for user in range(8)
        for one in flood(user, 32, every_s=890, start=37 * user, lasts_s=1800)
    ]
    wide = job(50, 2 * HOUR, cores=16, lasts_s=900)
    lab.run([*narrow, wide], until=8 * HOUR)
    assert 0 <= wide.waited <= HOUR + 1800 + 60
    assert lab.reasons[Reason.KEPT]


def test_what_ends_in_time_passes_a_wide_run() -> None:
    lab = Lab([Site(1, 8, cores=8)], every_s=30)
    long = job(1, 0, cores=6, lasts_s=2 * HOUR)
    wide = job(2, 30, cores=8, lasts_s=HOUR)
    quick = [job(3, 60, lasts_s=HOUR) for _ in range(2)]
    slow = job(4, 60, lasts_s=3 * HOUR)
    lab.run([long, wide, *quick, slow])
    assert [one.waited for one in quick] == [0, 0]
    assert wide.started == 2 * HOUR
    assert slow.started >= wide.started


def test_old_use_is_forgotten_by_half_each_half_life() -> None:
    def first(half_life_s: float) -> int:
        lab = Lab([Site(1, 1)], half_life_s=half_life_s, every_s=60)
        lab.used[1, 1] = (4000.0, -3 * DAY)  # much, three days ago
        lab.used[1, 2] = (1000.0, 0.0)  # less, just now
        lab.run([job(1, 0), job(2, 0)], until=30)
        return lab.running[0].account[1]

    assert first(DAY) == 1  # 4000 / 8 are left
    assert first(30 * DAY) == 2


def test_a_use_too_small_for_numbers_counts_as_none() -> None:
    account = (1, 1)
    assert Ledger({account: 5e-324}, {account}, {1: 1.0, 2: 4.0}).factor(account) == 1.0


def test_the_factor_falls_by_half_with_each_share_that_is_used() -> None:
    used = {(1, 1): 100.0, (2, 2): 100.0}
    even = Ledger(used, used)
    assert even.factor((1, 1)) == pytest.approx(0.5)
    favoured = Ledger(used, used, {1: 3.0})
    assert favoured.factor((1, 1)) == pytest.approx(2 ** (-0.5 / 0.75))
    assert favoured.factor((2, 2)) == pytest.approx(0.25)


def test_runs_wait_for_the_cheap_cluster_but_not_for_ever() -> None:
    rules = Rules(dearer_after_s=HOUR)
    lab = Lab([Site(1, 1, price=1.0), Site(2, 1, price=1.1), Site(3, 4, price=5.0)], rules=rules)
    jobs = flood(1, 4, every_s=0, lasts_s=3 * HOUR)
    lab.run(jobs)
    where = sorted((one.where, one.started) for one in jobs)
    assert where == [(1, 0), (2, 0), (3, HOUR), (3, HOUR)]
    assert lab.reasons[Reason.DEARER]
