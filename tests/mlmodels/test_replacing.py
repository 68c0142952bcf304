"""Where replicas go when their cluster is silent, drained or full."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from clusters.models import Cluster
from labportal.common.clock import now
from mlmodels.models import RegisteredModel, Replica
from mlmodels.services import operation
from mlmodels.services.tending import tend_all
from tests.mlmodels import factories
from tests.mlmodels.factories import Agent


def test_a_silent_clusters_replica_is_replaced_elsewhere(
    ready: Replica, metis: Cluster, agent: Agent
) -> None:
    iris = Agent(factories.cluster("iris"))
    silent = now() - timedelta(minutes=10)
    Cluster.objects.filter(pk=metis.pk).update(last_exchange_at=silent)
    tend_all()
    other = Replica.objects.get(cluster__name="iris")
    model = RegisteredModel.objects.get()
    assert model.state == "ready"  # it may answer still, though its agent does not
    iris.exchange()
    iris.tell(other, "ready")
    iris.exchange()
    ready.refresh_from_db()
    assert ready.draining_at is not None
    Replica.objects.filter(pk=ready.pk).update(draining_at=now() - timedelta(minutes=5))
    tend_all()
    ready.refresh_from_db()
    assert ready.removed_at is not None  # nobody is left to say that it is gone
    assert agent.exchange() == {str(ready.pk): "remove"}  # its agent comes back


def test_a_cluster_that_is_drained_gives_its_replicas_to_others(
    ready: Replica, metis: Cluster
) -> None:
    factories.cluster("iris")
    Cluster.objects.filter(pk=metis.pk).update(draining=True)
    tend_all()
    assert Replica.objects.filter(cluster__name="iris").exists()


def test_a_model_without_a_place_says_why(metis: Cluster, ada: Any) -> None:
    model = factories.registered(ada)
    factories.version(model, gpus=2)
    operation.start(model, actor=ada)
    assert model.state == "waiting"
    assert model.why.endswith("metis has no GPU, and 2 are asked for.")


def test_a_waiting_model_is_placed_once_there_is_room(metis: Cluster, ada: Any) -> None:
    model = factories.registered(ada)
    factories.version(model, cores=12)
    operation.start(model, actor=ada)
    assert not Replica.objects.exists()
    metis.capacity["serving"]["free"]["cores"] = 16
    metis.save()
    assert tend_all() == 1
    assert Replica.objects.count() == 1
