"""Exchanges, placement, cancels, retries and the lease watch at the same time on the same work.

Nothing may deadlock, nothing may end twice, and a calculation always says what its runs say.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from calculations.models import Attempt, Calculation, Event, Run
from calculations.services import execution, lifecycle
from calculations.services.announcements import announce
from calculations.states import ACTIVE, LEASED_RUNS, TERMINAL, TERMINAL_RUNS
from clusters import leases, placement
from clusters.calling import call
from clusters.models import HELD_AFTER, Cluster
from clusters.services import operation
from labportal.accounts.models import User
from labportal.common.clock import now
from labportal.common.errors import WrongMoment
from tests.calculations.factories import chain, submitted
from tests.clusters.factories import Agent, cluster, finished

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 4.0
SWEEP = {"parameter": "value", "values": [0, 1, 2, 3], "mode": "independent"}


class Threads:
    """Repeats things at the same time for a while, and keeps what they raise."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.counts: dict[str, int] = {}
        self._threads: list[threading.Thread] = []

    def repeat(self, name: str, work: Callable[[random.Random], Any]) -> None:
        def loop() -> None:
            deadline = time.monotonic() + SECONDS
            dice = random.Random(name)  # noqa: S311 - the same each time
            try:
                while time.monotonic() < deadline and not self.errors:
                    work(dice)
                    self.counts[name] = self.counts.get(name, 0) + 1
            except BaseException as error:
                self.errors.append(error)
            finally:
                connection.close()

        self._threads.append(threading.Thread(target=loop, name=name))

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            thread.join(SECONDS + 30)
        assert not any(thread.is_alive() for thread in self._threads)
        assert not self.errors, self.errors


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for_a_lock() -> None:
    """Wait until another thread waits for a lock that this one holds."""
    ours = (
        "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    deadline = time.monotonic() + 10
    while True:
        with connection.cursor() as cursor:
            cursor.execute(ours)
            if cursor.fetchone():
                return
        assert time.monotonic() < deadline


def talk(agent: Agent, dice: random.Random) -> None:
    """One exchange of an agent that has done something; another thread of it knows other things."""
    for run, entry in list(agent.runs.items()):
        if entry["state"] in ("finished", "lost", "cancelled"):
            continue
        fate = dice.random()
        if fate < 0.3:
            agent.tell(run, "finished", **finished(dice.choice(["valid", "valid", "not_valid"])))
        elif fate < 0.35:
            agent.tell(run, "lost", why="the node went away")
        elif fate < 0.8:
            done = {"done": dice.randrange(100), "of": 100, "what": "step"}
            agent.tell(run, "running", progress=done)
    answer = agent.exchange()
    for item in answer.document["runs"]:
        if item["verb"] == "cancel" and dice.random() < 0.7:
            entry = {"run": item["run"], "attempt": item["attempt"]}
            agent.runs[item["run"]] = {**entry, "state": "cancelled", "why": "asked"}


def interfere(person: User, dice: random.Random) -> None:
    calculation = dice.choice(list(Calculation.objects.all()))
    verb = dice.choice([lifecycle.cancel, lifecycle.retry, lifecycle.retry])
    try:
        if dice.random() < 0.1:
            lifecycle.set_priority(calculation, dice.randrange(100), actor=person)
        else:
            verb(calculation, actor=person)
    except WrongMoment:
        pass


def let_leases_end(dice: random.Random) -> None:
    leased = list(Run.objects.filter(state__in=LEASED_RUNS).values_list("pk", flat=True))
    if leased:
        late = now() - timedelta(seconds=1)
        Run.objects.filter(pk=dice.choice(leased)).update(lease_expires_at=late)
    leases.expire_leases()
    time.sleep(0.02)


def close_and_open(person: User, dice: random.Random) -> None:
    """What admins do, and a circuit breaker that opens with the next run that is lost."""
    site = dice.choice(list(Cluster.objects.all()))
    if dice.random() < 0.5:
        operation.drain(site, note="a new disk", actor=person)
    else:
        Cluster.objects.filter(pk=site.pk).update(lost_in_a_row=HELD_AFTER)
    time.sleep(0.02)
    operation.enable(site, actor=person)
    operation.release(site, actor=person)


def consistent(calculation: Calculation) -> bool:
    """The calculation's state is the roll-up of its runs' states."""
    states = set(calculation.runs.values_list("state", flat=True))
    if not states <= TERMINAL_RUNS:
        return calculation.state in ACTIVE
    worst = next(s for s in ("failed", "not_valid", "cancelled", "valid") if s in states)
    return calculation.state in {worst, "cancelled" if "cancelled" in states else worst}


def test_everything_at_once(root: User) -> None:
    metis, tesla = cluster("metis", slots=6), cluster("tesla", slots=6)
    for number in range(4):
        submitted(root, name=f"single {number}")
        submitted(root, name=f"sweep {number}", sweep=SWEEP)
        chain(root, name=f"chain {number}")
    threads = Threads()
    for site in (metis, tesla):
        agents = [Agent(site, root, agent_id=site.name) for _ in range(2)]
        for number, agent in enumerate(agents):
            threads.repeat(f"{site.name} {number}", lambda dice, a=agent: talk(a, dice))
    threads.repeat("placement", lambda dice: placement.place())
    threads.repeat("people", lambda dice: interfere(root, dice))
    threads.repeat("more people", lambda dice: interfere(root, dice))
    threads.repeat("admins", lambda dice: close_and_open(root, dice))
    threads.repeat("lease watch", let_leases_end)
    threads.run()
    assert min(threads.counts.values()) > 10, threads.counts

    assert [str(c) for c in Calculation.objects.all() if not consistent(c)] == []
    finish_all(root)
    assert [str(c) for c in Calculation.objects.all() if not consistent(c)] == []
    assert set(Calculation.objects.values_list("state", flat=True)) <= TERMINAL
    for run in Run.objects.all():
        ended = Attempt.objects.filter(run=run, ending=Attempt.Ending.FINISHED)
        finishes = Event.objects.filter(run=run, verb__startswith="finish_")
        assert ended.count() == finishes.count()
        valid = Event.objects.filter(run=run, verb="finish_valid").count()
        assert valid == (run.state == "valid")


def finish_all(root: User) -> None:
    """Let every lease end, then carry out what is left by one agent that does as it is told."""
    Run.objects.filter(state__in=LEASED_RUNS).update(lease_expires_at=now() - timedelta(seconds=1))
    leases.expire_leases()
    Cluster.objects.update(enabled=False)
    site = cluster("last", slots=50)
    Run.objects.exclude(cluster=None).update(cluster=site)
    agent = Agent(site, root)
    for _ in range(40):
        if not Calculation.objects.filter(state__in=ACTIVE).exists():
            return
        placement.place()
        agent.exchange()
        for run in agent.runs:
            agent.tell(run, "finished", **finished())
        agent.exchange()
    raise AssertionError("work is left")


def test_placement_holds_no_run_while_it_waits_for_a_cluster(ada: User) -> None:
    """Or an exchange (holds its cluster), a cancel and placement wait for one another in turn."""
    site = cluster()
    calculation = submitted(ada)
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=site.pk)
        placing = in_thread(placement.place)
        deadline = time.monotonic() + 10
        while not calculation.runs.filter(state="assigned").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    placing.join(10)
    assert Cluster.objects.get().desired == 1


