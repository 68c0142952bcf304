"""The portal's half of the exchange: hand-out, reports, fencing, and everything that can come twice
or late.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from calculations.models import Attempt, Calculation, OrphanResult, Quantity, Run
from calculations.services import lifecycle
from clusters import keys, leases, placement
from clusters.agent import exchanger
from clusters.exchange import NewerBoot, OtherAgent, OtherProtocol, handle
from clusters.keys import KeyRefused
from clusters.models import Cluster, LogLine, Metrics
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from tests.calculations.factories import chain, submitted
from tests.clusters.factories import Agent, cluster, finished


@pytest.fixture
def metis(db: None) -> Cluster:
    return cluster("metis")


@pytest.fixture
def agent(metis: Cluster, root: Any) -> Agent:
    agent = Agent(metis, root)
    agent.exchange()
    return agent


@pytest.fixture
def held(ada: Any, agent: Agent) -> Run:
    """A run that the agent has taken in."""
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    return calculation.runs.get()


def test_a_queued_run_is_handed_out_once(ada: Any, agent: Agent) -> None:
    calculation = submitted(ada)
    assert placement.place() == 1
    run = calculation.runs.get()
    assert (run.state, run.attempt, run.cluster) == ("assigned", 1, agent.cluster)
    assert agent.verbs() == {str(run.pk): "execute"}
    assert agent.verbs() == {str(run.pk): "keep"}
    assert placement.place() == 0


def test_an_execute_that_got_lost_is_said_again(ada: Any, agent: Agent) -> None:
    submitted(ada)
    placement.place()
    agent.exchange()
    agent.runs.clear()  # the reply never arrived
    assert list(agent.verbs().values()) == ["execute"]


def test_the_whole_way_to_a_valid_result(held: Run, agent: Agent) -> None:
    agent.tell(
        held.pk, "running", scheduler_id="4711", progress={"done": 3, "of": None, "what": "SCF"}
    )
    agent.exchange()
    held.refresh_from_db()
    assert held.state == "running" and held.progress["done"] == 3
    assert held.calculation.state == "running"
    agent.tell(held.pk, "finished", **finished(value=-465.8))
    assert agent.verbs() == {str(held.pk): "close"}
    held.refresh_from_db()
    calculation = Calculation.objects.get()
    assert (held.state, calculation.state) == ("valid", "valid")
    assert Quantity.objects.get(run=held).number == -465.8
    attempt = Attempt.objects.get()
    assert (attempt.number, attempt.code, attempt.exit_code) == (1, "converged", 0)
    verbs = list(calculation.events.values_list("verb", flat=True))
    assert verbs == [
        "create",
        "submit",
        "approve_by_rule",
        "assign",
        "start",
        "start",
        "finish_valid",
        "conclude_valid",
    ]
    assert calculation.events.get(verb="finish_valid").evidence == ["the output says so"]


def test_a_report_that_comes_twice_is_stored_once(held: Run, agent: Agent) -> None:
    agent.tell(held.pk, "finished", **finished(value=1.0))
    report = dict(agent.runs[str(held.pk)])
    agent.exchange()
    agent.runs[str(held.pk)] = report  # the reply got lost
    assert agent.verbs() == {str(held.pk): "close"}
    assert Quantity.objects.count() == 1
    assert Attempt.objects.count() == 1
    assert Calculation.objects.get().events.filter(verb="finish_valid").count() == 1


def test_an_old_attempt_is_abandoned_and_its_result_kept(held: Run, agent: Agent) -> None:
    Run.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert leases.expire_leases() == 1
    held.refresh_from_db()
    assert (held.state, held.losses) == ("queued", 1)
    placement.place()
    agent.tell(held.pk, "finished", **finished(value=7.0))
    verbs = [(i["attempt"], i["verb"]) for i in agent.exchange().document["runs"]]
    assert verbs[0] == (1, "abandon")
    orphan = OrphanResult.objects.get()
    assert (orphan.run, orphan.attempt) == (held, 1)
    assert not Quantity.objects.exists()
    held.refresh_from_db()
    assert (held.state, held.attempt) == ("assigned", 2)


def test_another_cluster_cannot_report_on_the_run(held: Run, root: Any) -> None:
    other = Agent(cluster("tesla"), root, agent_id="agent-2")
    entry = {"run": str(held.pk), "attempt": 1, "state": "finished", **finished(value=9.0)}
    answer = other.exchange(runs=[entry])
    assert [i["verb"] for i in answer.document["runs"]] == ["abandon"]
    held.refresh_from_db()
    assert held.state == "assigned"
    assert not Quantity.objects.exists()


def test_unknown_and_malformed_runs_change_nothing(agent: Agent) -> None:
    unknown = str(uuid.uuid4())
    entries = [
        {"run": unknown, "attempt": 1, "state": "running"},
        {"run": "no uuid", "attempt": 1},
        {"attempt": 1},
        {"run": unknown[:-1] + "x", "attempt": "many"},
    ]
    answer = agent.exchange(runs=entries)
    assert [(i["run"], i["verb"]) for i in answer.document["runs"]] == [(unknown, "abandon")]


def test_a_report_that_cannot_be_read_fails_the_run_and_says_why(held: Run, agent: Agent) -> None:
    agent.tell(held.pk, "finished", outcome={"verdict": "splendid"})
    agent.exchange()
    held.refresh_from_db()
    assert held.state == "failed"
    assert Attempt.objects.get().code == "unreadable_report"


def test_numbers_that_are_no_numbers_are_left_out(held: Run, agent: Agent) -> None:
    report = finished()
    report["results"]["quantities"] = [
        {"name": "a", "label": "A", "value": float("nan"), "unit": ""},
        {"name": "b", "label": "B", "value": True, "unit": ""},
        {"name": "c", "label": "C", "value": "word", "unit": ""},
    ]
    agent.tell(held.pk, "finished", **report)
    agent.exchange()
    assert {q.name: q.value for q in Quantity.objects.all()} == {"b": True, "c": "word"}


def test_absence_changes_nothing(held: Run, agent: Agent) -> None:
    agent.runs.clear()
    agent.exchange(runs=[])
    held.refresh_from_db()
    assert held.state == "assigned"


def test_an_agent_that_lost_its_disk_gives_its_leases_back(held: Run, agent: Agent) -> None:
    Cluster.objects.update(last_exchange_at=now() - timedelta(minutes=2))
    agent.agent_id, agent.runs = "agent-new", {}
    agent.exchange()
    held.refresh_from_db()
    assert (held.state, held.losses) == ("queued", 1)
    assert Attempt.objects.get().ending == "lost"


def test_a_second_agent_with_the_same_key_is_refused(agent: Agent) -> None:
    agent.agent_id = "somebody-else"
    with pytest.raises(OtherAgent):
        agent.exchange()


def test_of_two_processes_with_one_identity_the_later_is_heard(agent: Agent) -> None:
    agent.boot = "later"
    agent.exchange()
    agent.boot = "b1"
    with pytest.raises(NewerBoot) as refused:
        agent.exchange()
    assert refused.value.code == exchanger.NEWER_BOOT
    agent.boot = "later"
    agent.exchange()


def test_a_run_lost_too_often_is_given_up(held: Run, agent: Agent) -> None:
    for attempt in (1, 2, 3, 4):
        held.refresh_from_db()
        assert held.attempt == attempt
        agent.tell(held.pk, "lost", why="the node went away")
        agent.exchange()
        placement.place()
        agent.exchange()
    held.refresh_from_db()
    assert held.state == "failed"
    assert "lost 4 times" in held.reason
    assert Calculation.objects.get().state == "failed"
    assert Attempt.objects.count() == 4


def test_cancelling_is_confirmed_by_the_agent(held: Run, agent: Agent, ada: Any) -> None:
    lifecycle.cancel(held.calculation, actor=ada)
    held.refresh_from_db()
    assert held.state == "assigned"
    assert agent.verbs() == {str(held.pk): "cancel"}
    agent.tell(held.pk, "cancelled", why="asked")
    assert agent.verbs() == {str(held.pk): "close"}
    held.refresh_from_db()
    assert held.state == "cancelled"
    assert Calculation.objects.get().state == "cancelled"


def test_a_cancelled_run_whose_cluster_vanished_ends_with_its_lease(held: Run, ada: Any) -> None:
    lifecycle.cancel(held.calculation, actor=ada)
    Run.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    leases.expire_leases()
    assert Calculation.objects.get().state == "cancelled"


def test_a_chain_carries_files_and_goes_on_only_from_valid_runs(ada: Any, agent: Agent) -> None:
    calculation = chain(ada, runs=3)
    placement.place()
    first, second, third = calculation.runs.order_by("index")
    assert [r.state for r in (first, second, third)] == ["assigned", "waiting", "waiting"]
    agent.exchange()
    agent.tell(first.pk, "finished", **finished())
    agent.exchange()
    placement.place()
    spec = next(i["spec"] for i in agent.exchange().document["runs"] if i["verb"] == "execute")
    assert spec["run"] == str(second.pk)
    assert spec["carry"] == {"run": str(first.pk), "patterns": ("state.txt",), "attempt": None}
    assert spec["parameters"]["value"] == 1.0
    agent.tell(second.pk, "finished", **finished("not_valid"))
    agent.exchange()
    third.refresh_from_db()
    assert third.state == "skipped"
    assert third.reason == "run 2 is not valid: it is not_valid"
    calculation.refresh_from_db()
    assert calculation.state == "not_valid"


def test_a_retried_chain_starts_after_its_last_valid_run(ada: Any, agent: Agent) -> None:
    test_a_chain_carries_files_and_goes_on_only_from_valid_runs(ada, agent)
    calculation = Calculation.objects.get()
    lifecycle.retry(calculation, actor=ada)
    states = list(calculation.runs.order_by("index").values_list("state", flat=True))
    assert states == ["valid", "queued", "waiting"]
    for _ in range(2):
        placement.place()
        agent.exchange()
        for run_id in list(agent.runs):
            agent.tell(run_id, "finished", **finished())
        agent.exchange()
    calculation.refresh_from_db()
    assert calculation.state == "valid"
    assert list(calculation.runs.order_by("index").values_list("attempt", flat=True)) == [1, 2, 1]


def test_events_are_stored_once(agent: Agent) -> None:
    agent.log("first")
    agent.log("second")
    sent = list(agent.events)
    agent.exchange()
    agent.exchange(events=sent)  # the acknowledgement got lost
    assert list(LogLine.objects.order_by("id").values_list("text", flat=True)) == [
        "first",
        "second",
    ]
    agent.cluster.refresh_from_db()
    assert agent.cluster.acknowledged == 2


def test_metrics_are_stored_and_bad_numbers_left_out(agent: Agent) -> None:
    event = {
        "seq": 1,
        "at": now().isoformat(),
        "kind": "metrics",
        "cpu_percent": 12.5,
        "load1": "high",
        "memory_mib": float("inf"),
    }
    agent.exchange(events=[event])
    row = Metrics.objects.get()
    assert (row.cpu_percent, row.load1, row.memory_mib) == (12.5, None, None)


def test_leases_are_renewed_by_an_exchange(held: Run, agent: Agent) -> None:
    Run.objects.update(lease_expires_at=now() + timedelta(seconds=60))
    agent.exchange()
    held.refresh_from_db()
    assert held.lease_expires_at > now() + timedelta(seconds=250)


def test_a_disabled_cluster_gets_no_work_but_is_heard(ada: Any, agent: Agent) -> None:
    Cluster.objects.update(enabled=False, maintenance_note="new disks")
    calculation = submitted(ada)
    assert placement.place() == 0
    assert agent.exchange().document["runs"] == []
    assert calculation.runs.get().state == "queued"


@pytest.mark.parametrize("protocol", [0, 2, None, "1"])
def test_another_protocol_is_refused(agent: Agent, protocol: Any) -> None:
    with pytest.raises(OtherProtocol):
        agent.exchange(protocol=protocol)


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", "Api-Key", "Api-Key lpk_", "Api-Key lpk_00000000_x"]
)
def test_a_wrong_key_is_refused(agent: Agent, authorization: str) -> None:
    with pytest.raises(KeyRefused):
        handle(authorization, agent.document())


def test_a_revoked_and_an_expired_key_are_refused(agent: Agent, root: Any) -> None:
    keys.revoke(agent.key, actor=root)
    with pytest.raises(KeyRefused) as refusal:
        agent.exchange()
    assert refusal.value.code == "key-revoked"
    late = Agent(agent.cluster, root)
    agent.cluster.api_keys.filter(pk=late.key.pk).update(expires_at=now() - timedelta(days=1))
    with pytest.raises(KeyRefused) as refusal:
        late.exchange()
    assert refusal.value.code == "key-expired"


@pytest.mark.parametrize(
    "change",
    [{"agent": {}}, {"agent": None}, {"runs": {"a": 1}}, {"events": [1]}, {"capacity": []}],
)
def test_a_malformed_document_is_refused_and_stores_nothing(
    agent: Agent, change: dict[str, Any]
) -> None:
    before = Cluster.objects.get().last_exchange_at
    with pytest.raises(InvalidInput):
        agent.exchange(**change)
    assert Cluster.objects.get().last_exchange_at == before


def test_many_runs_cost_a_constant_number_of_queries(
    ada: Any, agent: Agent, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        submitted(ada, name=f"n{number}")
    Cluster.objects.update(capacity={**agent.cluster.capacity, "slots": {"total": 50, "free": 50}})
    agent.cluster.refresh_from_db()
    placement.place()
    with django_assert_max_num_queries(16):
        agent.exchange()
    for run_id in agent.runs:
        agent.tell(run_id, "finished", **finished(value=1.0))
    with django_assert_max_num_queries(35):
        agent.exchange()
    assert Calculation.objects.filter(state="valid").count() == 20
