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

from calculations.models import Attempt, Calculation, Event, Run
from calculations.services import execution, lifecycle
from calculations.states import ACTIVE, LEASED_RUNS, TERMINAL, TERMINAL_RUNS
from clusters import leases, placement
from clusters.models import Cluster
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
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        deadline = time.monotonic() + 10
        while True:
            with connection.cursor() as cursor:
                cursor.execute(waits)
                if cursor.fetchone():
                    break
            assert time.monotonic() < deadline
        free = calculation.runs.select_for_update(nowait=True, no_key=True)
        assert len(free) == 4
    talking.join(10)
    assert [run.progress["done"] for run in calculation.runs.all()] == [1] * 4


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
