"""What people do with a model: register, change, start, stop, update without a failed call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from clusters.models import Cluster
from clusters.selectors.clusters import cards, clusters
from clusters.services.clusters import delete
from clusters.services.operation import drain
from labportal.audit.models import AuditEntry
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, NotFound, WrongMoment
from mlmodels import traffic
from mlmodels.models import ModelVersion, RegisteredModel, Replica
from mlmodels.services import models, operation, replicas, versions
from mlmodels.services.tending import tend_all
from tests.mlmodels import factories
from tests.mlmodels.factories import Agent


@pytest.fixture
def model(version: ModelVersion) -> RegisteredModel:
    return version.model


def verbs(model: RegisteredModel) -> list[str]:
    return list(model.events.values_list("verb", flat=True))


def come_up(agent: Agent, version: ModelVersion) -> None:
    """Let the agent take in what it shall serve, and the version become ready."""
    agent.exchange()
    for one in version.replicas.filter(cluster=agent.cluster, removed_at=None):
        agent.tell(one, "ready")
    agent.exchange()


def test_a_model_is_registered_stopped_and_without_a_version(ada: Any) -> None:
    model = models.register(name="echo", actor=ada, description=" It answers. ", timeout_s=5)
    assert (model.desired, model.state, model.current) == ("stopped", "stopped", None)
    assert (model.description, model.timeout_s, model.created_by) == ("It answers.", 5, ada)
    assert verbs(model) == ["register"]
    assert AuditEntry.objects.get(verb="model.register").target == "echo"


@pytest.mark.parametrize("name", ["", "new", "Echo", "echo;rm -rf /", "$(id)", "-v", "e" * 64])
def test_names_that_are_none_are_refused(name: str, ada: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        models.register(name=name, actor=ada)
    assert "name" in refusal.value.errors


def test_a_name_is_taken_once(ada: Any, eve: Any) -> None:
    models.register(name="echo", actor=ada)
    with pytest.raises(InvalidInput, match="already"):
        models.register(name="echo", actor=eve)


def test_all_that_is_wrong_is_named(ada: Any) -> None:
    with pytest.raises(InvalidInput) as refusal:
        models.register(name="echo", actor=ada, replicas_wanted=0, timeout_s=9999)
    assert refusal.value.errors.keys() == {"replicas_wanted", "timeout_s"}
    with pytest.raises(InvalidInput) as refusal:
        models.register(name="echo", actor=ada, state="ready")
    assert refusal.value.errors.keys() == {"state"}


@pytest.mark.parametrize(
    "verb", ["update", "remove", "start", "stop", "restart", "roll_back", "deploy", "add_version"]
)
def test_an_outsider_changes_nothing(verb: str, model: RegisteredModel, eve: Any) -> None:
    subject = model.current if verb == "deploy" else model
    service = next(m for m in (models, operation, versions) if hasattr(m, verb))
    with pytest.raises(NotAllowed):
        getattr(service, verb)(subject, actor=eve)
    assert Replica.objects.count() == 0


def test_whoever_manages_models_may_change_any(model: RegisteredModel, max: Any) -> None:
    operation.start(model, actor=max)
    assert model.desired == "running"
    assert model.events.get(verb="start").actor == max


def test_a_model_without_a_version_cannot_start(metis: Cluster, ada: Any) -> None:
    with pytest.raises(WrongMoment, match="no version yet"):
        operation.start(factories.registered(ada), actor=ada)


def test_a_version_runs_once_it_is_approved(metis: Cluster, ada: Any, max: Any) -> None:
    model = factories.registered(ada)
    version = factories.version(model, approved=False)
    with pytest.raises(WrongMoment, match="waits for approval"):
        operation.start(model, actor=ada)
    with pytest.raises(WrongMoment, match="waits for approval"):
        operation.deploy(factories.version(model, approved=False), actor=ada)
    with pytest.raises(NotAllowed):
        versions.approve(version, actor=ada)
    versions.approve(version, actor=max)
    operation.start(model, actor=ada)
    assert Replica.objects.count() == 1


def test_who_approves_versions_has_approved_their_own(max: Any) -> None:
    version = factories.version(factories.registered(max))
    assert version.approved_by == max


def test_starting_twice_is_once(model: RegisteredModel, ada: Any) -> None:
    operation.start(model, actor=ada)
    operation.start(model, actor=ada)
    assert verbs(model).count("start") == 1
    assert Replica.objects.count() == 1


def test_a_stopped_model_is_not_restarted(model: RegisteredModel, ada: Any) -> None:
    with pytest.raises(WrongMoment, match="start it"):
        operation.restart(model, actor=ada)


def test_another_models_replica_is_not_restarted(model: RegisteredModel, ada: Any) -> None:
    other = factories.running(ada, "other")
    operation.start(model, actor=ada)
    with pytest.raises(NotFound):
        operation.restart(model, actor=ada, replica=other)
    other.refresh_from_db()
    assert other.generation == 1


def test_an_update_fails_no_call(metis: Cluster, ada: Any) -> None:
    old = factories.running(ada, "redshift")
    agent, model = Agent(metis), old.version.model
    agent.entries[str(old.pk)] = {
        "replica": str(old.pk),
        "generation": 1,
        "state": "ready",
        "launch": 1,
        "address": old.address,
    }
    new = factories.version(model)
    operation.deploy(new, actor=ada)
    model.refresh_from_db()
    assert (model.state, model.serving, model.current) == ("updating", old.version, new)
    assert model.why == "v2 comes up beside v1"
    traffic.tell("a proxy", {str(old.pk): (1, 0.0)})
    come_up(agent, new)
    old.refresh_from_db()
    model.refresh_from_db()
    assert (model.state, model.serving, model.previous) == ("ready", new, old.version)
    assert old.draining_at is not None and old.wanted == "serve"
    Replica.objects.filter(pk=old.pk).update(draining_at=now() - timedelta(seconds=20))
    tend_all()
    old.refresh_from_db()
    assert old.wanted == "serve"  # it still answers a call
    traffic.tell("a proxy", {str(old.pk): (0, 0.0)})
    tend_all()
    assert agent.exchange()[str(old.pk)] == "remove"
    agent.exchange()
    assert Replica.objects.get(removed_at=None).version == new
    assert "switch" in verbs(model)


def test_going_back_in_the_middle_of_an_update_never_left(metis: Cluster, ada: Any) -> None:
    old = factories.running(ada, "redshift")
    model = old.version.model
    new = factories.version(model)
    operation.deploy(new, actor=ada)
    operation.roll_back(model, actor=ada)
    old.refresh_from_db()
    assert (model.current, model.serving, model.previous) == (old.version, old.version, new)
    assert (model.state, old.wanted, old.draining_at) == ("ready", "serve", None)
    assert new.replicas.get().wanted == "remove"


def test_one_goes_back_to_what_answered_not_to_what_never_came_up(metis: Cluster, ada: Any) -> None:
    old = factories.running(ada, "redshift")
    model = old.version.model
    for _ in range(2):
        operation.deploy(factories.version(model), actor=ada)
        model.refresh_from_db()
    assert model.previous == old.version


def test_a_new_version_that_is_given_up_leaves_the_old_one(metis: Cluster, ada: Any) -> None:
    old = factories.running(ada, "redshift")
    model = old.version.model
    new = factories.version(model)
    operation.deploy(new, actor=ada)
    agent = Agent(metis)
    agent.exchange()
    agent.entries[str(old.pk)].update(state="ready", address=old.address)
    agent.tell(new.replicas.get(), "given_up", why="no weights")
    agent.exchange()
    model.refresh_from_db()
    assert (model.state, model.serving) == ("degraded", old.version)
    assert model.why == "v2 was given up, v1 answers; metis: no weights"
    assert model.answers


def test_there_must_be_something_to_go_back_to(model: RegisteredModel, ada: Any) -> None:
    with pytest.raises(WrongMoment, match="no version to go back to"):
        operation.roll_back(model, actor=ada)


def test_a_stopped_model_stays_stopped_when_another_version_is_deployed(
    model: RegisteredModel, ada: Any
) -> None:
    operation.deploy(factories.version(model), actor=ada)
    model.refresh_from_db()
    assert (model.current.number, model.desired) == (2, "stopped")
    assert not Replica.objects.exists()


def test_an_update_without_room_takes_the_place_of_one_of_two(ada: Any) -> None:
    metis = factories.cluster("metis", free={"cores": 8})
    model = factories.registered(ada, "wide", replicas_wanted=2)
    factories.version(model, cores=4)
    operation.start(model, actor=ada)
    agent = Agent(metis)
    come_up(agent, model.current)
    metis.capacity["serving"]["free"]["cores"] = 0
    metis.save()
    new = factories.version(model, cores=4)
    operation.deploy(new, actor=ada)
    model.refresh_from_db()
    assert (model.state, model.answers) == ("updating", True)
    assert "metis has no core free, and 4 are asked for" in model.why
    assert Replica.objects.exclude(draining_at=None).count() == 1
    tend_all()
    assert Replica.objects.exclude(draining_at=None).count() == 1  # one after the other


def test_fewer_replicas_are_fewer(metis: Cluster, ada: Any) -> None:
    model = factories.registered(ada, replicas_wanted=3)
    operation.start(factories.version(model).model, actor=ada)
    models.update(model, actor=ada, replicas_wanted=1)
    assert Replica.objects.filter(wanted="serve").count() == 1
    event = model.events.get(verb="change")
    assert event.evidence == ["replicas wanted: 3 → 1"]


def test_what_was_put_by_and_is_needed_no_more_goes(metis: Cluster, ada: Any) -> None:
    model = factories.registered(ada, replicas_wanted=2)
    operation.start(factories.version(model).model, actor=ada)
    operation.stop(model, actor=ada)
    models.update(model, actor=ada, replicas_wanted=1)
    assert Replica.objects.filter(wanted="stop").count() == 2
    operation.start(model, actor=ada)
    assert sorted(Replica.objects.values_list("wanted", flat=True)) == ["remove", "serve"]


def test_replicas_leave_a_cluster_that_is_not_among_the_models_any_more(
    metis: Cluster, ada: Any
) -> None:
    one = factories.running(ada)
    iris = factories.cluster("iris")
    models.update(one.version.model, actor=ada, clusters=[iris])
    assert Replica.objects.filter(cluster=iris).count() == 1


def test_a_deleted_model_is_seen_no_more_and_leaves_its_name(
    model: RegisteredModel, ada: Any
) -> None:
    models.remove(model, actor=ada)
    models.remove(model, actor=ada)
    assert not RegisteredModel.objects.visible_to(ada).exists()
    assert factories.registered(ada, "redshift").pk != model.pk
    with pytest.raises(NotFound):
        operation.start(model, actor=ada)


def test_calls_that_fail_are_noted_and_told_once(metis: Cluster, ada: Any) -> None:
    one = factories.running(ada)
    for failed in (1, 2, 3, 4):
        replicas.report_failures(one.pk, failed, "no connection within 250 ms")
    one.refresh_from_db()
    assert one.failed_calls == 4
    replicas.report_failures(one.pk, 0)
    told = one.version.model.events.filter(actor_label="proxy").values_list("verb", "note")
    assert list(told) == [
        ("calls_fail", "3 calls in a row failed: no connection within 250 ms"),
        ("calls_answered", "calls are answered again"),
    ]


def test_what_speaks_against_a_ready_model_is_said(metis: Cluster, ada: Any) -> None:
    one = factories.running(ada)
    model = one.version.model
    replicas.report_failures(one.pk, 3, "no connection")
    tend_all()
    model.refresh_from_db()
    assert (model.state, model.why) == ("ready", "metis: the last 3 calls failed")
    Cluster.objects.update(last_exchange_at=now() - timedelta(minutes=4))
    tend_all()
    model.refresh_from_db()
    assert (model.state, model.why.partition(":")[0]) == ("ready", "metis is silent")


def test_a_cluster_that_served_models_keeps_its_name(metis: Cluster, ada: Any, root: Any) -> None:
    models.remove(factories.running(ada).version.model, actor=ada)
    with pytest.raises(WrongMoment, match="Models run on metis"):
        delete(metis, actor=root)


def test_a_cluster_is_drained_when_no_model_is_served_there(
    metis: Cluster, ada: Any, root: Any
) -> None:
    one = factories.running(ada)
    drain(metis, actor=root)
    (card,) = cards(clusters(root))
    assert (card.label, card.why) == ("Draining", "1 server of models still ends")
    operation.stop(one.version.model, actor=ada)
    (card,) = cards(clusters(root))
    assert card.label == "Drained"


def test_without_redis_nobody_is_cut_off(metis: Cluster, ada: Any, monkeypatch: Any) -> None:
    from mlmodels.services import tending

    one = factories.running(ada)
    monkeypatch.setattr(traffic, "of", lambda _: {})
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        tending.redis_client.cache_clear()
        known = tending.calls_in_flight([one.pk])
    tending.redis_client.cache_clear()
    assert known == {one.pk: None}
    assert tending.calls_in_flight([one.pk]) == {one.pk: 0}
