"""Models in real containers of podman."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.agent.runtimes.base import Handle, Status
from clusters.agent.runtimes.podman import Podman
from tests.clusters.agent.runtimes.arranging import ask, launch_of, spec_of, until
from tests.containers import CONTAINERS, Containers

pytestmark = list(CONTAINERS)


@pytest.fixture
def podman(containers: Containers) -> Podman:
    return Podman("this-agent")


def state(podman: Podman, handle: Handle) -> Status:
    return podman.status([handle])[handle.reference]


def ended(podman: Podman, handle: Handle) -> Status:
    return until(lambda: (found := state(podman, handle)).alive is False and found)


def script(containers: Containers, *words: str) -> dict[str, object]:
    return {"image": containers.tiny(), "command": ("sh", "-c", *words)}


def test_a_container_answers_where_it_was_told_to(
    podman: Podman, containers: Containers, tmp_path: Path
) -> None:
    spec = spec_of(image=containers.tiny())
    assert podman.prepare(spec, tmp_path)["image"] == containers.tiny()
    launch = launch_of(spec, tmp_path)
    handle = podman.start(launch)
    assert ask(launch.port)[0] == 200
    found = state(podman, handle)
    assert found.alive and found.memory_mib and found.cpu_s is not None
    podman.signal(handle)
    assert ended(podman, handle).code == 0
    assert launch.log.read_text().splitlines()[0] == "serving on 8080"
    assert launch.log.read_text().splitlines()[-1] == "asked to end"
    podman.remove(handle)
    assert state(podman, handle).alive is False
    podman.signal(handle)
    podman.remove(handle)
