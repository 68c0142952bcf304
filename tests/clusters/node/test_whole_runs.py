"""Whole runs by a real node over a real broker, Redis and RabbitMQ, while parts are killed.

The nodes of these labs find no Django that they could import (bench/stack.py).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from clusters.node.messages import Kind, Message, pack, prefix_of, signing_key, unpack
from clusters.node.worker import NodeWorker
from tests.brokers import RabbitMQ, rabbitmq
from tests.chaos.book import until
from tests.chaos.lab import Lab, open_lab

pytestmark = pytest.mark.xdist_group("node")
STRANGER = "5ea1ab1e"


@pytest.fixture(scope="module")
def over_redis() -> Iterator[Lab]:
    with open_lab("queue", LABPORTAL_LEASE_S="60") as lab:
        yield lab


@pytest.fixture
def lab(over_redis: Lab) -> Iterator[Lab]:
    over_redis.begin()
    yield over_redis
    over_redis.tidy()


def test_runs_and_their_files_come_through(lab: Lab) -> None:
    works = lab.submit(count=6, keep=300_000)
    lab.ended_once(*works)
    sizes = "SELECT size FROM calculations_outputfile WHERE name = 'kept.txt'"
    assert [size for (size,) in lab.ask(sizes)] == [300_000] * 6


def test_a_run_is_cancelled_at_once_by_a_wake(lab: Lab) -> None:
    (work,) = lab.submit("run")
    until(lambda: work.began("run"), "the program runs")
    began = time.monotonic()
    assert lab.cancel(work)
    until(lambda: lab.state(work) == "cancelled", lambda: lab.story(work))
    assert time.monotonic() - began < 15  # an idle node asks by itself after 25 s only


def test_a_killed_node_finds_its_programs_again(lab: Lab) -> None:
    works = lab.submit("run", count=2)
    until(lambda: all(work.began("run") for work in works), "the programs run")
    lab.kill("agent")
    lab.restart("agent")
    for work in works:
        work.release()
    lab.ended_once(*works)


def test_a_stopped_node_ends_within_five_seconds_and_its_program_goes_on(lab: Lab) -> None:
    (work,) = lab.submit("run")
    until(lambda: work.began("run"), "the program runs")
    process = lab.stack.processes[lab.here.agent]
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert time.monotonic() - began < 5
    exits = lab.exits()
    work.release()
    until(lambda: lab.exits() == exits + 1, "the program ends without the node")
    lab.restart("agent")
    lab.ended_once(work)


def test_portal_workers_killed_in_the_middle_of_exchanges_lose_and_double_nothing(
    lab: Lab,
) -> None:
    works = lab.submit(count=12)
    for _ in range(3):
        time.sleep(0.2)
        for name in ("worker", "carriers"):
            lab.kill(name)
            lab.restart(name)
    lab.ended_once(*works)


def test_a_lost_broker_is_waited_for(lab: Lab) -> None:
    works = lab.submit("run", count=2)
    until(lambda: all(work.began("run") for work in works), "the programs run")
    lab.kill("redis")
    for work in works:
        work.release()
    until(lambda: "broker cannot be reached" in node_log(lab), "the node says so")
    lab.restart("redis")
    lab.ended_once(*works)


def node_log(lab: Lab) -> str:
    return (lab.stack.work(0) / "agent.log").read_text()


def test_a_second_node_with_the_same_key_disturbs_nothing(lab: Lab) -> None:
    lab.stack.start_node(0, name="second")
    log = lab.stack.home / "work-second" / "agent.log"
    refused = "the portal listens to another agent"
    until(lambda: log.exists() and refused in log.read_text(), "the second is refused")
    works = lab.submit(count=4)
    lab.ended_once(*works)
    assert not list((lab.stack.home / "work-second" / "runs").iterdir())
    lab.stack.kill("second")


class Stranger:
    """Somebody at the broker; with the key, and without."""

    def __init__(self, lab: Lab) -> None:
        _, self.node, self.secret = lab.stack.keys[0]
        self.heard: list[Any] = []
        self.worker = NodeWorker(lab.stack.broker, self.node, STRANGER, self.heard.append)
        self.at_ms = 0

    def request(self, number: int, *, key: bytes | None = None) -> dict[str, Any]:
        self.at_ms = max(self.at_ms + 1, int(time.time() * 1000))
        asked = {"protocol": 1, "agent": {"id": "stranger"}}
        message = Message(
            Kind.REQUEST,
            self.node,
            prefix_of(self.secret),
            f"n{number}",
            self.at_ms,
            asked,
            STRANGER,
        )
        return pack(message, key or signing_key(self.secret))

    def answers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for envelope in list(self.heard):
            answer = unpack(envelope, signing_key(self.secret))
            found.setdefault(answer.id, []).append(str(answer.document.get("code")))
        return found


def test_forged_doubled_and_reordered_requests_through_the_broker_are_taken_once_or_never(
    lab: Lab,
) -> None:
    stranger = Stranger(lab)
    works = lab.submit("run", count=1)
    lab.reach(works[0], "running")
    stranger.worker.start()
    guess = signing_key(stranger.secret[:-4] + "aaaa")
    forged, first, second = (
        stranger.request(0, key=guess),
        stranger.request(1),
        stranger.request(2),
    )
    for envelope in (forged, second, second, first):
        stranger.worker.publish(envelope)
        time.sleep(0.3)
    until(lambda: sum(map(len, stranger.answers().values())) >= 3, "the portal has answered")
    assert stranger.answers() == {"n2": ["other-agent", "stale"], "n1": ["stale"]}
    stranger.worker.stop()
    works[0].release()
    lab.ended_once(*works)


@pytest.mark.rabbitmq
def test_the_same_over_rabbitmq_which_is_killed_on_the_way() -> None:
    with (
        rabbitmq() as broker,
        open_lab("queue", LABPORTAL_LEASE_S="60", CELERY_BROKER_URL=broker.url) as lab,
    ):
        lab.ended_once(*lab.submit(count=4, keep=200_000))
        held = lab.submit("run", count=2)
        until(lambda: all(work.began("run") for work in held), "the programs run")
        _restart(broker)
        lab.kill("agent")
        lab.restart("agent")
        for work in held:
            work.release()
        lab.ended_once(*held)
        (cancelled,) = lab.submit("run")
        until(lambda: cancelled.began("run"), "the program runs")
        lab.cancel(cancelled)
        until(lambda: lab.state(cancelled) == "cancelled", lambda: lab.story(cancelled))


def _restart(broker: RabbitMQ) -> None:
    broker.kill()
    broker.start()
