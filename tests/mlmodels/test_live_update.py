"""The whole way with real containers: an agent serves what people want, calls come through the
proxy all the while, and an update fails none of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from clusters import keys
from clusters.models import Cluster, LogLine
from mlmodels.examples.bundle import bundle, describe
from mlmodels.models import Invocation, RegisteredModel, Replica
from mlmodels.services import contracts, operation
from mlmodels.services.tending import tend_all
from tests.clusters.carrier import in_all_threads
from tests.containers import CONTAINERS, Containers
from tests.mlmodels import factories
from tests.mlmodels.examples.containers import build
from tests.mlmodels.proxy.conftest import token_of
from tests.mlmodels.proxy.door import Door, open_door

pytestmark = [*CONTAINERS, pytest.mark.django_db(transaction=True)]

REPOSITORY = Path(__file__).parents[2]
FIRST_PORT = 33_000 + os.getpid() % 300 * 10
SECONDS = 60.0


@pytest.fixture
def door(transactional_db: None, ada: Any) -> Iterator[Door]:
    with open_door() as door:
        door.token = token_of(ada)
        yield door
        in_all_threads(lambda: connection.close())


@pytest.fixture
def metis(door: Door, root: Any, containers: Containers, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster with a real agent, which finds the podman of the tests."""
    site = Cluster.objects.create(name="metis")
    _, key = keys.issue(site, actor=root)
    settings = tmp_path / "agent.ini"
    settings.write_text(
        f"[portal]\nurl = http://127.0.0.1:{door.port}\nkey = {key}\n"
        f"[agent]\nwork = {tmp_path}/work\nslots = 1\ncores = 8\nmemory_mib = 4096\n"
        f"[serving]\nruntimes = podman\nports = {FIRST_PORT}-{FIRST_PORT + 9}\n"
    )
    settings.chmod(0o600)
    command = [sys.executable, "-m", "clusters.agent", "--config", str(settings), "run", "--quiet"]
    agent = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    until(lambda: Cluster.objects.get().capacity.get("serving"))
    yield site
    agent.terminate()
    agent.wait(30)


def until(condition: Callable[[], Any]) -> None:
    """Wait as the beat would, which tends models meanwhile."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            told = Replica.objects.values_list("state", "why", "report")
            raise AssertionError([*RegisteredModel.objects.values("state", "why"), *told])
        tend_all()
        time.sleep(0.1)


def state(model: RegisteredModel) -> str:
    model.refresh_from_db()
    return model.state


class Calls:
    """Calls one after the other, in a thread, until they are counted."""

    def __init__(self, door: Door, name: str) -> None:
        self._door, self._name = door, name
        self.statuses: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        while not self._over.is_set():
            self.statuses.append(self._door.call(self._name).status)

    def end(self) -> list[int]:
        self._over.set()
        self._thread.join(SECONDS)
        return self.statuses


def test_a_model_comes_up_is_updated_in_traffic_and_stops(
    metis: Cluster, door: Door, ada: Any, containers: Containers, tmp_path: Path
) -> None:
    image = build("echo", bundle("echo", tmp_path / "echo"), containers)
    described = {"image": image, "example": describe("echo")["example"], "memory_mib": 256}
    model = factories.registered(ada, "echo")
    first = factories.version(model, **described)
    operation.start(model, actor=ada)
    until(lambda: state(model) == "ready")
    assert door.call("echo").status == 200

    check = contracts.check(first, actor=ada)
    calls = Calls(door, "echo")
    second = factories.version(model, **described, environment={"MODE": "new"})
    operation.deploy(second, actor=ada)
    until(lambda: state(model) == "ready" and model.serving == second)
    until(lambda: not Replica.objects.filter(version=first, purpose="serve", removed_at=None))
    statuses = calls.end()
    assert set(statuses) == {200} and len(statuses) > 20
    door.beat()
    metered = list(Invocation.objects.order_by("at").values_list("version__number", flat=True))
    assert metered == sorted(metered) and set(metered) == {1, 2}

    until(lambda: type(check).objects.get().ended_at)
    check.refresh_from_db()
    assert check.passed, check.checks
    operation.stop(model, actor=ada)
    until(lambda: state(model) == "stopped")
    assert containers.podman("ps", "--quiet") == ""
    replica = Replica.objects.get(version=second)
    assert replica.report["exit"]["code"] in (0, 143)
    assert LogLine.objects.filter(replica=replica.pk, launch=1).exists()
