"""An agent that comes back finds what it has started, and nothing is started twice or left over."""

from __future__ import annotations

import sqlite3

from clusters.agent.protocol import ServingVerb
from clusters.agent.runtimes.base import Status
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.serving.conftest import Node
from tests.clusters.agent.serving.fakes import World, make_spec


def boots(portal: FakePortal) -> int:
    return len({request["agent"]["boot"] for request in portal.requests})


def test_a_ready_model_stays_ready_and_is_not_started_again(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = portal.want_model(make_spec())
    node.start()
    before = portal.until_model(replica, "ready")
    node.restart()
    portal.until(lambda: boots(portal) == 2 and portal.requests[-1]["serving"])
    told = [r["serving"][0]["state"] for r in portal.requests if r["serving"]]
    assert set(told[told.index("ready") :]) == {"ready"}
    pinged = portal.model(replica)["ping"]["ok_at"]
    portal.until(lambda: (portal.model(replica)["ping"]["ok_at"] or "") > (pinged or ""))
    assert portal.model(replica)["launch"] == before["launch"] == 1
    assert portal.model(replica)["ready_at"] == before["ready_at"]
    assert len(world.of(replica)) == 1


def test_a_model_that_ended_meanwhile_is_started_again(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = node.serves(make_spec())
    node.stop()
    world.end(world.of(replica)[0], Status(False, code=1))
    node.start()
    entry = portal.until_model(replica, "ready", launch=2)
    assert entry["restarts"] == 1
    assert entry["exit"]["code"] == 1


def test_a_start_that_was_meant_and_happened_is_adopted(
    node: Node, portal: FakePortal, world: World
) -> None:
    """What a kill leaves between the start and the note of its handle."""
    replica = node.serves(make_spec())
    node.stop()
    _change(node, replica, handle=None, state="starting", started_at=None, ready_at=None)
    node.start()
    assert portal.until_model(replica, "ready")["launch"] == 1
    assert len(world.of(replica)) == 1


def test_a_start_that_was_meant_and_did_not_happen_is_made_once(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = node.serves(make_spec())
    node.stop()
    [one] = world.of(replica)
    world.end(one, Status(False, code=0))
    world.running.clear()
    _change(node, replica, handle=None, state="starting", started_at=None, ready_at=None)
    node.start()
    entry = portal.until_model(replica, "ready")
    assert (entry["launch"], entry["restarts"]) == (1, 0)
    assert len(world.of(replica)) == 1


def test_a_stop_outlives_a_restart(node: Node, portal: FakePortal, world: World) -> None:
    spec = make_spec(stop_s=0.5)
    world.script(spec["replica"]).deaf = True
    replica = node.serves(spec)
    portal.tell_model(replica, ServingVerb.STOP)
    portal.until_model(replica, "stopping")
    node.restart()
    portal.until_model(replica, "stopped")
    assert world.of(replica)[0].signals[-1] == "KILL"


def test_the_pause_before_a_restart_outlives_one_of_the_agent(
    node: Node, portal: FakePortal, world: World
) -> None:
    node.serving["backoff_s"] = "100"
    spec = make_spec()
    world.script(spec["replica"]).dies = Status(False, code=3)
    replica = portal.want_model(spec)
    node.start()
    before = portal.until_model(replica, "backing_off")
    node.restart()
    portal.until(lambda: boots(portal) == 2 and portal.requests[-1]["serving"])
    assert portal.model(replica)["again_at"] == before["again_at"]
    assert len(world.of(replica)) == 1


def test_what_nobody_knows_any_more_is_ended(node: Node, portal: FakePortal, world: World) -> None:
    """As a work folder that was lost leaves it; the agent then is a new one to the portal."""
    replica = node.serves(make_spec())
    node.stop()
    portal.models.clear()
    for path in node.work.glob("journal.sqlite*"):
        path.unlink()
    node.start()
    portal.until(lambda: not world.alive(replica))


def test_a_runtime_that_gives_no_answer_ends_nothing(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = node.serves(make_spec())
    world.silent = True
    asked = len(portal.requests)
    portal.until(lambda: len(portal.requests) > asked + 3)
    assert portal.model(replica)["state"] == "ready"
    assert len(world.alive(replica)) == 1


def test_lines_of_a_model_are_sent_once_over_a_restart(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec()
    world.script(spec["replica"]).says = "loading\nready\n"
    replica = node.serves(spec)
    portal.until(lambda: "ready" in [e.get("text") for e in portal.events.values()])
    node.restart()
    with world.of(replica)[0].launch.log.open("a") as log:
        log.write("later\n")
    portal.until(lambda: "later" in [e.get("text") for e in portal.events.values()])
    texts = [e["text"] for _, e in sorted(portal.events.items()) if e.get("service") == "model"]
    assert texts == ["launch 1", "loading", "ready", "later"]


def _change(node: Node, replica: str, **values: object) -> None:
    """Let the journal say something else of a replica, as a kill at another moment leaves it."""
    import json

    with sqlite3.connect(node.work / "journal.sqlite") as journal:
        query = "SELECT body FROM replicas WHERE replica = ?"
        body = json.loads(journal.execute(query, (replica,)).fetchone()[0])
        told = (json.dumps({**body, **values}), replica)
        journal.execute("UPDATE replicas SET body = ? WHERE replica = ?", told)
    journal.close()
