"""A replica's life: it is prepared, started, probed until it is ready, stopped and removed."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import tarfile

import pytest

from clusters.agent.protocol import ServingVerb
from clusters.agent.runtimes.base import RuntimeFailed, Status
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.serving.conftest import Node
from tests.clusters.agent.serving.fakes import World, make_spec


def make_archive(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def test_a_model_is_started_and_ready_once_ping_answers_200(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec()
    world.script(spec["replica"]).ping = 503
    replica = portal.want_model(spec)
    node.start()
    loading = portal.until_model(replica, "starting", why="/ping answered 503")
    assert loading["ready_at"] is None
    world.script(replica).ping = 200
    entry = portal.until_model(replica, "ready")
    [one] = world.of(replica)
    assert entry["address"] == f"127.0.0.1:{one.launch.port}"
    assert entry["generation"] == 1
    assert entry["launch"] == 1
    assert entry["restarts"] == 0
    assert entry["runtime"] == "process"
    assert entry["prepared"] == {"image_id": "abc"}
    assert entry["ping"]["ok_at"]
    assert entry["ready_at"]
    assert one.launch.host == "127.0.0.1"


def test_each_step_is_told_with_a_higher_number(node: Node, portal: FakePortal) -> None:
    replica = node.serves(make_spec())
    portal.tell_model(replica, ServingVerb.STOP)
    portal.until_model(replica, "stopped")
    node.restart()
    portal.want_model(portal.models[replica]["spec"], generation=2)
    portal.until_model(replica, "ready", generation=2)
    # In the order of their numbers: two exchanges may be under way, and arrive the other way round.
    told = sorted({(e["revision"], e["state"]) for r in portal.requests for e in r["serving"]})
    steps = ["preparing", "starting", "ready", "stopping", "stopped"]
    life, heard = iter(steps * 2), (state for _, state in told if state in steps)
    assert all(state in life for state, _ in itertools.groupby(heard))
    assert len({state for _, state in told}) <= len({revision for revision, _ in told})


def test_a_model_with_an_example_is_ready_once_that_is_answered(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec(check={"content_type": "application/json", "body": "{}"})
    world.script(spec["replica"]).example = 500
    replica = portal.want_model(spec)
    node.start()
    entry = portal.until_model(replica, "starting", why="the example was answered 500")
    assert entry["check"]["ok"] is False
    world.script(replica).example = 200
    entry = portal.until_model(replica, "ready")
    assert entry["check"]["ok"] is True


def test_a_model_whose_example_fails_thrice_is_started_again(
    node: Node, portal: FakePortal, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.agent.serving_health.CHECK_AGAIN_S", 0.01)
    spec = make_spec(check={"content_type": "application/json", "body": "{}"}, give_up_after=1)
    world.script(spec["replica"]).example = 500
    replica = portal.want_model(spec)
    node.start()
    entry = portal.until_model(replica, "given_up")
    assert "the example was answered 500 (3 times in a row" in entry["why"]
    assert len(world.of(replica)) == 2
    assert not world.alive(replica)


def test_a_stopped_model_ends_by_sigterm_and_is_kept(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = node.serves(make_spec())
    portal.tell_model(replica, ServingVerb.STOP)
    entry = portal.until_model(replica, "stopped")
    [one] = world.of(replica)
    assert one.signals == ["TERM"]
    assert one.removed
    assert entry["exit"] == {"code": 0, "signal": None, "out_of_memory": False}
    assert entry["address"] == ""
    assert (node.work / "models" / replica).is_dir()


def test_a_model_that_is_deaf_to_sigterm_is_killed_after_its_grace(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec(stop_s=0.3)
    world.script(spec["replica"]).deaf = True
    replica = node.serves(spec)
    portal.tell_model(replica, ServingVerb.STOP)
    portal.until_model(replica, "stopped")
    assert world.of(replica)[0].signals == ["TERM", "KILL"]


def test_a_removed_model_leaves_nothing_and_is_listed_no_more(
    node: Node, portal: FakePortal, world: World
) -> None:
    replica = node.serves(make_spec())
    portal.tell_model(replica, ServingVerb.REMOVE)
    portal.until(lambda: not portal.model(replica))
    assert not world.alive(replica)
    assert not (node.work / "models" / replica).exists()


def test_a_higher_generation_begins_when_the_one_before_has_ended(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec()
    replica = node.serves(spec)
    portal.want_model({**spec, "environment": {"A": "2"}}, generation=2)
    entry = portal.until_model(replica, "ready", generation=2)
    first, second = world.of(replica)
    assert first.signals == ["TERM"]
    assert second.launch.environment["A"] == "2"
    assert entry["launch"] == 2
    assert entry["restarts"] == 0


def test_a_stopped_model_starts_again_by_a_higher_generation(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec()
    replica = node.serves(spec)
    portal.tell_model(replica, ServingVerb.STOP)
    portal.until_model(replica, "stopped")
    portal.want_model(spec, generation=2)
    portal.until_model(replica, "ready", generation=2)


def test_files_and_secrets_are_fetched_and_handed_over(
    node: Node, portal: FakePortal, world: World
) -> None:
    content = make_archive({"weights.bin": b"abc"})
    portal.files["model.tar.gz"] = content
    files = {
        "name": "model.tar.gz",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    spec = make_spec(files=files, secrets=True, environment={"PLAIN": "1"})
    portal.secrets[spec["replica"]] = {"TOKEN": "t0p"}
    replica = node.serves(spec)
    launch = world.of(replica)[0].launch
    assert launch.model_dir is not None
    assert (launch.model_dir / "weights.bin").read_bytes() == b"abc"
    assert dict(launch.environment) == {"PLAIN": "1", "TOKEN": "t0p"}
    on_disk = b"".join(p.read_bytes() for p in node.work.rglob("*") if p.is_file())
    assert b"t0p" not in on_disk


def test_files_of_another_content_are_refused_for_good(
    node: Node, portal: FakePortal, world: World
) -> None:
    portal.files["model.tar.gz"] = b"something else"
    files = {"name": "model.tar.gz", "size": 14, "sha256": "0" * 64}
    replica = portal.want_model(make_spec(files=files))
    node.start()
    entry = portal.until_model(replica, "given_up")
    assert "another content than announced" in entry["why"]
    assert not world.of(replica)


def test_a_model_that_ends_at_once_again_and_again_is_given_up_with_its_last_lines(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec(give_up_after=2)
    script = world.script(spec["replica"])
    script.dies, script.says = Status(False, code=3), "Traceback: no weights\n"
    replica = portal.want_model(spec)
    node.start()
    entry = portal.until_model(replica, "given_up")
    assert entry["why"] == (
        "given up after 3 failures in a row: it ended with exit code 3 before it was ready"
    )
    assert entry["tail"][-1] == "Traceback: no weights"
    assert entry["exit"]["code"] == 3
    assert entry["restarts"] == 2
    assert len(world.of(replica)) == 3
    lines = [e for e in portal.events.values() if e.get("service") == "model"]
    assert {e["launch"] for e in lines} == {1, 2, 3}
    assert {e["replica"] for e in lines} == {replica}
    portal.want_model(spec, generation=2)
    script.dies = None
    assert portal.until_model(replica, "ready", generation=2)["launch"] == 4


def test_a_refused_start_says_why_and_is_tried_again(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec()
    script = world.script(spec["replica"])
    script.prepare = RuntimeFailed("The image is not there.", code="image_missing")
    replica = portal.want_model(spec)
    node.serving["backoff_s"] = "60"
    node.start()
    entry = portal.until_model(replica, "backing_off", why="The image is not there.")
    assert entry["again_at"]
    script.prepare = None
    node.serving["backoff_s"] = "0.05"
    portal.want_model(spec, generation=2)
    portal.until_model(replica, "ready")


def test_what_a_transfer_has_brought_is_not_sent_again(
    node: Node, portal: FakePortal, world: World
) -> None:
    content = make_archive({"weights.bin": os.urandom(50_000)})
    portal.files["model.tar.gz"] = content[:30_000]  # it breaks off
    digest = hashlib.sha256(content).hexdigest()
    files = {"name": "model.tar.gz", "size": len(content), "sha256": digest}
    replica = portal.want_model(make_spec(files=files))
    node.start()
    why = f"model.tar.gz broke off after 30,000 of {len(content):,} bytes"
    portal.until_model(replica, "preparing", why=why)
    portal.files["model.tar.gz"] = bytes(30_000) + content[30_000:]  # the rest alone is right
    portal.want_model(make_spec(replica=replica, files=files), generation=2)
    portal.until_model(replica, "ready", 20, generation=2)
    model_dir = world.of(replica)[0].launch.model_dir
    assert model_dir is not None
    assert len((model_dir / "weights.bin").read_bytes()) == 50_000


def test_while_the_portal_is_away_a_model_is_started_again_with_its_secrets(
    node: Node, portal: FakePortal, world: World
) -> None:
    spec = make_spec(secrets=True)
    portal.secrets[spec["replica"]] = {"TOKEN": "t0p"}
    replica = node.serves(spec)
    portal.down = True
    world.end(world.of(replica)[0], Status(False, code=1))
    portal.until(lambda: len(world.alive(replica)) == 1)
    assert world.of(replica)[1].launch.environment["TOKEN"] == "t0p"
    portal.down = False
    portal.until_model(replica, "ready", launch=2)


@pytest.mark.parametrize("runtime", ["container", "unheard-of"])
def test_a_model_of_a_runtime_that_is_not_here_says_so(
    node: Node, portal: FakePortal, runtime: str
) -> None:
    node.serving["backoff_s"] = "60"
    replica = portal.want_model(make_spec(runtime=runtime))
    node.start()
    entry = portal.until_model(replica, "backing_off")
    assert "neither podman nor docker can be used" in entry["why"]


def test_an_agent_that_serves_no_models_refuses_them_and_forgets_them(
    node: Node, portal: FakePortal, world: World
) -> None:
    node.serving = {"enabled": "no"}
    replica = portal.want_model(make_spec())
    node.start()
    entry = portal.until_model(replica, "given_up")
    assert "this agent's settings say that it serves no models" in entry["why"]
    assert "serving" not in portal.requests[-1]["capacity"]
    portal.tell_model(replica, ServingVerb.REMOVE)
    portal.until(lambda: not portal.model(replica))
    assert not world.of(replica)
