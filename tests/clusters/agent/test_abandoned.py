"""Attempts that the portal has given up: stopped, and told of only where a result is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, assert_still, beating, wait_for
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]


def test_an_abandoned_attempt_is_stopped_and_never_spoken_of_again(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key, beat = beating(agent, portal, spec)
    del portal.execute[key]
    portal.tell(key, Verb.ABANDON, why="attempt 2 runs elsewhere")
    portal.until(lambda: not portal.requests[-1]["runs"])
    portal.until(lambda: portal.requests[-1]["capacity"]["slots"]["free"] == 2)
    assert_still(beat)
    assert portal.reports == []
    assert agent.folder_of(key[0]).exists()


def test_a_result_that_is_there_when_its_attempt_is_abandoned_is_told_once(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    go, done = agent.folder / "go", agent.folder / "done"
    key = portal.want(spec(f"while [ ! -e {go} ]; do sleep 0.02; done; touch {done}"))
    portal.until(lambda: portal.states.get(key) == "running")
    agent.kill()
    go.touch()
    wait_for(done)
    del portal.execute[key]
    portal.tell(key, Verb.ABANDON, why="attempt 2 runs elsewhere")
    agent.start()
    portal.until(lambda: portal.states.get(key) == "finished")
    portal.until(lambda: not portal.requests[-1]["runs"])
    told = [e for request in portal.requests for e in request["runs"] if "outcome" in e]
    assert {entry["outcome"]["verdict"] for entry in told} == {"valid"}
    assert portal.uploads == {}


def test_a_second_attempt_has_a_folder_of_its_own(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    first = spec("echo one >kept.dat; exit 1")
    portal.report_of(portal.want(first))
    second = portal.want({**first, "attempt": 2})
    assert portal.report_of(second)["attempt"] == 2
    assert agent.folder_of(first["run"], 1).exists()
    assert agent.folder_of(first["run"], 2).exists()
