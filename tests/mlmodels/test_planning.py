"""What is planned for the replicas of a model: pure, so that every order of events can be tried."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mlmodels.planning import DRAIN_LEAST_S, Plan, Standing, Wanted, plan

OLD, NEW = 1, 2
RUNNING = Wanted(running=True, kept=True, current=OLD, serving=OLD, count=1, drain_s=70)
UPDATING = replace(RUNNING, current=NEW)


def one(version: int = OLD, **fields: object) -> Standing:
    values = {"stopped": False, "answers": True, **fields}
    return Standing(id=uuid.uuid4(), version=version, **values)  # type: ignore[arg-type]


def test_what_is_missing_is_planned() -> None:
    assert plan(replace(RUNNING, count=3), [one()]).missing == 2


def test_nothing_is_done_where_all_is_well() -> None:
    assert plan(RUNNING, [one()]) == Plan()


def test_a_replica_that_was_given_up_keeps_its_place() -> None:
    """Else a broken model would be tried on one node after the other for ever."""
    made = plan(RUNNING, [one(answers=False, given_up=True)])
    assert made.missing == 0 and not made.remove


def test_of_too_many_the_ones_go_that_answer_least() -> None:
    well, ill = one(age_s=5), one(answers=False, age_s=500)
    assert plan(RUNNING, [ill, well]).remove == [ill.id]
    young, old = one(age_s=5), one(age_s=500)
    assert plan(RUNNING, [young, old]).drain == [young.id]


def test_a_stopped_model_keeps_its_replicas_for_the_next_start() -> None:
    current, other = one(), one(NEW)
    made = plan(replace(RUNNING, running=False), [current, other])
    assert (made.stop, made.remove, made.missing) == ([current.id], [other.id], 0)


def test_a_deleted_model_keeps_none() -> None:
    rows = [one(), one(stopped=True, answers=False)]
    made = plan(replace(RUNNING, running=False, kept=False), rows)
    assert made.remove == [r.id for r in rows] and not made.stop


def test_a_stopped_replica_may_be_taken_again() -> None:
    put_by = one(stopped=True, answers=False)
    made = plan(RUNNING, [put_by])
    assert (made.missing, made.spare) == (1, [put_by.id])


def test_the_old_version_answers_until_the_new_one_does() -> None:
    old, new = one(OLD), one(NEW, answers=False)
    made = plan(UPDATING, [old, new])
    assert not (made.switch or made.drain or made.remove)
    made = plan(UPDATING, [old, replace(new, answers=True)])
    assert made.switch and made.drain == [old.id] and not made.remove


def test_as_many_new_ones_are_awaited_as_old_ones_answer() -> None:
    wanted = replace(UPDATING, count=2)
    old, new = [one(OLD), one(OLD)], [one(NEW), one(NEW, answers=False)]
    assert not plan(wanted, old + new).switch
    assert plan(wanted, [old[0], replace(old[1], answers=False), *new]).switch


def test_a_version_that_does_not_answer_is_followed_by_the_first_that_does() -> None:
    old, new = one(OLD, answers=False), one(NEW)
    made = plan(replace(UPDATING, count=3), [old, new])
    assert made.switch and made.remove == [old.id]


def test_going_back_before_the_switch_ends_the_new_one_alone() -> None:
    old, new = one(OLD), one(NEW, answers=False)
    made = plan(RUNNING, [old, new])
    assert made.remove == [new.id] and not (made.switch or made.drain or made.missing)


def test_calls_under_way_are_awaited_before_a_replica_ends() -> None:
    drains = one(OLD, drains_s=DRAIN_LEAST_S, in_flight=2)
    assert plan(UPDATING, [drains]).remove == []
    assert plan(UPDATING, [replace(drains, in_flight=0)]).remove == [drains.id]
    assert plan(UPDATING, [replace(drains, drains_s=71)]).remove == [drains.id]


def test_a_draining_replica_waits_until_all_proxies_have_heard() -> None:
    drains = one(OLD, drains_s=DRAIN_LEAST_S / 2, in_flight=0)
    assert plan(UPDATING, [drains]).remove == []


def test_where_nobody_knows_the_calls_a_replica_gets_all_its_time() -> None:
    drains = one(OLD, drains_s=60, in_flight=None)
    assert plan(UPDATING, [drains]).remove == []
    assert plan(UPDATING, [replace(drains, drains_s=70)]).remove == [drains.id]


def test_a_replica_on_a_lost_cluster_is_replaced_before_it_goes() -> None:
    lost = one(stays=False)
    made = plan(RUNNING, [lost])
    assert made.missing == 1 and not (made.drain or made.remove)
    made = plan(RUNNING, [lost, one(answers=False)])
    assert not (made.missing or made.drain or made.remove)
    assert plan(RUNNING, [lost, one()]).drain == [lost.id]


def test_a_lost_replica_that_does_not_answer_goes_once_another_is_placed() -> None:
    lost = one(stays=False, answers=False)
    assert plan(RUNNING, [lost]).remove == []
    assert plan(RUNNING, [lost, one(answers=False)]).remove == [lost.id]


def test_an_update_without_room_may_take_the_place_of_one_of_several() -> None:
    old = [one(OLD, age_s=9), one(OLD, age_s=1)]
    assert plan(replace(UPDATING, count=2), old).squeezable == [old[1].id, old[0].id]
    assert plan(UPDATING, old[:1]).squeezable == []


@dataclass
class World:
    """Nodes that do what they are told, late, and lose what they serve at any moment."""

    wanted: Wanted
    rows: list[Standing] = field(default_factory=list)
    failed: int = 0  # moments at which nobody answered though somebody could have

    def look(self) -> Plan:
        made = plan(self.wanted, self.rows)
        gone, drain, stop = set(made.remove), set(made.drain), set(made.stop)
        self.rows = [
            replace(
                r,
                drains_s=0.0 if r.id in drain else r.drains_s,
                stopped=r.stopped or r.id in stop,
                answers=r.answers and r.id not in stop,
            )
            for r in self.rows
            if r.id not in gone
        ]
        taken = made.spare[: made.missing]
        left = set(made.spare) - set(taken)  # nobody needs them any more
        self.rows = [
            replace(r, stopped=r.stopped and r.id not in taken)
            for r in self.rows
            if r.id not in left
        ]
        for _ in range(made.missing - len(taken)):
            self.rows.append(one(self.wanted.current or 0, answers=False))
        if made.switch:
            self.wanted = replace(self.wanted, serving=self.wanted.current)
        return made

    def pass_by(self, seconds: float) -> None:
        self.rows = [
            replace(
                r,
                age_s=r.age_s + seconds,
                drains_s=None if r.drains_s is None else r.drains_s + seconds,
            )
            for r in self.rows
        ]

    @property
    def answers(self) -> bool:
        return any(
            r.answers and not r.stopped and r.drains_s is None and r.version == self.wanted.serving
            for r in self.rows
        )


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deploy"), st.sampled_from([1, 2, 3])),
        st.tuples(st.just("ready"), st.integers(0, 9)),
        st.tuples(st.just("lose"), st.integers(0, 9)),
        st.tuples(st.just("count"), st.integers(1, 4)),
        st.tuples(st.just("stop"), st.just(0)),
        st.tuples(st.just("start"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 100)),
        st.tuples(st.just("look"), st.just(0)),
    ),
    max_size=30,
)


def step(world: World, what: str, number: int) -> None:
    if what == "deploy":
        world.wanted = replace(world.wanted, current=number)
    elif what == "count":
        world.wanted = replace(world.wanted, count=number)
    elif what in ("stop", "start"):
        world.wanted = replace(world.wanted, running=what == "start")
    elif what == "wait":
        world.pass_by(number)
    elif what == "look":
        world.look()
    elif world.rows:
        at = number % len(world.rows)
        row = world.rows[at]
        if what == "ready" and not row.stopped:
            world.rows[at] = replace(row, answers=True)
        elif what == "lose":
            world.rows[at] = replace(row, stays=False)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_whatever_happened_all_ends_as_it_is_wanted(steps: list[tuple[str, int]]) -> None:
    world = World(RUNNING)
    for what, number in steps:
        step(world, what, number)
    world.wanted = replace(world.wanted, running=True)
    for _ in range(12):
        world.look()
        world.rows = [replace(r, answers=not r.stopped) for r in world.rows]
        world.pass_by(100)
    assert world.wanted.serving == world.wanted.current
    assert [r.version for r in world.rows] == [world.wanted.current] * world.wanted.count
    assert all(r.stays and r.answers and not r.stopped for r in world.rows)
    assert world.look() == Plan()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["deploy", "ready", "look", "wait"]), st.integers(1, 3))))
def test_no_deploy_ever_leaves_a_call_without_an_answer(steps: list[tuple[str, int]]) -> None:
    world = World(RUNNING, [one()])
    for what, number in steps:
        step(world, what, number)
        assert world.answers


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_a_model_that_is_deleted_leaves_nothing_behind(steps: list[tuple[str, int]]) -> None:
    world = World(RUNNING)
    for what, number in steps:
        step(world, what, number)
    world.wanted = replace(world.wanted, running=False, kept=False)
    world.look()
    world.pass_by(100)
    world.look()
    assert world.rows == []
