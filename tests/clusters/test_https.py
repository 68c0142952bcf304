"""The carrier `https`: refusals, encodings, and calls that are held until something is wanted."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection

from calculations.models import Calculation, Run
from calculations.services import lifecycle
from clusters import calling, keys, placement
from clusters.agent.protocol import MAX_BODY, MAX_DOCUMENT
from clusters.models import Cluster, LogLine
from clusters.transports import https
from clusters.transports.wakeups import Wakeups
from labportal.common.database import is_lost
from labportal.common.wake import redis_client
from tests.calculations.factories import submitted
from tests.clusters.carrier import Call, Carrier, in_all_threads, open_carrier
from tests.clusters.factories import Agent, cluster, finished

pytestmark = pytest.mark.django_db(transaction=True)

QUICK_S = 10.0  # far below the time for which a call is held, and below WITHOUT_REDIS_S here
HOLD_S = 25.0


@pytest.fixture(autouse=True)
def looks_for_itself_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "WITHOUT_REDIS_S", 30.0)


@pytest.fixture
def carrier() -> Iterator[Carrier]:
    with open_carrier() as carrier:
        yield carrier


@pytest.fixture
def agent(carrier: Carrier, root: Any) -> Agent:
    """An agent that was heard once, so that its key is known."""
    agent = Agent(cluster("metis"), root)
    assert carrier.call(agent.document(), key=agent.secret).status == 200
    return agent


@pytest.fixture
def hold(carrier: Carrier, agent: Agent) -> Callable[..., Call]:
    """Begin a call and return it once it is held."""

    def begin(**changes: Any) -> Call:
        before = Cluster.objects.get().last_exchange_at
        call = carrier.call(agent.document(wait_s=HOLD_S, **changes), key=agent.secret)
        until(lambda: Cluster.objects.get().last_exchange_at > before)
        return call

    return begin


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Refusals


def refused(call: Call, status: int, code: str) -> dict[str, Any]:
    assert call.status == status
    assert call.headers["content-type"] == "application/problem+json"
    problem = call.document
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"] and problem["detail"]
    return problem


def test_a_key_that_is_not_accepted(carrier: Carrier, agent: Agent, root: Any) -> None:
    call = carrier.call(agent.document(), key="lpk_00000000_x")
    refused(call, 401, "key-unknown")
    assert call.headers["www-authenticate"] == "Api-Key"
    refused(carrier.call(agent.document(), authorization="Bearer x"), 401, "key-missing")
    keys.revoke(agent.key, actor=root)
    refused(carrier.call(agent.document(), key=agent.secret), 401, "key-revoked")


def test_a_key_that_is_revoked_while_its_call_is_held(
    hold: Callable[..., Call], agent: Agent, root: Any
) -> None:
    call = hold()
    keys.revoke(agent.key, actor=root)
    calling.call({agent.cluster.pk})
    refused(call, 401, "key-revoked")


def test_another_method(carrier: Carrier) -> None:
    call = carrier.call(method="GET")
    refused(call, 405, "method")
    assert call.headers["allow"] == "POST"


def test_a_body_that_is_too_large(carrier: Carrier, agent: Agent) -> None:
    refused(carrier.call(b" " * (MAX_BODY + 1), key=agent.secret), 413, "too-large")


def test_a_small_body_that_unpacks_to_a_giant(carrier: Carrier, agent: Agent) -> None:
    bomb = gzip.compress(b" " * (MAX_DOCUMENT + 1))
    assert len(bomb) < MAX_BODY
    call = carrier.call(bomb, key=agent.secret, content_encoding="gzip")
    refused(call, 400, "bad-document")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_document(carrier: Carrier, agent: Agent, body: bytes) -> None:
    refused(carrier.call(body, key=agent.secret), 400, "bad-document")


@pytest.mark.parametrize(("encoding", "body"), [("br", b"{}"), ("gzip", b"{}"), ("gzip", b"")])
def test_an_encoding_that_is_not_understood(
    carrier: Carrier, agent: Agent, encoding: str, body: bytes
) -> None:
    call = carrier.call(body, key=agent.secret, content_encoding=encoding)
    refused(call, 400, "bad-document")


def test_another_protocol_is_told_where_the_agent_is(carrier: Carrier, agent: Agent) -> None:
    problem = refused(carrier.call(agent.document(protocol=9), key=agent.secret), 426, "protocol")
    assert problem["download"] == "http://testserver/agent/labportal-agent.pyz"


def test_another_agent_with_the_same_key(carrier: Carrier, agent: Agent) -> None:
    agent.agent_id = "somebody-else"
    refused(carrier.call(agent.document(), key=agent.secret), 409, "other-agent")


def test_a_field_of_the_wrong_shape_is_named(carrier: Carrier, agent: Agent) -> None:
    problem = refused(carrier.call(agent.document(runs={"a": 1}), key=agent.secret), 400, "invalid")
    assert set(problem["errors"]) == {"runs"}


# Encodings


def test_both_sides_may_pack(carrier: Carrier, agent: Agent, ada: Any) -> None:
    for number in range(8):
        submitted(ada, name=f"n{number}")
    Cluster.objects.update(capacity={**agent.cluster.capacity, "slots": {"total": 8, "free": 8}})
    agent.cluster.refresh_from_db()
    placement.place()
    body = gzip.compress(json.dumps(agent.document()).encode())
    packed = carrier.call(body, key=agent.secret, content_encoding="gzip", accept_encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.verbs == ["execute"] * 8
    plain = carrier.call(agent.document(), key=agent.secret)
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(plain.sent[1]["body"])


@pytest.mark.parametrize("packed", [False, True])
def test_text_that_no_database_holds(carrier: Carrier, agent: Agent, packed: bool) -> None:
    """NUL and half surrogate pairs, which real programs write, and numbers that are none."""
    agent.log("before\0after \ud800 Å 😀")
    changes = {"capacity": {**agent.cluster.capacity, "memory_mib": float("nan")}}
    body = json.dumps(agent.document(**changes)).encode()
    told: dict[str, str] = {"content_encoding": "gzip"} if packed else {}
    call = carrier.call(gzip.compress(body) if packed else body, key=agent.secret, **told)
    assert call.status == 200
    assert LogLine.objects.get().text == "beforeafter ? Å 😀"
    assert Cluster.objects.get().capacity["memory_mib"] is None


# Held calls


def test_a_call_is_answered_at_once_when_it_brings_something(
    carrier: Carrier, agent: Agent
) -> None:
    agent.log("news")
    began = time.monotonic()
    call = carrier.call(agent.document(wait_s=HOLD_S), key=agent.secret)
    assert call.document["acknowledged"] == 1
    assert time.monotonic() - began < QUICK_S


def test_a_held_call_ends_with_its_time(carrier: Carrier, agent: Agent) -> None:
    began = time.monotonic()
    call = carrier.call(agent.document(wait_s=0.3), key=agent.secret)
    assert (call.status, call.verbs) == (200, [])
    assert 0.3 <= time.monotonic() - began < QUICK_S


@pytest.mark.parametrize("wait", ["soon", None, -5, [], True])
def test_a_time_that_is_none_is_no_time(carrier: Carrier, agent: Agent, wait: Any) -> None:
    assert carrier.call(agent.document(wait_s=wait), key=agent.secret).status == 200


def test_placement_wakes_a_held_call(hold: Callable[..., Call], ada: Any) -> None:
    call = hold()
    began = time.monotonic()
    submitted(ada)
    placement.place()
    assert call.verbs == ["execute"]
    assert time.monotonic() - began < QUICK_S


def test_the_first_call_with_a_key_is_held_and_woken_too(
    carrier: Carrier, root: Any, ada: Any
) -> None:
    new = Agent(cluster("tesla", last_exchange_at=None), root)
    call = carrier.call(new.document(wait_s=HOLD_S), key=new.secret)
    until(lambda: Cluster.objects.get().last_exchange_at)
    submitted(ada)
    began = time.monotonic()
    placement.place()
    assert call.verbs == ["execute"]
    assert time.monotonic() - began < QUICK_S


def test_a_cancel_wakes_a_held_call(
    carrier: Carrier, agent: Agent, hold: Callable[..., Call], ada: Any
) -> None:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    agent.tell(calculation.runs.get().pk, "running")
    agent.exchange()
    call = hold()
    lifecycle.cancel(calculation, actor=ada)
    assert call.verbs == ["cancel"]


def test_a_wake_up_of_another_cluster_changes_nothing(
    carrier: Carrier, hold: Callable[..., Call], agent: Agent
) -> None:
    call = hold()
    calling.call({cluster("tesla").pk})
    calling.call({agent.cluster.pk})  # nothing is wanted after all
    assert not call.done
    assert carrier.call(agent.document(), key=agent.secret).status == 200
    assert call.status == 204


def test_a_newer_call_releases_the_older(
    carrier: Carrier, agent: Agent, hold: Callable[..., Call]
) -> None:
    held = hold()
    newer = hold()
    assert held.status == 204
    assert held.sent[1]["body"] == b""
    assert not newer.done


def test_two_calls_at_once_store_a_report_once(carrier: Carrier, agent: Agent, ada: Any) -> None:
    calculation = submitted(ada)
    placement.place()
    agent.exchange()
    agent.tell(calculation.runs.get().pk, "finished", **finished(value=1.0))
    calls = [carrier.call(agent.document(), key=agent.secret) for _ in range(6)]
    assert [call.verbs for call in calls] == [["close"]] * 6
    assert Calculation.objects.get().state == "valid"
    assert calculation.events.filter(verb="finish_valid").count() == 1


def test_an_agent_that_leaves_while_it_waits(
    hold: Callable[..., Call], ada: Any, agent: Agent
) -> None:
    call = hold()
    call.disconnect()
    call.wait()
    submitted(ada)
    placement.place()
    assert Run.objects.get().state == "assigned"
    assert list(agent.verbs().values()) == ["execute"]  # said to whoever asks next


def test_an_agent_that_leaves_before_its_request_ends(carrier: Carrier, agent: Agent) -> None:
    before = Cluster.objects.get().last_exchange_at
    assert carrier.call(agent.document(), key=agent.secret, whole=False).status == 400
    assert Cluster.objects.get().last_exchange_at == before


# Without Redis


def test_a_held_call_looks_for_itself_while_redis_is_away(
    monkeypatch: Any, hold: Callable[..., Call], ada: Any
) -> None:
    monkeypatch.setattr(https, "_wakeups", Wakeups("redis://127.0.0.1:1/0"))
    monkeypatch.setattr(https, "WITHOUT_REDIS_S", 0.1)
    call = hold()
    submitted(ada)
    placement.place()
    assert call.verbs == ["execute"]


def test_redis_is_lost_while_a_call_is_held(hold: Callable[..., Call], ada: Any) -> None:
    """What was published while nobody listened is looked for after the connection is back."""
    call = hold()
    began = time.monotonic()
    redis_client().execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    submitted(ada)
    placement.place()
    assert call.verbs == ["execute"]
    assert time.monotonic() - began < QUICK_S


# Without PostgreSQL


def test_a_connection_that_was_cut_is_made_again(carrier: Carrier, agent: Agent) -> None:
    in_all_threads(lambda: connection.cursor().execute("SELECT 1"))
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
    with connection.cursor() as cursor:
        cursor.execute(f"{others} AND datname = current_database()")
    calls = [carrier.call(agent.document(), key=agent.secret) for _ in range(16)]
    assert {call.status for call in calls} == {200}


def server_is_gone() -> DatabaseError:
    """What Django makes of psycopg2's error when the server ends within a statement."""
    error = DatabaseError("server closed the connection unexpectedly")
    error.__cause__ = Exception("psycopg2.DatabaseError")
    return error


