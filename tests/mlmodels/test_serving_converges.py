"""Whatever gets lost between portal and agents, in whatever order, ends as people want it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from clusters.models import Cluster
from labportal.common.clock import now
from mlmodels.models import RegisteredModel, Replica
from mlmodels.services import models, operation
from mlmodels.services.tending import tend_all
from tests.mlmodels import factories
from tests.mlmodels.factories import Agent

pytestmark = pytest.mark.django_db

STATES = ["preparing", "starting", "ready", "unhealthy", "backing_off", "given_up"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("people"), st.sampled_from(["start", "stop", "restart", "roll_back"])),
        st.tuples(st.just("deploy"), st.integers(0, 2)),
        st.tuples(st.just("count"), st.integers(1, 3)),
        st.tuples(st.just("tell"), st.sampled_from(STATES)),
        st.tuples(
            st.sampled_from(["exchange", "lost reply", "late request", "lost disk", "silent"]),
            st.integers(0, 1),
        ),
    ),
    min_size=1,
    max_size=14,
)


class Lab:
    """Two clusters and a model of three versions."""

    def __init__(self, ada: Any) -> None:
        self.ada = ada
        self.agents = [Agent(factories.cluster(name)) for name in ("iris", "metis")]
        self.model = factories.registered(ada)
        self.versions = [factories.version(self.model) for _ in range(3)]
        self.older: list[list[dict[str, Any]]] = [[], []]

    def people(self, verb: str) -> None:
        if verb == "restart" and self.model.desired == "stopped":
            return
        if verb == "roll_back" and self.model.previous is None:
            return
        getattr(operation, verb)(self.model, actor=self.ada)

    def deploy(self, number: int) -> None:
        operation.deploy(self.versions[number], actor=self.ada)
        self.model.refresh_from_db()

    def count(self, number: int) -> None:
        models.update(self.model, actor=self.ada, replicas_wanted=number)

    def tell(self, state: str) -> None:
        for agent in self.agents:
            for key, entry in agent.entries.items():
                if entry["state"] not in ("stopping", "stopped"):
                    agent.tell(Replica(pk=uuid.UUID(key)), state)

    def step(self, what: str, value: Any) -> None:
        if what in ("people", "deploy", "count", "tell"):
            getattr(self, what)(value)
            return
        agent = self.agents[value]
        if what == "exchange":
            self.older[value] = [dict(entry) for entry in agent.entries.values()]
            agent.exchange()
        elif what == "lost reply":
            agent.ask()
        elif what == "late request":  # one that was sent before the last came to be taken in
            kept, agent.entries = agent.entries, {e["replica"]: e for e in self.older[value]}
            agent.ask()
            agent.entries = kept
        elif what == "lost disk":
            agent.entries.clear()
        else:
            long_ago = now() - timedelta(minutes=10)
            Cluster.objects.filter(pk=agent.cluster.pk).update(last_exchange_at=long_ago)
            tend_all()

    def settle(self) -> None:
        """Let all agents exchange, all servers become ready and all calls end."""
        quiet = 0
        for _ in range(9):
            verbs = [verb for agent in self.agents for verb in agent.exchange().values()]
            self.tell("ready")
            verbs += [verb for agent in self.agents for verb in agent.exchange().values()]
            long_ago = now() - timedelta(minutes=5)
            drained = Replica.objects.filter(draining_at__gt=long_ago).update(draining_at=long_ago)
            tend_all()
            quiet = quiet + 1 if not drained and set(verbs) <= {"keep", "stop"} else 0
            if quiet == 2:
                break
        self.model.refresh_from_db()

    def served(self) -> list[int]:
        """Versions that agents have running."""
        return [
            agent.specs[key]["version"]
            for agent in self.agents
            for key, entry in agent.entries.items()
            if entry["state"] == "ready"
        ]


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink one takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS, st.sampled_from(["start", "stop", "delete"]))
def test_all_ends_as_it_is_wanted(ada: Any, steps: list[tuple[str, Any]], end: str) -> None:
    with transaction.atomic():
        lab = Lab(ada)
        for what, value in steps:
            lab.step(what, value)
        model = lab.model
        if end == "delete":
            models.remove(model, actor=ada)
        else:
            lab.people(end)
            if end == "start":
                operation.restart(model, actor=ada)  # what was given up stays so until then
        lab.settle()
        known = {str(one.pk): one.wanted for one in Replica.objects.filter(removed_at=None)}
        listed = {key for agent in lab.agents for key in agent.entries}
        assert listed <= known.keys()
        assert {known[key] for key in known.keys() - listed} <= {"stop"}  # never heard of there
        if end == "start":
            assert lab.served() == [model.current.number] * model.replicas_wanted
            assert (model.state, model.serving_id) == ("ready", model.current_id)
        else:
            assert lab.served() == []
            assert RegisteredModel.objects.get().state == "stopped"
        if end == "delete":
            assert not known
        quiet = [agent.exchange() for agent in lab.agents]
        assert all(verb in ("keep", "stop") for verbs in quiet for verb in verbs.values())
        transaction.set_rollback(True)
