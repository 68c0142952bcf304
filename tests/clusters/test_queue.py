"""The portal's end of the carrier `queue`: who is answered, who is refused, who is never heard."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from kombu import Queue
from kombu.exceptions import OperationalError

from calculations.models import Run
from calculations.states import RunState
from clusters import calling, keys
from clusters.models import ApiKey, Cluster
from clusters.node.messages import Kind, Message, pack, signing_key, unpack
from clusters.transports import answering, queue
from labportal import celery
from labportal.accounts.models import User
from labportal.common.clock import now
from labportal.common.wake import redis_client
from tests.calculations.factories import submitted
from tests.clusters.factories import Agent, cluster, finished

AGENT = "7df70f6c"


class Node:
    """A node as the portal sees it: signs what a test tells it to."""

    def __init__(self, site: Cluster, root: User) -> None:
        self.agent = Agent(site, root)
        self.cluster = site
        self.key, self.secret = self.agent.key, signing_key(self.agent.secret)
        self.at_ms = queue._now_ms()

    def request(self, document: Any = None, **changes: Any) -> dict[str, Any]:
        self.at_ms += 1
        sign = changes.pop("sign", self.secret)
        fields: dict[str, Any] = {
            "kind": Kind.REQUEST,
            "node": self.cluster.name,
            "key": self.key.prefix,
            "id": uuid.uuid4().hex,
            "at_ms": self.at_ms,
            "document": document if document is not None else self.agent.document(),
            "reply_to": AGENT,
            **changes,
        }
        return pack(Message(**fields), sign)

    def ask(self, envelope: dict[str, Any] | None = None, **changes: Any) -> Message:
        found = queue.answer(envelope or self.request(**changes))
        assert found is not None
        where, told = found
        assert where.name == f"node.{self.cluster.name}.{AGENT}"
        return unpack(told, self.secret)

    def problem(self, envelope: dict[str, Any] | None = None, **changes: Any) -> tuple[int, str]:
        answer = self.ask(envelope, **changes)
        assert answer.kind is Kind.PROBLEM
        return answer.document["status"], answer.document["code"]


@pytest.fixture(autouse=True)
def _looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's transaction looks like a connection that somebody left behind."""
    monkeypatch.setattr(answering._thread, "checked_at", time.monotonic(), raising=False)


@pytest.fixture
def gpu(db: None) -> Cluster:
    return cluster("gpu-1", carrier=Cluster.Carrier.QUEUE)