@pytest.mark.parametrize("error", [server_is_gone(), OperationalError("deadlock detected")])
def test_what_may_be_tried_again_is(
    monkeypatch: Any, carrier: Carrier, agent: Agent, error: Exception
) -> None:
    handle, failures = https.handle, [error, error]

    def failing(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return handle(*args)

    monkeypatch.setattr(https, "handle", failing)
    assert carrier.call(agent.document(), key=agent.secret).status == 200


def test_a_database_that_stays_away_is_said_to(
    monkeypatch: Any, carrier: Carrier, agent: Agent
) -> None:
    def failing(*_: Any) -> None:
        raise server_is_gone()

    monkeypatch.setattr(https, "handle", failing)
    call = carrier.call(agent.document(), key=agent.secret)
    refused(call, 503, "unavailable")
    assert call.headers["retry-after"] == "1"


def test_a_statement_that_was_wrong_is_our_own_error(
    monkeypatch: Any, carrier: Carrier, agent: Agent
) -> None:
    tries = []

    def failing(*_: Any) -> None:
        tries.append(1)
        raise DatabaseError("Save with update_fields did not affect any rows.")

    monkeypatch.setattr(https, "handle", failing)
    refused(carrier.call(agent.document(), key=agent.secret), 500, "failed")
    assert tries == [1]


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (server_is_gone(), True),
        (OperationalError(), True),
        (DatabaseError("of Django's own"), False),
        (ValueError(), False),
    ],
)
def test_a_lost_database_is_told_from_a_wrong_statement(error: Exception, lost: bool) -> None:
    assert is_lost(error) is lost
