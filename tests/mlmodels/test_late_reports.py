"""Two exchanges of one agent may be under way at once: what it said later counts."""

from __future__ import annotations

from mlmodels.models import Replica
from tests.mlmodels.factories import Agent


def test_a_report_that_was_overtaken_changes_nothing(replica: Replica, agent: Agent) -> None:
    agent.exchange()
    agent.tell(replica, "ready", revision=12)
    agent.exchange()
    agent.tell(replica, "starting", revision=11)
    agent.exchange()
    assert Replica.objects.get().state == "ready"
    agent.tell(replica, "starting", revision=13)
    agent.exchange()
    assert Replica.objects.get().state == "starting"