def test_progress_waits_for_whoever_works_on_the_calculation(root: User) -> None:
    """A cancel holds the calculation first and then its runs, and so must an exchange."""
    agent = Agent(cluster(slots=4), root)
    calculation = submitted(root, sweep=SWEEP)
    placement.place()
    agent.exchange()
    for run in agent.runs:
        agent.tell(run, "running")
    agent.exchange()
    for run in agent.runs:
        agent.tell(run, "running", progress={"done": 1, "of": 2, "what": "step"})
    with transaction.atomic():
        Calculation.objects.select_for_update(no_key=True).get(pk=calculation.pk)
        talking = in_thread(agent.exchange)
        wait_for_a_lock()
        free = calculation.runs.select_for_update(nowait=True, no_key=True)
        assert len(free) == 4
    talking.join(10)
    assert [run.progress["done"] for run in calculation.runs.all()] == [1] * 4


def test_what_is_taken_back_is_locked_in_order_with_all_else(root: User) -> None:
    """Or two exchanges that take back and take in at the same time wait for one another."""
    site = cluster(slots=4)
    agent = Agent(site, root)
    first, second = submitted(root), submitted(root)
    placement.place()
    agent.exchange()
    operation.drain(site, actor=root)
    del agent.runs[str(first.runs.get().pk)]  # it did not hear of it
    agent.tell(second.runs.get().pk, "finished", **finished())
    with transaction.atomic():
        Calculation.objects.select_for_update(no_key=True).get(pk=first.pk)
        talking = in_thread(agent.exchange)
        wait_for_a_lock()
        Calculation.objects.select_for_update(nowait=True, no_key=True).get(pk=second.pk)
    talking.join(10)
    assert [c.runs.get().state for c in (first, second)] == ["queued", "valid"]