@pytest.fixture
def node(gpu: Cluster, root: User) -> Node:
    return Node(gpu, root)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What goes to the broker."""
    found: list[tuple[str, dict[str, Any]]] = []

    def send_task(name: str, *, args: list[Any], queue: Queue, **options: Any) -> None:
        assert options["expiration"]
        found.append((queue.name, args[0]))

    monkeypatch.setattr("celery.current_app.send_task", send_task)
    yield found


def test_a_node_is_answered_as_by_any_carrier(node: Node, ada: User) -> None:
    run = leased(node, ada)
    answer = node.ask()
    assert answer.kind is Kind.REPLY
    assert answer.document["runs"][0]["verb"] == "execute"
    assert answer.document["runs"][0]["run"] == str(run.pk)


def leased(node: Node, ada: User) -> Run:
    run = submitted(ada, software="noop").runs.get()
    lease = {"lease_expires_at": now() + timedelta(minutes=5), "attempt": 1}
    Run.objects.filter(pk=run.pk).update(state=RunState.ASSIGNED, cluster=node.cluster, **lease)
    return run


def test_the_answer_is_to_this_request_and_to_this_process(node: Node) -> None:
    envelope = node.request()
    assert node.ask(envelope).id == envelope["id"]


def test_a_whole_result_is_stored(node: Node, ada: User) -> None:
    run = leased(node, ada)
    entry = {"run": str(run.pk), "attempt": 1, "state": "finished", **finished(value=2.5)}
    answer = node.ask(document=node.agent.document(runs=[entry]))
    assert answer.document["runs"][0]["verb"] == "close"
    run.refresh_from_db()
    assert run.state == RunState.VALID


def test_a_replayed_request_is_refused_and_changes_nothing(node: Node, ada: User) -> None:
    old = node.request(document=node.agent.document(agent={"id": "agent-before"}, runs=[]))
    node.ask(old)
    Cluster.objects.update(last_exchange_at=now() - timedelta(hours=1))
    node.ask()
    run = leased(node, ada)
    assert node.problem(old) == (409, "stale")
    run.refresh_from_db()
    assert run.state == RunState.ASSIGNED
    node.cluster.refresh_from_db()
    assert node.cluster.agent_id == "agent-1"


def test_of_two_reordered_requests_the_older_is_sent_back(node: Node) -> None:
    first, second = node.request(), node.request()
    assert node.ask(second).kind is Kind.REPLY
    refused = node.ask(first).document
    assert refused["code"] == "stale"
    assert refused["last_ms"] == second["at"]
    assert abs(refused["now_ms"] - second["at"]) < 60_000


@pytest.mark.parametrize("minutes", [-3, 3])
def test_what_comes_minutes_late_or_from_the_future_is_sent_back(node: Node, minutes: int) -> None:
    at_ms = node.at_ms + minutes * 60_000
    assert node.problem(at_ms=at_ms) == (409, "stale")
    assert node.ask().kind is Kind.REPLY


def test_a_stamp_from_a_future_that_the_portal_once_believed_in_does_not_lock_a_node_out(
    node: Node,
) -> None:
    ApiKey.objects.update(last_signed_ms=node.at_ms + 3_600_000)
    assert node.ask().kind is Kind.REPLY


@pytest.mark.parametrize("envelope", [None, "x", {}, {"v": 1}, [1]])
def test_what_is_no_message_gets_no_answer(db: None, envelope: Any) -> None:
    assert queue.answer(envelope) is None


def test_what_another_key_signed_gets_no_answer(node: Node) -> None:
    guess = signing_key(f"lpk_{node.key.prefix}_guess")
    assert queue.answer(node.request(sign=guess)) is None
    assert queue.answer(node.request(key="ffffffff")) is None
    assert queue.answer({**node.request(), "node": "gpu-2"}) is None
    node.cluster.refresh_from_db()
    assert node.cluster.agent_id == ""


def test_a_key_of_another_carrier_signs_nothing(root: User, db: None) -> None:
    node = Node(cluster("metis"), root)
    assert node.key.sealed_signing_key == ""
    assert queue.answer(node.request()) is None


def test_what_was_stored_is_sealed_and_is_not_the_key(node: Node) -> None:
    assert node.secret.hex() not in node.key.sealed_signing_key
    assert node.agent.secret not in node.key.sealed_signing_key


def test_a_key_that_was_sealed_under_another_secret_is_passed_over(
    node: Node, settings: Any
) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 9, []
    assert queue.answer(node.request()) is None


def test_a_revoked_or_expired_key_is_refused_in_words(node: Node, root: User) -> None:
    ApiKey.objects.update(expires_at=now() - timedelta(minutes=1))
    assert node.problem() == (401, "key-expired")
    ApiKey.objects.update(expires_at=None)
    keys.revoke(node.key, actor=root)
    assert node.problem() == (401, "key-revoked")


def test_a_cluster_that_changed_its_carrier_says_so(node: Node) -> None:
    Cluster.objects.update(carrier=Cluster.Carrier.HTTPS)
    assert node.problem() == (409, "other-carrier")


def test_a_node_under_another_name_is_told_its_own(node: Node) -> None:
    found = queue.answer(node.request(node="gpu-7"))
    assert found is not None
    answer = unpack(found[1], node.secret)
    assert answer.document["code"] == "other-node"
    assert "--queue gpu-1" in answer.document["detail"]


def test_the_second_of_two_nodes_with_one_key_is_sent_away(node: Node) -> None:
    assert node.ask().kind is Kind.REPLY
    other = node.agent.document(agent={"id": "agent-2", "host": "node2"})
    found = queue.answer(node.request(document=other, reply_to="22222222"))
    assert found is not None
    assert found[0].name == "node.gpu-1.22222222"
    assert unpack(found[1], node.secret).document["code"] == "other-agent"
    assert node.ask().kind is Kind.REPLY


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"protocol": 99}, 426),
        ({"protocol": 1}, 400),
        ({"protocol": 1, "agent": {"id": "a\0"}}, 200),
    ],
)
def test_odd_documents_are_answered_as_over_https(
    node: Node, document: dict[str, Any], status: int
) -> None:
    answer = node.ask(document=document)
    assert answer.document.get("status", 200) == status


def test_the_task_sends_the_answer_and_nothing_for_what_is_forged(
    node: Node, sent: list[Any]
) -> None:
    queue.answer_node(node.request())
    queue.answer_node({"v": 1})
    assert [name for name, _ in sent] == [f"node.gpu-1.{AGENT}"]


def test_using_a_key_is_noted(node: Node) -> None:
    node.ask()
    node.key.refresh_from_db()
    assert node.key.last_used_at is not None
    assert node.key.last_signed_ms == node.at_ms


def test_nobody_at_the_broker_may_steer_the_portals_workers() -> None:
    assert celery.app.conf.worker_enable_remote_control is False


# Waking


def test_what_is_wanted_wakes_the_node_once_until_it_asks(
    node: Node, sent: list[Any], django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    for _ in range(3):
        with django_capture_on_commit_callbacks(execute=True):
            calling.call({node.cluster.pk})
    assert [name for name, _ in sent] == ["node.gpu-1"]
    wake = unpack(sent[0][1], node.secret)
    assert (wake.kind, wake.node, wake.document) == (Kind.WAKE, "gpu-1", {})
    node.ask()
    with django_capture_on_commit_callbacks(execute=True):
        calling.call({node.cluster.pk})
    assert len(sent) == 2


def test_of_two_keys_the_one_in_use_signs_the_wake(node: Node, root: User, sent: list[Any]) -> None:
    node.ask()
    keys.issue(node.cluster, actor=root)
    queue.wake_node(node.cluster.pk)
    assert sent[0][1]["key"] == node.key.prefix


def test_without_a_key_or_a_broker_nobody_is_woken_and_nothing_breaks(
    gpu: Cluster, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.wake_node(gpu.pk)
    keys.issue(gpu, actor=root)
    redis_client().flushall()

    def lost(*_: Any, **__: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr("celery.current_app.send_task", lost)
    queue.wake_node(gpu.pk)
