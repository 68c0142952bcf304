"""A model that is wanted on one cluster, and the words of that cluster's agent."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.models import Cluster
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.services import operation
from tests.mlmodels import factories
from tests.mlmodels.factories import Agent


@pytest.fixture
def metis(db: None) -> Cluster:
    return factories.cluster("metis")


@pytest.fixture
def agent(metis: Cluster) -> Agent:
    return Agent(metis)


@pytest.fixture
def version(metis: Cluster, ada: Any) -> ModelVersion:
    return factories.version(factories.registered(ada, "redshift"))


@pytest.fixture
def model(version: ModelVersion, ada: Any) -> RegisteredModel:
    return operation.start(version.model, actor=ada)


@pytest.fixture
def replica(model: RegisteredModel) -> Replica:
    return Replica.objects.get(version__model=model)


@pytest.fixture
def ready(replica: Replica, agent: Agent) -> Replica:
    agent.exchange()
    agent.tell(replica, "ready")
    agent.exchange()
    replica.refresh_from_db()
    return replica
