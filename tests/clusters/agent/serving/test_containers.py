"""Real containers of podman under a real agent, which is killed and comes back."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.protocol import ServingVerb
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.serving.conftest import FIRST_PORT
from tests.clusters.agent.serving.fakes import make_spec
from tests.containers import CONTAINERS, Containers

pytestmark = list(CONTAINERS)
SECONDS = 40.0


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal, containers: Containers) -> Iterator[AgentProcess]:
    agent = AgentProcess(tmp_path, portal)
    agent.serving = f"ports = {FIRST_PORT}-{FIRST_PORT + 19}\nbackoff_s = 0.1"
    agent.settings(portal.url)
    portal.settings["exchange_s"] = 1
    yield agent.start()
    if agent.process is not None and agent.process.poll() is None:
        agent.terminate()


def served(containers: Containers, **details: Any) -> dict[str, Any]:
    named = {"command": [], "folder": "", "memory_mib": 64, "ping_s": 1.0, "ping_timeout_s": 2.0}
    return make_spec(runtime="container", image=containers.tiny(), **{**named, **details})


def running(containers: Containers) -> list[str]:
    return containers.podman("ps", "--quiet", "--no-trunc").split()


def answer(entry: dict[str, Any]) -> str:
    with urllib.request.urlopen(f"http://{entry['address']}/", timeout=5) as reply:
        return reply.read().decode()


def test_a_container_outlives_its_agent_and_a_killed_one_is_started_again(
    agent: AgentProcess, portal: FakePortal, containers: Containers
) -> None:
    replica = portal.want_model(served(containers))
    entry = portal.until_model(replica, "ready", SECONDS)
    assert (entry["runtime"], answer(entry)) == ("podman", "hello\n")
    (first,) = running(containers)
    agent.kill()
    asked = len(portal.requests)
    agent.start()
    portal.until(lambda: len(portal.requests) > asked)
    entry = portal.until_model(replica, "ready", SECONDS)
    assert (running(containers), entry["launch"]) == ([first], 1)

    containers.podman("kill", first)
    entry = portal.until_model(replica, "ready", SECONDS, launch=2)
    assert entry["exit"] == {"code": 137, "signal": 9, "out_of_memory": False}
    assert running(containers) != [first] and answer(entry) == "hello\n"
    portal.tell_model(replica, ServingVerb.STOP)
    entry = portal.until_model(replica, "stopped", SECONDS)
    assert entry["exit"]["code"] == 0
    assert containers.podman("ps", "--all", "--quiet") == ""
    lines = [e for _, e in sorted(portal.events.items()) if e.get("service") == "model"]
    found = [(e["launch"], e["text"]) for e in lines if "response" not in e["text"]]
    assert found == [(1, "serving on 8080"), (2, "serving on 8080"), (2, "asked to end")]


def test_one_that_fills_its_memory_again_and_again_is_given_up_with_the_reason(
    agent: AgentProcess, portal: FakePortal, containers: Containers
) -> None:
    words = "echo loading; x=$(dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x)"
    spec = served(containers, command=["sh", "-c", words], memory_mib=32, give_up_after=1)
    replica = portal.want_model(spec)
    entry = portal.until_model(replica, "given_up", SECONDS)
    assert entry["exit"]["out_of_memory"] and "memory" in entry["why"]
    assert entry["tail"] == ["loading"]
    assert containers.podman("ps", "--all", "--quiet") == ""
