"""Models in real containers of podman."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.runtimes import cgroup
from clusters.agent.runtimes.base import Handle, Launch, RuntimeFailed, Status
from clusters.agent.runtimes.options import MODEL
from clusters.agent.runtimes.podman import Podman, cdi_devices
from tests.clusters.agent.runtimes.arranging import ask, launch_of, spec_of, until
from tests.containers import CONTAINERS, Containers

pytestmark = list(CONTAINERS)


@pytest.fixture
def podman(containers: Containers) -> Podman:
    return Podman("this-agent")


def script(containers: Containers, words: str, **named: Any) -> Any:
    """A model that is a shell script."""
    return spec_of(image=containers.tiny(), command=("sh", "-c", words), **named)


def state(podman: Podman, handle: Handle) -> Status:
    return podman.status([handle])[handle.reference]


def ended(podman: Podman, handle: Handle) -> Status:
    return until(lambda: (found := state(podman, handle)).alive is False and found)


def ran(podman: Podman, launch: Launch) -> list[str]:
    """Start a script and return what it wrote until it ended."""
    ended(podman, podman.start(launch))
    return launch.log.read_text().splitlines()


def everything(containers: Containers) -> list[str]:
    return containers.podman("ps", "--all", "--format={{.Names}}").splitlines()


def test_a_container_answers_where_it_was_told_to(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    spec = spec_of(image=containers.tiny())
    assert podman.about() is not None
    assert podman.prepare(spec, tmp_path)["image"] == containers.tiny()
    launch = launch_of(spec, tmp_path)
    handle = podman.start(launch)
    assert ask(launch.port)[0] == 200
    found = state(podman, handle)
    assert found.alive and found.memory_mib and found.cpu_s is not None
    podman.signal(handle)
    assert ended(podman, handle).code == 0
    lines = launch.log.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("serving on 8080", "asked to end")
    podman.remove(handle)
    assert state(podman, handle).alive is False
    podman.signal(handle)
    podman.remove(handle)


def test_a_restarted_agent_finds_its_containers_and_no_other_agents(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    spec = spec_of(image=containers.tiny())
    launch = launch_of(spec, tmp_path)
    handle = podman.start(launch)
    again, other = Podman("this-agent"), Podman("other-agent")
    assert again.find(spec.replica, 1) == again.start(launch) == handle
    assert again.find(spec.replica, 2) is None and other.find(spec.replica, 1) is None
    assert again.strays(["another"]) == [handle]
    assert again.strays([spec.replica]) == other.strays([]) == []
    again.signal(handle, kill=True)
    found = ended(again, handle)
    assert (found.signal, found.out_of_memory) == (9, False)
    assert again.find(spec.replica, 1) == handle
    fresh = again.start(launch)
    assert fresh != handle and state(again, fresh).alive
    containers.podman("pause", fresh.reference)
    assert state(again, fresh).alive is True
    containers.podman("unpause", fresh.reference)
    next_one = again.start(launch_of(spec, tmp_path, 2))
    assert containers.podman("ps", "--all", "--quiet", "--no-trunc") == next_one.reference


def test_a_container_is_held_within_what_its_model_asked_for(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    spec = spec_of(image=containers.tiny(), cores=2, memory_mib=96)
    launch = launch_of(spec, tmp_path)
    handle = podman.start(launch)
    found = json.loads(containers.podman("container", "inspect", handle.reference))[0]
    host = found["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 96 * 2**20
    assert (host["NanoCpus"], host["ReadonlyRootfs"], host["Privileged"]) == (2e9, True, False)
    assert host["PidsLimit"] > 0
    assert "no-new-privileges" in host["SecurityOpt"]
    assert "CAP_SYS_CHROOT" in host["CapDrop"] and "CAP_NET_RAW" not in host["CapAdd"]
    ports = found["NetworkSettings"]["Ports"]
    assert ports == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(launch.port)}]}


def test_the_root_is_read_only_but_for_what_is_temporary(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    words = "touch /x && echo root; touch /tmp/x /run/x /var/tmp/x && echo temporary"
    launch = launch_of(script(containers, words), tmp_path)
    lines = ran(podman, launch)
    assert lines[-1] == "temporary" and "root" not in lines
    launch = launch_of(script(containers, words, read_only_root=False), tmp_path)
    assert ran(podman, launch) == ["root", "temporary"]


def test_the_models_files_are_there_and_stay_as_they_are(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    model = tmp_path / "it's $(touch oops) model"
    model.mkdir()
    (model / "weights").write_text("4711\n")
    words = f"cat {MODEL}/weights; touch {MODEL}/x || echo refused"
    launch = launch_of(script(containers, words), tmp_path, model_dir=model)
    lines = ran(podman, launch)
    assert (lines[0], lines[-1]) == ("4711", "refused")
    odd = launch_of(script(containers, words), tmp_path, model_dir=tmp_path / "a:b")
    with pytest.raises(RuntimeFailed, match="colon or a comma"):
        podman.start(odd)
    gone = launch_of(script(containers, words), tmp_path, model_dir=tmp_path / "gone")
    with pytest.raises(RuntimeFailed, match="not at"):
        podman.start(gone)


def test_variables_arrive_as_they_are_and_are_shown_to_nobody(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    given = {
        "TOKEN": "$(touch oops); `id` \"'\\ %s",
        "KEY": "-----BEGIN\nof two lines",
        "HOME": "/somewhere # else",
        "HTTPS_PROXY": "http://user:word@proxy",
        "OMP_NUM_THREADS": "7",
    }
    launch = launch_of(script(containers, "env"), tmp_path, environment=given)
    seen: list[bytes] = []
    run = podman.run

    def watched(options: Any, *others: Any) -> Any:
        seen.extend(str(word).encode() for word in options)
        return run(options, *others)

    podman.run = watched  # type: ignore[method-assign]
    text = "\n".join(ran(podman, launch))
    for name, value in given.items():
        assert f"{name}={value}" in text
        assert not any(value.encode() in word for word in seen if len(value) > 1)
    assert "SAGEMAKER_MODEL_SERVER_WORKERS=1" in text
    assert not (launch.folder / "variables").exists()


def test_a_variable_that_no_environment_bears_is_refused(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    for name, value in (("A=B", "x"), ("A B", "x"), ("--privileged", "x"), ("A", "\0")):
        launch = launch_of(script(containers, "env"), tmp_path, environment={name: value})
        with pytest.raises(RuntimeFailed) as caught:
            podman.start(launch)
        assert caught.value.code == "environment"
    launch = launch_of(script(containers, "env"), tmp_path, environment={"PATH": "a\nb"})
    with pytest.raises(RuntimeFailed, match="several lines"):
        podman.start(launch)
    assert not (launch.folder / "variables").exists()


def test_a_container_that_exits_at_once_tells_how(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    launch = launch_of(script(containers, "echo no weights >&2; exit 3"), tmp_path)
    found = ended(podman, podman.start(launch))
    assert (found.code, found.signal, found.out_of_memory) == (3, None, False)
    assert launch.log.read_text() == "no weights\n"


def test_a_container_that_fills_its_memory_is_told_from_one_that_was_killed(
    podman: Podman, containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = "x=$(dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\\0' x)"
    greedy = podman.start(launch_of(script(containers, words, memory_mib=32), tmp_path))
    assert ended(podman, greedy).out_of_memory
    assert not list((tmp_path / "here").iterdir())  # where podman's monitor would note it
    killed = podman.start(launch_of(script(containers, "while :; do sleep 9; done"), tmp_path))
    containers.podman("kill", killed.reference)
    found = ended(podman, killed)
    assert (found.code, found.signal, found.out_of_memory) == (137, 9, False)


def test_memory_is_watched_where_the_engine_cannot_hold_it(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    """As with podman of an account without privileges, on a machine with control groups of old."""
    podman._facts = {**(podman.facts() or {}), "limits": []}
    words = "x=$(dd if=/dev/zero bs=1M count=60 2>/dev/null | tr '\\0' x); echo full; sleep 60"
    launch = launch_of(script(containers, words, memory_mib=32), tmp_path)
    handle = podman.start(launch)
    found = json.loads(containers.podman("container", "inspect", handle.reference))[0]
    assert found["HostConfig"]["Memory"] == 0
    assert (cgroup.namespace_usage(found["State"]["Pid"])[1] or 0) > 0
    assert ended(podman, handle).out_of_memory


def test_an_image_that_is_not_there_is_named_with_the_remedy(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    for name, words in (
        ("localhost/nothere:1", "build or load it"),
        ("nothere:1", "cannot be had"),
    ):
        with pytest.raises(RuntimeFailed, match=words) as caught:
            podman.prepare(spec_of(image=name), tmp_path)
        assert caught.value.code == "image_missing"
    with pytest.raises(RuntimeFailed) as caught:  # deleted after it was prepared
        podman.start(launch_of(spec_of(image="localhost/nothere:1"), tmp_path))
    assert caught.value.code == "image_missing"


def test_an_image_without_a_program_is_refused_and_leaves_nothing(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    (tmp_path / "Containerfile").write_text(
        f'FROM {containers.tiny()}\nENTRYPOINT ["/bin/nothere"]\n'
    )
    image = containers.build("localhost/without-program:1", tmp_path)
    with pytest.raises(RuntimeFailed, match="entry point") as caught:
        podman.start(launch_of(spec_of(image=image), tmp_path))
    assert caught.value.code == "image_refused"
    assert everything(containers) == []


def test_a_port_that_is_taken_is_told_and_leaves_nothing(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        launch = launch_of(spec_of(image=containers.tiny()), tmp_path, port=taken.getsockname()[1])
        with pytest.raises(RuntimeFailed) as caught:
            podman.start(launch)
    assert caught.value.code == "port_taken"
    assert everything(containers) == []


def test_a_gpu_that_is_not_there_is_told_before_and_at_the_start(
    podman: Podman, containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.agent.runtimes.podman.CDI", ())
    spec = spec_of(image=containers.tiny(), gpus=1)
    with pytest.raises(RuntimeFailed) as caught:
        podman.prepare(spec, tmp_path)
    assert caught.value.code == "no_gpu"
    podman._facts = {**(podman.facts() or {}), "gpus": True}
    with pytest.raises(RuntimeFailed, match="nvidia-ctk") as caught:
        podman.start(launch_of(spec, tmp_path, gpus=(97,)))
    assert caught.value.code == "no_gpu"
    assert everything(containers) == []


def test_gpus_are_known_by_their_descriptions(tmp_path: Path) -> None:
    assert cdi_devices([tmp_path, tmp_path / "nothere"]) == []
    (tmp_path / "other.json").write_text('{"kind": "vendor.com/net"}')
    described = tmp_path / "nvidia.yaml"
    described.write_text("kind: nvidia.com/gpu\n")
    assert cdi_devices([tmp_path]) == [described]
    assert Podman("a").gpu_options((0, 3)) == [
        "--device=nvidia.com/gpu=0",
        "--device=nvidia.com/gpu=3",
    ]


def test_an_engine_without_an_answer_lets_nothing_be_concluded(
    podman: Podman, containers: Containers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = podman.start(launch_of(spec_of(image=containers.tiny()), tmp_path))
    gone = Handle("podman", "f" * 64, 1)
    found = podman.status([gone, handle])
    assert found[handle.reference].alive is True
    assert found[gone.reference].alive is False
    with monkeypatch.context() as broken:
        broken.setenv("CONTAINERS_CONF", "/nowhere/containers.conf")
        assert state(podman, handle).alive is None
        assert Podman("a").about() is None
        with pytest.raises(RuntimeFailed) as caught:
            Podman("a").prepare(spec_of(image=containers.tiny()), tmp_path)
        assert caught.value.code == "no_engine"
        with pytest.raises(RuntimeFailed):
            podman.strays([])
    assert state(podman, handle).alive is True
