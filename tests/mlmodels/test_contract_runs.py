"""Runs of the contract test: placed, told to an agent, their outcome kept, the replica removed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clusters.models import Cluster
from labportal.common.clock import now
from labportal.common.errors import NotAllowed, WrongMoment
from mlmodels.models import ContractCheck, ModelVersion, Replica
from mlmodels.services import contracts, operation
from tests.mlmodels import factories
from tests.mlmodels.factories import Agent

PING = {"name": "ping", "title": "/ping answers within 2 s", "ok": True, "detail": "in 3 ms"}
ANSWERED = {"name": "invocations", "title": "answers its example", "ok": True, "detail": "by 200"}
NOT_MADE = {"name": "loading", "title": "503 while loading", "ok": None, "detail": "it was quick"}
PASSED = [PING, ANSWERED, NOT_MADE]
FAILED = [*PASSED, {"name": "sigterm", "title": "ends by SIGTERM", "ok": False, "detail": "31 s"}]
NOT_ANSWERED = "the example was not answered"


@pytest.fixture
def check(version: ModelVersion, agent: Agent, ada: Any) -> ContractCheck:
    """A test that the agent has taken in."""
    made = contracts.check(version, actor=ada)
    agent.exchange()
    return made


def test_a_test_has_a_replica_of_its_own(check: ContractCheck, agent: Agent) -> None:
    replica = check.replica
    assert replica is not None
    assert agent.specs[str(replica.pk)]["purpose"] == "contract"
    check.version.model.refresh_from_db()
    assert check.version.model.state == "stopped"


@pytest.mark.parametrize(
    ("checks", "passed", "why"),
    [
        (PASSED, True, ""),
        (FAILED, False, "ends by SIGTERM"),
        ([], False, NOT_ANSWERED),
        ([PING], False, NOT_ANSWERED),
    ],
)
def test_its_outcome_is_kept(
    check: ContractCheck, agent: Agent, checks: list[Any], passed: bool, why: str
) -> None:
    agent.tell(check.replica, "stopped", contract=checks)
    assert agent.exchange() == {str(check.replica_id): "remove"}
    agent.exchange()
    check.refresh_from_db()
    assert (check.passed, check.why, check.checks) == (passed, why, checks)
    assert (check.version.contract_passed_at is not None) is passed
    assert Replica.objects.get().removed_at is not None
    verb = "contract_passed" if passed else "contract_failed"
    assert check.version.model.events.filter(verb=verb).count() == 1


def test_a_version_that_fails_later_has_no_badge_any_more(
    check: ContractCheck, agent: Agent, ada: Any
) -> None:
    agent.tell(check.replica, "stopped", contract=PASSED)
    agent.exchange()
    agent.exchange()
    again = contracts.check(check.version, actor=ada)
    agent.exchange()
    agent.tell(again.replica, "stopped", contract=FAILED)
    agent.exchange()
    check.version.refresh_from_db()
    assert check.version.contract_passed_at is None


def test_a_server_that_never_was_ready_has_failed(check: ContractCheck, agent: Agent) -> None:
    agent.tell(check.replica, "given_up", why="there is no image of this name")
    agent.exchange()
    check.refresh_from_db()
    assert (check.passed, check.why) == (False, "there is no image of this name")


@pytest.mark.parametrize("told", ["yes", [1, None, {"ok": "true"}], {"a": 1}])
def test_an_odd_outcome_is_never_a_good_one(check: ContractCheck, agent: Agent, told: Any) -> None:
    agent.tell(check.replica, "stopped", contract=told)
    agent.exchange()
    check.refresh_from_db()
    assert not check.passed


def test_one_test_at_a_time(check: ContractCheck, ada: Any) -> None:
    assert contracts.check(check.version, actor=ada) == check
    assert Replica.objects.count() == 1


def test_a_node_that_falls_silent_ends_the_test(check: ContractCheck) -> None:
    assert contracts.expire() == 0
    ContractCheck.objects.update(began_at=now() - timedelta(hours=2))
    assert contracts.expire() == 1
    check.refresh_from_db()
    assert (check.passed, check.why) == (False, "the node did not say how it went")
    replica = Replica.objects.get()
    assert (replica.wanted, replica.removed_at) == ("remove", None)
    Cluster.objects.update(last_exchange_at=now() - timedelta(hours=1))
    contracts.expire()
    assert Replica.objects.get().removed_at is not None


def test_a_test_needs_a_place(ada: Any, version: ModelVersion) -> None:
    Cluster.objects.update(draining=True)
    with pytest.raises(WrongMoment, match="metis takes no new work"):
        contracts.check(version, actor=ada)


def test_a_test_may_be_asked_of_one_node(ada: Any, version: ModelVersion) -> None:
    iris = factories.cluster("iris", free={"cores": 1})
    made = contracts.check(version, actor=ada, cluster=iris)
    assert made.replica is not None and made.replica.cluster == iris


def test_a_reviewer_may_test_what_is_not_approved(
    ada: Any, max: Any, eve: Any, version: ModelVersion
) -> None:
    new = factories.version(version.model, approved=False)
    with pytest.raises(WrongMoment, match="waits for approval"):
        contracts.check(new, actor=ada)
    with pytest.raises(NotAllowed):
        contracts.check(new, actor=eve)
    assert contracts.check(new, actor=max).ended_at is None


def test_a_model_that_serves_is_not_disturbed_by_its_test(metis: Cluster, ada: Any) -> None:
    replica = factories.running(ada)
    contracts.check(replica.version, actor=ada)
    operation.restart(replica.version.model, actor=ada)
    tested = Replica.objects.get(purpose="contract")
    assert (tested.generation, tested.wanted) == (1, "serve")
    operation.stop(replica.version.model, actor=ada)
    tested.refresh_from_db()
    assert tested.wanted == "serve"
