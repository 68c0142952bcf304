"""Rules of one round of placement that hold whatever waits: found by trying thousands of rounds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from calculations.software.base import Resources
from clusters.fairshare import Ledger, decayed
from clusters.ranking import Ask, Plan, Round, Rules, Shape, seats_of
from clusters.rooms import Free, Leased, Room

NOW = 1_000_000.0
RULES = Rules(aging_s=3600.0, per_user=5, per_project=8, seats={"matlab": 3})

needs = st.builds(
    Resources,
    cores=st.integers(1, 8),
    memory_mib=st.sampled_from([16, 1024, 8192]),
    walltime_s=st.sampled_from([60, 600, 7200]),
    gpus=st.integers(0, 2),
    exclusive=st.booleans(),
    licences=st.sampled_from([(), ("matlab:1",), ("matlab:2",), ("of-the-site",)]),
)
accounts = st.tuples(st.integers(1, 3), st.integers(1, 5))


@st.composite
def rooms(draw: st.DrawFn) -> list[Room]:
    return [
        Room(
            key,
            f"site-{key}",
            slots,
            Free(
                slots,
                cores=draw(st.integers(1, 16)),
                memory_mib=draw(st.sampled_from([2048, 65536])),
                gpus=draw(st.integers(0, 3)),
                alone=max(1, slots),
            ),
            price_core=draw(st.sampled_from([0.0, 1.0, 1.1, 3.0])),
            per_user=draw(st.none() | st.integers(1, 3)),
            bounded=True,
        )
        for key in range(1, draw(st.integers(1, 3)) + 1)
        for slots in [draw(st.integers(0, 6))]
    ]


@st.composite
def rounds(draw: st.DrawFn) -> tuple[list[Room], list[Ask], Ledger, list[Leased]]:
    found = draw(rooms())
    leased = []
    for account, need in draw(st.lists(st.tuples(accounts, needs), max_size=3)):
        fitting = [room for room in found if room.free.fits(need)]
        if fitting:
            elapsed_s = draw(st.sampled_from([0.0, 30.0, 9000.0]))
            fitting[0].take(account, need, now=NOW, elapsed_s=elapsed_s)
            leased.append(Leased(account, need, elapsed_s))
    shapes = []
    for need in draw(st.lists(needs, min_size=1, max_size=5, unique=True)):
        able = sorted(((room, room.price(need)) for room in found), key=lambda one: one[1])
        shapes.append(Shape(need, tuple(able), seats=seats_of(need, RULES.seats)))
    asks = [
        Ask(key, account, priority, NOW - age, key, shapes[kind % len(shapes)])
        for key, (account, priority, age, kind) in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        accounts, st.integers(-1, 1), st.integers(0, 9000), st.integers(0, 4)
                    ),
                    max_size=25,
                )
            )
        )
    ]
    used = draw(st.dictionaries(accounts, st.floats(0, 1e6), max_size=4))
    return found, asks, Ledger(used, {ask.account for ask in asks}, {1: 1.0, 2: 4.0}), leased


def handed_out(case: tuple[list[Room], list[Ask], Ledger, list[Leased]]) -> Plan:
    found, asks, ledger, leased = case
    return Round(found, leased, RULES, now=NOW).hand_out(asks, ledger)


@given(rounds())
@settings(max_examples=150, deadline=None)
def test_each_run_is_placed_or_waits_for_a_reason_and_nothing_is_given_twice(case) -> None:
    plan = handed_out(case)
    placed, waiting = [a.key for a, _ in plan.placed], [a.key for a, _ in plan.waiting]
    assert sorted(placed + waiting) == sorted(ask.key for ask in case[1])
    for room in case[0]:
        free = room.free
        assert min(free.slots, free.cores, free.memory_mib, free.gpus) >= 0
        assert not room.per_user or max(room.users.values(), default=0) <= max(
            room.per_user,
            max((sum(1 for o in case[3] if o.account[1] == u) for u in room.users), default=0),
        )


@given(rounds())
@settings(max_examples=150, deadline=None)
def test_caps_of_the_lab_hold(case) -> None:
    before: dict[tuple[str, int], int] = {}
    for one in case[3]:
        for name, key in (("project", one.account[0]), ("user", one.account[1])):
            before[name, key] = before.get((name, key), 0) + 1
    plan = handed_out(case)
    after = dict(before)
    seats = sum(dict(seats_of(one.need, RULES.seats)).get("matlab", 0) for one in case[3])
    taken_before = seats
    for ask, _ in plan.placed:
        for name, key in (("project", ask.account[0]), ("user", ask.account[1])):
            after[name, key] = after.get((name, key), 0) + 1
        seats += dict(ask.shape.seats).get("matlab", 0)
    caps = {"user": RULES.per_user, "project": RULES.per_project}
    for (name, key), count in after.items():
        assert count <= max(caps[name], before.get((name, key), 0))
    assert seats <= max(3, taken_before)


@given(rounds())
@settings(max_examples=150, deadline=None)
def test_of_runs_that_are_alike_the_older_goes_first(case) -> None:
    plan = handed_out(case)
    placed = {ask.key for ask, _ in plan.placed}
    for ask in case[1]:
        for other in case[1]:
            alike = (ask.account, ask.priority, ask.shape) == (
                other.account,
                other.priority,
                other.shape,
            )
            patient = NOW - other.queued < RULES.dearer_after_s
            same_patience = patient == (NOW - ask.queued < RULES.dearer_after_s)
            if alike and same_patience and (ask.queued, ask.index) < (other.queued, other.index):
                assert ask.key in placed or other.key not in placed


@given(rounds())
@settings(max_examples=150, deadline=None)
def test_the_queue_is_looked_at_in_its_order(case) -> None:
    """Higher priorities first; within one, who has waited a whole aging time longer first."""
    seen: list[Ask] = []

    class Watched(Round):
        def _place(self, ask):
            seen.append(ask)
            return super()._place(ask)

    found, asks, ledger, leased = case
    Watched(found, leased, RULES, now=NOW).hand_out(asks, ledger)
    assert [a.priority for a in seen] == sorted((a.priority for a in asks), reverse=True)
    for place, later in enumerate(seen):
        for earlier in seen[:place]:
            if earlier.priority == later.priority:
                assert later.queued >= earlier.queued - RULES.aging_s - 1e-6


@given(rounds())
@settings(max_examples=150, deadline=None)
def test_what_passes_a_reservation_does_not_put_it_off(case) -> None:
    """Where room was kept, the first run that did not fit still fits at that time."""
    handed_out(case)
    for room in case[0]:
        if room.reserved_for is not None:
            opening = room.opening(room.reserved_for)
            assert opening is not None
            assert opening[0] <= room.reserved_at


@given(st.floats(0, 1e9), st.floats(0, 1e7), st.floats(1, 1e7))
def test_use_halves_with_each_half_life(core_s: float, age_s: float, half_life_s: float) -> None:
    left = decayed(core_s, age_s=age_s, half_life_s=half_life_s)
    again = decayed(left, age_s=half_life_s, half_life_s=half_life_s)
    assert 0 <= left <= core_s
    assert abs(again - left / 2) <= 1e-9 * max(1.0, left)


@given(st.dictionaries(accounts, st.floats(1, 1e6), min_size=2), accounts, st.floats(1, 1e6))
def test_who_uses_more_falls_back_and_nobody_else_does(used, account, more: float) -> None:
    present = {*used, account}
    ledger = Ledger(used, present)
    before = {one: ledger.factor(one) for one in present}
    ledger.charge(account, more)
    after = {one: ledger.factor(one) for one in present}
    assert after[account] <= before[account] + 1e-12 or used.get(account, 0) == sum(used.values())
    for one in present:
        assert 0 <= after[one] <= 1
        if one[0] != account[0]:
            assert after[one] >= before[one] - 1e-12
