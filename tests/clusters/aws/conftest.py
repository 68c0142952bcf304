"""Arranges a cluster in AWS: moto's server, a bucket, a state machine, known keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from calculations.models import Calculation, Run
from clusters import placement
from clusters.models import AwsAccess, AwsExecution, Cluster
from clusters.services import aws
from clusters.transports.aws import agent, tasks
from tests.calculations.factories import submitted
from tests.clusters.aws.machine import BUCKET, KEYS, REGION, Machine


@pytest.fixture(scope="session")
def _machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("lambda"))
    yield machine
    machine.stop()


@pytest.fixture
def machine(_machine: Machine) -> Machine:
    _machine.begin()
    return _machine


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was handed to the broker."""
    found: list[tuple[str, Any]] = []
    for task in (tasks.exchange, tasks.step, tasks.test, tasks.purge):
        name = task.name.rsplit(".", 1)[1]
        monkeypatch.setattr(task, "delay", lambda *a, name=name: found.append((name, *a)))
    return found


class Site:
    """The cluster, and what its worker would do for it."""

    def __init__(self, access: AwsAccess, ada: Any) -> None:
        self.access, self.ada = access, ada

    def exchange(self) -> None:
        while agent.exchange(self.access.cluster_id):
            pass

    def look(self) -> None:
        """Exchange, do the next step of each execution as if it were time, exchange again."""
        self.exchange()
        AwsExecution.objects.update(looked_at=None)
        for pk in AwsExecution.objects.values_list("pk", flat=True):
            tasks.step(pk)
        self.access.refresh_from_db()
        self.exchange()

    def run_of(self, **parameters: Any) -> Run:
        """A run that was handed to this cluster."""
        calculation = self.submitted(**parameters)
        placement.place()
        return calculation.runs.get()

    def submitted(self, **parameters: Any) -> Calculation:
        given = {"partitions": 3, "samples": 8, "batch_size": 4, "ranks": 2, **parameters}
        return submitted(self.ada, software="torch_inference", parameters=given)


@pytest.fixture
def site(machine: Machine, enqueued: Any, root: Any, ada: Any) -> Site:
    """Heard, so that runs may be placed there."""
    cluster = Cluster.objects.create(name="cloud", carrier=Cluster.Carrier.AWS)
    access = aws.set_up(
        cluster,
        region=REGION,
        state_machine_arn=machine.arn,
        bucket=BUCKET,
        endpoint_url=machine.endpoint,
        access_key_id=KEYS["aws_access_key_id"],
        secret=KEYS["aws_secret_access_key"],
        actor=root,
    )
    found = Site(access, ada)
    found.exchange()
    return found
