"""When a server counts as broken: not while it answers calls, and only after three probes."""

from __future__ import annotations

import pytest

from clusters.agent.runtimes.base import Status
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.serving.conftest import Node
from tests.clusters.agent.serving.fakes import World, make_spec


@pytest.mark.parametrize("ping", [500, "hang"])
def test_three_failed_probes_restart_a_model(
    node: Node, portal: FakePortal, world: World, ping: int | str
) -> None:
    replica = node.serves(make_spec())
    world.script(replica).ping = ping
    entry = portal.until_model(replica, "unhealthy")
    assert entry["ping"]["failed"] in (1, 2, 3)
    words = "/ping answered 500" if ping == 500 else "/ping: no answer within 0.2 s"
    assert words in entry["why"]
    portal.until_model(replica, "backing_off")
    assert portal.model(replica)["why"] == f"{words} (3 of 3 times)"
    world.script(replica).ping = 200
    entry = portal.until_model(replica, "ready")
    assert entry["restarts"] >= 1
    assert world.of(replica)[0].signals == ["TERM"]


def test_a_failed_probe_or_two_are_forgotten_by_a_good_one(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = node.serves(make_spec(failures=1000))
    world.script(replica).ping = 500
    portal.until_model(replica, "unhealthy")
    world.script(replica).ping = 200
    entry = portal.until_model(replica, "ready", why="")
    assert entry["ping"]["failed"] == 0
    assert entry["launch"] == 1


def test_probes_that_fail_while_calls_are_answered_do_not_count(
    node: Node, portal: FakePortal, world: World
) -> None:
    replicas = [portal.want_model(make_spec()) for _ in range(2)]
    portal.traffic[replicas[0]] = {"in_flight": 1, "answered_s": None}
    portal.traffic[replicas[1]] = {"in_flight": 0, "answered_s": 5.0}
    node.start()
    for replica in replicas:
        portal.until_model(replica, "ready")
    asked = len(portal.requests)
    portal.until(lambda: len(portal.requests) > asked)
    for replica in replicas:
        world.script(replica).ping = 500
    why = "/ping answered 500"
    portal.until(lambda: all(portal.model(one)["ping"]["why"] == why for one in replicas))
    asked = len(portal.requests)
    portal.until(lambda: len(portal.requests) > asked)
    for replica in replicas:
        entry = portal.model(replica)
        assert (entry["state"], entry["launch"]) == ("ready", 1)


def test_a_model_that_dies_is_started_again_with_its_memory_named(
    node: Node, portal: FakePortal, world: World
) -> None:
    node.serving["backoff_s"] = "100"
    replica = node.serves(make_spec(memory_mib=1536))
    world.end(world.of(replica)[0], Status(False, signal=9, out_of_memory=True))
    entry = portal.until_model(replica, "backing_off")
    assert entry["why"] == "it was killed: it needs more than its 1,536 MiB of memory"
    assert entry["exit"] == {"code": None, "signal": 9, "out_of_memory": True}


def test_a_model_that_is_never_ready_ends_with_its_start_up_window(
    node: Node, portal: FakePortal, world: World
) -> None:
    node.serving["backoff_s"] = "100"
    spec = make_spec(startup_s=0.5)
    world.script(spec["replica"]).ping = "closed"
    replica = portal.want_model(spec)
    node.start()
    entry = portal.until_model(replica, "backing_off")
    assert entry["why"] == (
        "it was not ready within 0.5 s; last: /ping: nothing listens on its port"
    )


def test_without_calls_the_example_finds_a_dead_model_behind_a_good_ping(
    node: Node, portal: FakePortal, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.agent.serving_health.CHECK_EVERY_S", 0.05)
    monkeypatch.setattr("clusters.agent.serving_health.CHECK_AGAIN_S", 0.01)
    spec = make_spec(check={"content_type": "application/json", "body": "{}"})
    node.serving["backoff_s"] = "100"
    replica = node.serves(spec)
    world.script(replica).example = 500
    entry = portal.until_model(replica, "backing_off")
    assert "the example was answered 500 (3 times in a row, though /ping is good)" in entry["why"]


def test_use_of_a_model_is_told(node: Node, portal: FakePortal, world: World) -> None:
    replica = node.serves(make_spec())
    portal.until(lambda: portal.model(replica)["usage"].get("memory_mib") == 100.0)
