"""Where replicas go: what a cluster must offer, what is free there, how they are spread."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from calculations.models import Run
from clusters import placement
from clusters.models import Cluster
from labportal.common.clock import now
from mlmodels.models import ModelVersion, Replica
from mlmodels.placement import choose, sentence
from mlmodels.services import operation
from mlmodels.services.tending import rooms_of
from tests.calculations.factories import submitted
from tests.mlmodels import factories

TWO_GPUS = [{"index": 0, "name": "NVIDIA A100-SXM4"}, {"index": 1, "name": "NVIDIA H200"}]


@pytest.fixture
def version(ada: Any) -> ModelVersion:
    return factories.version(factories.registered(ada))


def with_gpus(name: str, *, free: int = 2) -> Cluster:
    site = factories.cluster(name, free={"gpus": free})
    site.capacity["gpus"] = TWO_GPUS
    site.save()
    return site


def serving(site: Cluster, **changes: Any) -> None:
    site.capacity["serving"].update(changes)
    site.save()


def places(version: ModelVersion, count: int = 1) -> list[str]:
    return [room.name for room in choose(rooms_of(version, moment=now()), version, count)]


def why(version: ModelVersion) -> str:
    rooms = rooms_of(version, moment=now())
    assert choose(rooms, version, 1) == []
    return sentence(rooms, version)


def test_replicas_are_spread(version: ModelVersion) -> None:
    for name in ("iris", "metis"):
        factories.cluster(name)
    assert sorted(places(version, 4)) == ["iris", "iris", "metis", "metis"]


def test_the_emptiest_node_goes_first(version: ModelVersion) -> None:
    factories.cluster("iris", free={"cores": 2})
    factories.cluster("metis", free={"cores": 8})
    assert places(version) == ["metis"]


def test_another_node_is_tried_where_one_gave_up(version: ModelVersion) -> None:
    iris, _ = factories.cluster("iris", free={"cores": 64}), factories.cluster("metis")
    factories.replica(version, iris, "given_up")
    assert places(version) == ["metis"]


def test_no_more_are_placed_than_fit(version: ModelVersion) -> None:
    factories.cluster("iris", free={"cores": 3})
    assert places(version, 9) == ["iris"] * 3


def test_what_an_agent_has_not_heard_of_yet_takes_room_already(version: ModelVersion) -> None:
    iris = factories.cluster("iris", free={"cores": 1})
    replica = factories.replica(version, iris, "", told_generation=0)
    assert "has no core free" in why(version)
    Replica.objects.filter(pk=replica.pk).update(told_generation=1)  # the agent's word includes it
    assert places(version) == ["iris"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"enabled": False}, "iris is disabled"),
        ({"draining": True}, "iris takes no new work"),
        ({"last_exchange_at": now() - timedelta(minutes=9)}, "iris is silent"),
        ({"last_exchange_at": None}, "iris was never heard"),
        ({"capacity": {}}, "iris serves no models"),
        ({"capacity": {"serving": {"runtimes": "podman"}}}, "iris serves no models"),
    ],
)
def test_a_cluster_that_takes_no_work_gets_none(
    version: ModelVersion, changes: dict[str, Any], words: str
) -> None:
    iris = factories.cluster("iris")
    Cluster.objects.filter(pk=iris.pk).update(**changes)
    assert words in why(version)


def test_a_runtime_must_be_there(ada: Any, version: ModelVersion) -> None:
    iris = factories.cluster("iris")
    process = factories.version(factories.registered(ada), folder="/srv/echo")
    serving(iris, runtimes={"docker": {"version": "27"}})
    assert places(version) == ["iris"]
    assert "iris serves no models as processes" in why(process)
    serving(iris, runtimes={"process": {"version": "1"}})
    assert places(process) == ["iris"]
    assert "iris has no podman or docker" in why(version)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"memory_mib": 99_999}, "has 16 GiB of memory free, and 97.66 GiB are asked for"),
        ({"cores": 9}, "has 8 cores free, and 9 are asked for"),
        ({"gpus": 1}, "has no GPU, and 1 is asked for"),
    ],
)
def test_amounts_must_be_free(ada: Any, asked: dict[str, int], words: str) -> None:
    factories.cluster("iris")
    assert words in why(factories.version(factories.registered(ada), **asked))


def test_gpus_are_of_the_type_that_is_asked_for(ada: Any) -> None:
    with_gpus("iris")
    model = factories.registered(ada)
    assert places(factories.version(model, gpus=2)) == ["iris"]
    assert places(factories.version(model, gpus=1, gpu_type="h200")) == ["iris"]
    words = why(factories.version(model, gpus=2, gpu_type="h200"))
    assert "iris has 1 GPU of type h200, and 2 are asked for" in words


def test_gpus_must_be_free_and_within_the_runtimes_reach(ada: Any) -> None:
    iris = with_gpus("iris", free=1)
    version = factories.version(factories.registered(ada), gpus=2)
    assert "iris has 1 GPU free, and 2 are asked for" in why(version)
    serving(iris, free={}, runtimes={"podman": {"gpus": False}})
    assert "iris gives no GPU to models" in why(version)


def test_a_model_may_be_bound_to_clusters(ada: Any) -> None:
    iris, _ = factories.cluster("iris"), factories.cluster("metis", free={"cores": 64})
    version = factories.version(factories.registered(ada, clusters=[iris]))
    assert places(version, 2) == ["iris", "iris"]


def test_of_many_reasons_the_first_are_told(version: ModelVersion) -> None:
    for number in range(5):
        Cluster.objects.create(name=f"node-{number}")
    assert why(version).endswith("node-2 was never heard; and 2 more.")


def test_without_clusters_that_is_the_reason(version: ModelVersion) -> None:
    assert why(version) == "No cluster is registered."


def test_a_restarted_model_returns_to_where_it_is_prepared(ada: Any) -> None:
    replica = factories.running(ada)
    factories.cluster("iris", free={"cores": 1})
    model = replica.version.model
    operation.stop(model, actor=ada)
    operation.start(model, actor=ada)
    assert Replica.objects.get().pk == replica.pk


def test_runs_leave_to_models_what_these_hold(ada: Any) -> None:
    iris = factories.cluster("iris", slots=4)
    Cluster.objects.update(capacity={**iris.capacity, "cores": 2, "memory_mib": 8192})
    one, two = submitted(ada), submitted(ada)
    factories.replica(factories.version(factories.registered(ada), memory_mib=4096), iris)
    assert placement.place() == 1
    assert Run.objects.filter(calculation__in=[one, two], state="queued").count() == 1
    Replica.objects.update(wanted="stop")
    assert placement.place() == 1
