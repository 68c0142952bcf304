"""The portal's half of the serving part of the exchange, and everything in it that can get lost,
come twice or late.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from clusters.models import Cluster
from labportal.common.clock import now
from labportal.notifications.models import Notification
from mlmodels import traffic
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.services import models, operation
from mlmodels.serving import take
from tests.clusters import factories as clusters
from tests.factories import UserFactory
from tests.mlmodels import factories
from tests.mlmodels.factories import Agent


def standing(model: RegisteredModel) -> str:
    model.refresh_from_db()
    return model.state


def test_a_wanted_replica_is_handed_out_once(replica: Replica, agent: Agent) -> None:
    assert agent.exchange() == {str(replica.pk): "serve"}
    assert agent.exchange() == {str(replica.pk): "keep"}


def test_a_serve_that_got_lost_is_said_again(replica: Replica, agent: Agent) -> None:
    agent.ask()  # its answer never arrived
    assert agent.exchange() == {str(replica.pk): "serve"}


def test_the_agent_is_told_all_that_it_needs(replica: Replica, agent: Agent) -> None:
    (told,) = agent.ask()
    spec = told["spec"]
    assert (told["generation"], spec["replica"]) == (1, str(replica.pk))
    assert spec["name"] == f"redshift-v1-{replica.name}"
    assert (spec["runtime"], spec["image"]) == ("container", "localhost/echo:1")
    assert spec["check"] == {"content_type": "application/json", "body": '{"x": 1}'}
    assert spec["files"] is None and spec["secrets"] is False and spec["purpose"] == "serve"


def test_a_model_is_ready_when_its_replica_is(ready: Replica, agent: Agent) -> None:
    model = RegisteredModel.objects.get()
    assert (model.state, model.serving_id) == ("ready", ready.version_id)
    assert ready.address.startswith("127.0.0.1:")
    verbs = list(model.events.values_list("verb", flat=True))
    assert verbs == ["register", "add_version", "start", "place", "replica_ready", "ready"]


def test_each_step_on_the_way_is_shown(
    replica: Replica, model: RegisteredModel, agent: Agent
) -> None:
    assert standing(model) == "starting"
    agent.exchange()
    agent.tell(replica, "preparing", why="the image is unpacked")
    agent.exchange()
    model.refresh_from_db()
    assert (model.state, model.why) == ("starting", "metis: the image is unpacked")


def test_a_report_that_comes_twice_changes_nothing(ready: Replica, agent: Agent) -> None:
    model = RegisteredModel.objects.get()
    events = model.events.count()
    agent.exchange()
    ready_again = Replica.objects.get()
    assert (ready_again.since, model.events.count()) == (ready.since, events)


def test_a_restart_is_another_generation(ready: Replica, agent: Agent, ada: Any) -> None:
    model = ready.version.model
    operation.restart(model, actor=ada)
    ready.refresh_from_db()
    assert (ready.generation, ready.state, ready.address) == (2, "", "")
    assert agent.ask()[0]["verb"] == "serve"
    ready.refresh_from_db()
    assert ready.state == ""  # what the old server says counts no more
    assert agent.exchange() == {str(ready.pk): "serve"}
    agent.tell(ready, "ready")
    agent.exchange()
    assert standing(model) == "ready"


def test_a_stopped_replica_keeps_its_place(ready: Replica, agent: Agent, ada: Any) -> None:
    model = ready.version.model
    operation.stop(model, actor=ada)
    assert standing(model) == "stopping"
    assert agent.exchange() == {str(ready.pk): "stop"}
    agent.exchange()
    assert standing(model) == "stopped"
    operation.start(model, actor=ada)
    assert agent.exchange() == {str(ready.pk): "serve"}
    assert Replica.objects.get().generation == 2


def test_a_removed_replica_is_gone_when_its_agent_lists_it_no_more(
    ready: Replica, agent: Agent, ada: Any
) -> None:
    models.remove(ready.version.model, actor=ada)
    assert agent.exchange() == {str(ready.pk): "remove"}
    ready.refresh_from_db()
    assert ready.removed_at is None
    assert agent.exchange() == {}
    ready.refresh_from_db()
    assert ready.removed_at is not None


def test_a_removal_that_got_lost_is_said_again(ready: Replica, agent: Agent, ada: Any) -> None:
    models.remove(ready.version.model, actor=ada)
    agent.ask()
    assert agent.ask()[0]["verb"] == "remove"
    assert Replica.objects.get().removed_at is None


def test_nothing_follows_from_a_replica_that_is_not_listed(
    ready: Replica, agent: Agent, ada: Any
) -> None:
    """Its removal was not told yet: the agent may be about to take it in."""
    agent.entries.clear()
    models.remove(ready.version.model, actor=ada)
    assert agent.exchange() == {str(ready.pk): "remove"}
    assert Replica.objects.get().removed_at is None
    agent.exchange()
    assert Replica.objects.get().removed_at is not None


def test_one_that_comes_back_after_its_removal_is_removed_again(
    ready: Replica, agent: Agent, ada: Any
) -> None:
    entry = dict(agent.entries[str(ready.pk)])
    models.remove(ready.version.model, actor=ada)
    agent.exchange()
    agent.exchange()
    agent.entries[str(ready.pk)] = entry
    assert agent.exchange() == {str(ready.pk): "remove"}


def test_what_nobody_knows_is_removed(agent: Agent) -> None:
    stranger = str(uuid.uuid4())
    agent.entries[stranger] = {"replica": stranger, "generation": 1, "state": "ready"}
    assert agent.exchange() == {stranger: "remove"}


def test_another_clusters_replica_is_not_taken_from_this_one(ready: Replica) -> None:
    other = Agent(factories.cluster("iris"))
    other.entries[str(ready.pk)] = {
        "replica": str(ready.pk),
        "generation": 1,
        "state": "given_up",
    }
    assert other.exchange() == {str(ready.pk): "remove"}
    ready.refresh_from_db()
    assert ready.state == "ready"


def test_an_agent_that_is_older_than_serving_is_told_nothing(
    ready: Replica, metis: Cluster
) -> None:
    served = take(metis, None)
    assert (served.entries, served.urgent) == ([], False)
    ready.refresh_from_db()
    assert ready.state == "ready"


def test_an_agent_that_lost_its_disk_serves_anew(ready: Replica, agent: Agent) -> None:
    agent.entries.clear()
    assert agent.exchange() == {str(ready.pk): "serve"}


def test_a_portal_with_an_older_database_has_it_start_anew(ready: Replica, agent: Agent) -> None:
    agent.entries[str(ready.pk)]["generation"] = 7
    assert agent.exchange() == {str(ready.pk): "serve"}
    assert agent.entries[str(ready.pk)]["generation"] == 8


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"replica": "../../etc"},
        {"replica": str(uuid.uuid4()), "state": 3, "generation": "many"},
        {"replica": None, "state": []},
    ],
)
def test_an_odd_entry_hurts_nobody(ready: Replica, agent: Agent, entry: dict[str, Any]) -> None:
    agent.entries["odd"] = entry
    agent.exchange()
    ready.refresh_from_db()
    assert ready.state == "ready"


def test_an_odd_state_of_a_known_replica_changes_nothing(ready: Replica, agent: Agent) -> None:
    agent.entries[str(ready.pk)]["state"] = "dancing"
    assert agent.exchange() == {str(ready.pk): "keep"}
    ready.refresh_from_db()
    assert ready.state == "ready"


def test_giving_up_is_told_once_with_the_end_of_the_log(
    ready: Replica, agent: Agent, root: Any
) -> None:
    root.notify_about_all = True
    root.save()
    UserFactory(role="admin")  # one who did not ask
    for _ in range(2):
        agent.tell(
            ready,
            "given_up",
            why="it ended 6 times in a row",
            tail=["Traceback (most recent call last):", "ValueError: no weights"],
            exit={"code": 1, "signal": None, "out_of_memory": False},
        )
        agent.exchange()
    model = RegisteredModel.objects.get()
    assert (model.state, model.why) == ("given_up", "metis: it ended 6 times in a row")
    assert Notification.objects.count() == 2
    for person in (model.created_by, root):
        told = person.notifications.get()
        assert told.subject == "Model redshift: metis gave up v1"
        assert "exit status 1" in told.body and "    ValueError: no weights" in told.body
    event = model.events.get(verb="replica_given_up")
    assert event.evidence[-1] == "ValueError: no weights"


def test_what_was_given_up_is_tried_again_when_somebody_says_so(
    ready: Replica, agent: Agent, ada: Any
) -> None:
    agent.tell(ready, "given_up", why="it ended 6 times in a row")
    agent.exchange()
    operation.restart(ready.version.model, actor=ada, replica=ready)
    assert standing(ready.version.model) == "starting"
    assert agent.exchange() == {str(ready.pk): "serve"}


def test_the_agent_hears_of_the_calls_that_its_replica_answers(
    ready: Replica, agent: Agent
) -> None:
    traffic.tell("a proxy", {str(ready.pk): (3, now().timestamp() - 4)})
    (told,) = agent.ask()
    assert told["traffic"]["in_flight"] == 3
    assert 3 < told["traffic"]["answered_s"] < 60


def test_an_older_check_does_not_hide_a_later_answer(ready: Replica, agent: Agent) -> None:
    moment = now()
    Replica.objects.update(answered_at=moment)
    for at in (moment - timedelta(hours=1), moment):
        agent.tell(ready, "ready", check={"ok": True, "at": at.isoformat()})
        agent.exchange()
        ready.refresh_from_db()
        assert ready.answered_at == moment


def test_an_agent_is_called_when_something_is_wanted_of_it(
    version: ModelVersion, ada: Any, django_capture_on_commit_callbacks: Any
) -> None:
    before = Cluster.objects.get().desired
    with django_capture_on_commit_callbacks(execute=True):
        operation.start(version.model, actor=ada)
    assert Cluster.objects.get().desired > before


def test_agents_are_hurried_by_news_alone(
    ready: Replica, metis: Cluster, agent: Agent, ada: Any
) -> None:
    entries = list(agent.entries.values())
    assert not take(metis, entries).urgent
    assert take(metis, []).urgent
    operation.stop(ready.version.model, actor=ada)
    assert take(metis, entries).urgent
    entries[0]["state"] = "stopping"
    assert not take(metis, entries).urgent
    models.remove(ready.version.model, actor=ada)
    assert take(metis, entries).urgent
    assert not take(metis, entries).urgent


def test_an_exchange_of_a_cluster_without_models_costs_one_look(
    metis: Cluster, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        take(metis, [])


def test_an_exchange_without_news_costs_the_same_for_many_models(
    metis: Cluster, ada: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(4):
        operation.start(factories.version(factories.registered(ada)).model, actor=ada)
    agent = Agent(metis)
    agent.exchange()
    for one in Replica.objects.all():
        agent.tell(one, "ready")
    agent.exchange()
    entries = list(agent.entries.values())
    with django_assert_max_num_queries(2):
        take(metis, entries)


def test_the_whole_exchange_carries_models(model: RegisteredModel, root: Any) -> None:
    metis = Cluster.objects.get()
    agent = clusters.Agent(metis, root)
    answer = agent.exchange(serving=[])
    (told,) = answer.document["serving"]
    assert told["verb"] == "serve" and answer.urgent
    agent.exchange(serving=[{**told, "state": "ready", "address": "127.0.0.1:40001"}])
    assert standing(model) == "ready"