def test_what_was_purged_is_locked_in_order_with_all_else(root: User) -> None:
    agent = Agent(cluster(slots=4), root)
    first, second = submitted(root), submitted(root)
    placement.place()
    agent.exchange()
    agent.tell(first.runs.get().pk, "finished", **finished())
    agent.exchange()
    agent.tell(second.runs.get().pk, "finished", **finished())
    purged = [{"run": str(first.runs.get().pk), "attempt": 1, "count": 1, "bytes": 10}]
    with transaction.atomic():
        Calculation.objects.select_for_update(no_key=True).get(pk=first.pk)
        talking = in_thread(lambda: agent.exchange(purged=purged))
        wait_for_a_lock()
        Calculation.objects.select_for_update(nowait=True, no_key=True).get(pk=second.pk)
    talking.join(10)
    assert first.runs.get().purged_at is not None


def test_an_exchange_that_holds_the_audit_trail_waits_for_nothing_more(root: User) -> None:
    """Or whoever holds what it wants, and has something to put on record, waits for it."""
    site = cluster(slots=4, lost_in_a_row=HELD_AFTER)
    agent = Agent(site, root)
    lost, unbegun = submitted(root).runs.get(), submitted(root).runs.get()
    execution.assign([(lost, site), (unbegun, site)], expires_at=now() + timedelta(hours=1))
    agent.exchange()
    agent.tell(lost.pk, "lost", why="the node went away")
    with CaptureQueriesContext(connection) as queries:
        agent.exchange()
    assert Cluster.objects.get().held_at is not None
    said = [query["sql"] for query in queries]
    since = next(i for i, sql in enumerate(said) if "pg_advisory_xact_lock" in sql)
    tables = [model._meta.db_table for model in (Calculation, Run, Cluster)]
    later = said[since:]
    assert not [q for q in later if q.startswith("UPDATE") and any(t in q for t in tables)]
    assert not [q for q in later if "FOR NO KEY UPDATE" in q]


def test_clusters_are_called_in_order(db: None) -> None:
    """Or two who call the same clusters wait for one another."""
    first, second = cluster("first"), cluster("second")
    Cluster.objects.filter(pk=first.pk).update(name="zeta")  # is stored behind the other since
    with transaction.atomic():
        Cluster.objects.select_for_update(no_key=True).get(pk=first.pk)
        calling = in_thread(lambda: call([second.pk, first.pk]))
        wait_for_a_lock()
        Cluster.objects.select_for_update(nowait=True, no_key=True).get(pk=second.pk)
    calling.join(10)
    assert [site.desired for site in Cluster.objects.all()] == [1, 1]


def test_ends_are_announced_in_the_order_of_locks(root: User) -> None:
    """Or an exchange that holds one of two calculations, and wants the other, waits for ever."""
    first, second = submitted(root), submitted(root)
    for calculation in (second, first):
        lifecycle.cancel(calculation, actor=root)
    Calculation.objects.update(announced_at=None)
    Calculation.objects.filter(pk=first.pk).update(description="stored behind the other since")
    with transaction.atomic():
        Calculation.objects.select_for_update(no_key=True).get(pk=first.pk)
        announcing = in_thread(lambda: announce([first.pk, second.pk]))
        wait_for_a_lock()
        Calculation.objects.select_for_update(nowait=True, no_key=True).get(pk=second.pk)
    announcing.join(10)
    assert not Calculation.objects.filter(announced_at=None).exists()


def test_a_run_that_is_lost_hears_of_a_cancel_that_came_meanwhile(ada: User) -> None:
    cluster()
    calculation = submitted(ada)
    placement.place()
    read_before = calculation.runs.get()
    lifecycle.cancel(calculation, actor=ada)
    with transaction.atomic():
        execution.lose([(read_before, "the node went away")], actor="test")
    assert calculation.runs.get().state == "cancelled"
    assert Calculation.objects.get().state == "cancelled"
