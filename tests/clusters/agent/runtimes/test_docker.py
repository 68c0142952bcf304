"""Docker: what it was recorded to say, and its real command line, answered by podman's service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.runtimes import cgroup
from clusters.agent.runtimes.base import Handle, RuntimeFailed
from clusters.agent.runtimes.docker import Docker
from clusters.agent.runtimes.options import LABEL
from tests.clusters.agent.fake_portal import PATIENCE_S
from tests.clusters.agent.runtimes.arranging import ask, launch_of, spec_of, until
from tests.clusters.agent.runtimes.fake_docker import AWAY, IDENTITY, INFO, FakeDocker, container
from tests.containers import Containers


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    fake = FakeDocker(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    return fake


def test_docker_tells_what_it_can_do_here(fake: FakeDocker) -> None:
    usual = {"version": "20.10.24+dfsg1", "rootless": False, "gpus": False}
    assert Docker("a").about() == {**usual, "limits": ["cpu", "memory", "pids"]}
    more = {"Runtimes": {"nvidia": {}}, "SecurityOptions": ["name=rootless"], "PidsLimit": False}
    fake.answer("info", out=json.dumps({**INFO, **more}))
    found = {"version": "20.10.24+dfsg1", "rootless": True, "gpus": True}
    assert Docker("a").about() == {**found, "limits": ["cpu", "memory"]}


@pytest.mark.parametrize("said", [json.dumps({"ServerErrors": [AWAY]}), "", "not json"])
def test_docker_without_its_daemon_cannot_be_used(
    fake: FakeDocker, tmp_path: Path, said: str
) -> None:
    fake.answer("info", out=said, err=AWAY)
    assert Docker("a").about() is None
    with pytest.raises(RuntimeFailed, match="start its daemon") as caught:
        Docker("a").prepare(spec_of(image="echo:1"), tmp_path)
    assert caught.value.code == "no_engine"


def test_docker_that_is_not_installed_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert Docker("a").about() is None


def test_a_container_gets_its_gpus_by_docker_s_own_quotation_marks(
    fake: FakeDocker, tmp_path: Path
) -> None:
    fake.answer("info", out=json.dumps({**INFO, "Runtimes": {"nvidia": {}}}))
    fake.makes()
    launch = launch_of(spec_of(image="echo:1", gpus=2), tmp_path, gpus=(0, 3))
    assert Docker("a").start(launch) == Handle("docker", IDENTITY, launch.port)
    (words,) = fake.calls("run")
    assert '--gpus="device=0,3"' in words
    assert words[-2:] == ["echo:1", "serve"]
    assert f"--publish=127.0.0.1:{launch.port}:8080" in words
    assert "--log-opt=max-size=8m" in words


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        (
            125,
            'docker: Error response from daemon: could not select device driver "" with '
            "capabilities: [[gpu]].\n",
            "no_gpu",
        ),
        (
            125,
            "docker: Error response from daemon: driver failed programming external connectivity on"
            " endpoint bbb (98740835): Bind for 127.0.0.1:18091 failed: port is already allocated.",
            "port_taken",
        ),
        (
            125,
            "docker: Error response from daemon: driver failed programming external connectivity on"
            " endpoint ccc (4642db1a): Error starting userland proxy: listen tcp4 127.0.0.1:18092: "
            "bind: address already in use.\n",
            "port_taken",
        ),
        (
            125,
            "docker: Error response from daemon: No such image: localhost/nothere:1.\n"
            "See 'docker run --help'.\n",
            "image_missing",
        ),
        (
            127,
            "docker: Error response from daemon: failed to create shim task: OCI runtime create "
            'failed: runc create failed: unable to start container process: exec: "/nope": stat '
            "/nope: no such file or directory: unknown.\n",
            "image_refused",
        ),
        (
            125,
            "docker: Error response from daemon: something new.\nSee 'docker run --help'.\n",
            "engine",
        ),
    ],
)
def test_a_failed_start_is_explained_and_leaves_no_container(
    fake: FakeDocker, tmp_path: Path, code: int, said: str, kind: str
) -> None:
    fake.makes()
    fake.answer("run", out=f"{IDENTITY}\n", err=said, code=code)
    with pytest.raises(RuntimeFailed) as caught:
        Docker("a").start(launch_of(spec_of(image="echo:1"), tmp_path))
    assert caught.value.code == kind
    assert "docker:" not in str(caught.value) and "See '" not in str(caught.value)
    assert fake.calls("rm") == [["rm", "--force", "--volumes", IDENTITY]]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Error response from daemon: manifest for debian:nothere not found", "image_missing"),
        (
            "Error response from daemon: pull access denied for nothere, repository does not exist "
            "or may require 'docker login': denied: requested access to the resource is denied",
            "image_refused",
        ),
        ('Error response from daemon: Get "https://ghcr.io/v2/": unauthorized', "image_refused"),
        (
            'Error response from daemon: Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: '
            "connect: connection refused",
            "image_missing",
        ),
    ],
)
def test_an_image_that_cannot_be_had_is_told_with_the_reason(
    fake: FakeDocker, tmp_path: Path, said: str, code: str
) -> None:
    fake.answer("image-inspect", out="[]\n", err="Error: No such image: nothere:1\n", code=1)
    fake.answer("pull", err=said, code=1)
    with pytest.raises(RuntimeFailed) as caught:
        Docker("a").prepare(spec_of(image="nothere:1"), tmp_path)
    assert caught.value.code == code
    assert said.rpartition(": ")[2] in str(caught.value)
    fake.answer("image-inspect", out="[]\n", err=AWAY, code=1)
    with pytest.raises(RuntimeFailed, match="gave no answer"):
        Docker("a").prepare(spec_of(image="nothere:1"), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-v/:/host",
        "--privileged",
        "docker-archive:/etc/passwd",
        "dir:x",
        "oci:x",
        "a b",
        "a;id",
        "$(id)",
        "../x",
        "lab/Upper",
        "a" * 300,
        "x:1@sha256:short",
        "http://registry/x",
    ],
)
def test_what_is_no_name_of_an_image_never_reaches_the_engine(
    fake: FakeDocker, tmp_path: Path, name: str
) -> None:
    docker = Docker("a")
    for refused in (
        lambda: docker.prepare(spec_of(image=name), tmp_path),
        lambda: docker.start(launch_of(spec_of(image=name), tmp_path)),
    ):
        with pytest.raises(RuntimeFailed) as caught:
            refused()
        assert caught.value.code == "image_refused"
    assert not fake.calls("run") and not fake.calls("pull") and not fake.calls("image")


@pytest.mark.parametrize(
    "name",
    [
        "echo",
        "lab/echo:1.0-rc_2",
        "ghcr.io/lab/redshift:1",
        "localhost:5000/a/b/c",
        "[::1]:5000/x:1",
        "x@sha256:" + "a" * 64,
        "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312",
    ],
)
def test_names_of_images_reach_it_unchanged(fake: FakeDocker, tmp_path: Path, name: str) -> None:
    fake.answer("image-inspect", out=json.dumps([{"Id": "sha256:abc", "Size": 7}]))
    found = Docker("a").prepare(spec_of(image=name), tmp_path)
    assert found == {"image": name, "image_id": "abc", "size": 7}
    assert fake.calls("image") == [["image", "inspect", name]]


def test_one_that_is_gone_hides_no_other_and_a_daemon_that_is_away_tells_nothing(
    fake: FakeDocker,
) -> None:
    docker, other = Docker("a"), "f" * 64
    handles = [Handle("docker", IDENTITY, 1), Handle("docker", other, 2)]
    told = container(labels={}, ExitCode=137, OOMKilled=True)
    gone = f"Error: No such container: {other}\n"
    fake.answer("container-inspect", out=json.dumps([told]), err=gone, code=1)
    found = docker.status(handles)
    assert found[IDENTITY].out_of_memory and found[IDENTITY].signal == 9
    assert found[other].alive is False
    fake.answer("container-inspect", out="[]\n", err=AWAY, code=1)
    assert [one.alive for one in docker.status(handles).values()] == [None, None]
    for command, said in (
        ("kill", f"Cannot kill container: {other}: No such container: {other}"),
        ("kill", f"Cannot kill container: x: Container {IDENTITY} is not running"),
        ("rm", gone),
    ):
        fake.answer(command, err=said, code=1)
    docker.signal(handles[1])
    docker.remove(handles[1])
    for command, act in (("kill", docker.signal), ("rm", docker.remove)):
        fake.answer(command, err=AWAY, code=1)
        with pytest.raises(RuntimeFailed, match="docker"):
            act(handles[1])


@pytest.mark.parametrize("pid", [os.getpid(), 0], ids=["lives", "gone"])
def test_a_kill_for_memory_is_seen_though_the_engine_hears_of_it_late(
    fake: FakeDocker, monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    """What still lived when the kernel had killed last was killed by somebody else."""
    docker, handles = Docker("a"), [Handle("docker", IDENTITY, 1)]
    labels = {f"{LABEL}oom-kills": "4"}
    monkeypatch.setattr(cgroup, "oom_kills", lambda: 5)
    told = container(labels=labels, Running=True, Pid=pid)
    fake.answer("container-inspect", out=json.dumps([told]))
    assert docker.status(handles)[IDENTITY].alive
    fake.answer("container-inspect", out=json.dumps([container(labels=labels, ExitCode=137)]))
    assert docker.status(handles)[IDENTITY].out_of_memory is (pid == 0)


@pytest.fixture
def service(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Podman's service, to which the real command line of docker speaks."""
    socket = containers.folder / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    service = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{socket}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(socket.exists)
    yield
    service.terminate()
    service.wait(PATIENCE_S)


@pytest.mark.containers
@pytest.mark.xdist_group("containers")
@pytest.mark.skipif(shutil.which("docker") is None, reason="docker's command line is not installed")
def test_the_real_command_line_runs_a_model_and_brings_its_log(
    containers: Containers, service: Any, tmp_path: Path
) -> None:
    docker, given = Docker("this-agent"), {"TOKEN": "$(id)\nof two lines"}
    spec = spec_of(image=containers.tiny(), environment=given)
    assert docker.prepare(spec, tmp_path)["image_id"]
    launch = launch_of(spec, tmp_path)
    handle = docker.start(launch)
    assert ask(launch.port)[0] == 200
    again = Docker("this-agent")
    assert again.find(spec.replica, 1) == again.start(launch) == handle
    assert again.strays([]) == [handle] and again.strays([spec.replica]) == []
    assert again.status([handle])[handle.reference].memory_mib
    again.signal(handle)
    found = until(lambda: (one := docker.status([handle])[handle.reference]).alive is False and one)
    assert (found.code, found.out_of_memory) == (0, False)
    lines = launch.log.read_text().splitlines()
    assert lines[0] == "serving on 8080" and lines.count("asked to end") == 1
    docker.remove(handle)
    assert again.status([handle])[handle.reference].alive is False
