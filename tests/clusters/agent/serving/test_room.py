"""Models and runs share one machine: cores, memory and GPUs are given once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clusters.agent.protocol import ServingVerb
from tests.clusters.agent.conftest import spec
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.serving.conftest import Node
from tests.clusters.agent.serving.fakes import World, make_spec

__all__ = ["spec"]
Describe = Callable[..., dict[str, Any]]


def test_a_model_waits_for_cores_that_another_holds(
    node: Node, portal: FakePortal, world: World
) -> None:
    node.limits["cores"] = "4"
    first = portal.want_model(make_spec(cores=3))
    node.start()
    portal.until_model(first, "ready")
    second = portal.want_model(make_spec(cores=2))
    why = "it waits: 2 cores asked for, 1 free"
    portal.until_model(second, "preparing", why=why)
    portal.tell_model(first, ServingVerb.REMOVE)
    assert portal.until_model(second, "ready")["restarts"] == 0


def test_what_can_never_fit_is_given_up_with_the_remedy(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = portal.want_model(make_spec(memory_mib=8192))
    node.start()
    entry = portal.until_model(replica, "given_up")
    assert "it asks for 8,192 MiB of memory, and this machine has 4,096" in entry["why"]
    assert "Ask for at most 4,096" in entry["why"]


def test_gpus_go_to_one_model_each(
    node: Node, portal: FakePortal, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.agent.devices.shutil.which", lambda _: None)
    node.limits["gpus"] = "0,1"
    replicas = [portal.want_model(make_spec(gpus=1)) for _ in range(3)]
    node.start()
    portal.until(lambda: [portal.model(r).get("state") for r in replicas].count("ready") == 2)
    given = sorted(tuple(one.launch.gpus) for one in world.running)
    assert given == [(0,), (1,)]
    waits = next(r for r in replicas if portal.model(r)["state"] == "preparing")
    assert portal.model(waits)["why"] == "it waits: 1 GPU asked for, 0 free"
    seen = {one.launch.environment["CUDA_VISIBLE_DEVICES"] for one in world.running}
    assert len(seen) == 1  # each sees its own as the first


def test_a_run_waits_for_what_a_model_holds_and_the_model_for_the_run(
    node: Node, portal: FakePortal, world: World, spec: Describe
) -> None:
    node.limits["cores"] = "4"
    model = portal.want_model(make_spec(cores=2))
    node.start()
    portal.until_model(model, "ready")
    go = node.folder / "go"
    run = portal.want(spec(f"until [ -e {go} ]; do sleep 0.02; done", resources={"cores": 2}))
    portal.until(lambda: portal.states.get(run) == "running")
    later = portal.want(spec("true", resources={"cores": 2}))
    other = portal.want_model(make_spec(cores=2))
    portal.until_model(other, "preparing", why="it waits: 2 cores asked for, 0 free")
    assert portal.states[later] == "preparing"
    go.touch()
    portal.report_of(run)
    portal.until_model(other, "ready")  # the room is kept for it, though the run came before
    assert portal.states[later] == "preparing"
    portal.tell_model(model, ServingVerb.STOP)
    portal.report_of(later)


def test_what_is_free_for_models_is_told(node: Node, portal: FakePortal, world: World) -> None:
    node.serves(make_spec(cores=3, memory_mib=1000))
    [told] = [portal.requests[-1]["capacity"]["serving"]]
    assert told["runtimes"] == {"process": {"version": "1", "rootless": True, "gpus": False}}
    assert told["host"] == "127.0.0.1"
    assert told["free"] == {"cores": 5, "memory_mib": 3096, "gpus": 0}
