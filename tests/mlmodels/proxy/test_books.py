"""What the proxy reads from the database and writes into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from labportal.common.wake import wake
from mlmodels import traffic
from mlmodels.models import Invocation, ModelVersion, Replica
from mlmodels.proxy import metering, table
from mlmodels.services.events import ROUTES_CHANGED
from mlmodels.states import Desired, Purpose, ReplicaWanted
from tests.factories import UserFactory
from tests.mlmodels import factories
from tests.mlmodels.proxy.door import Door, Model

# The table


@pytest.mark.parametrize(
    "state",
    [
        {"state": "starting"},
        {"state": "unhealthy"},
        {"state": "stopping"},
        {"address": ""},
        {"address": "no address"},
        {"address": "127.0.0.1:http"},
        {"wanted": ReplicaWanted.STOP},
        {"wanted": ReplicaWanted.REMOVE},
        {"purpose": Purpose.CONTRACT},
        {"draining_at": timezone.now()},
        {"removed_at": timezone.now()},
    ],
    ids=lambda state: "-".join(state),
)
@pytest.mark.django_db
def test_only_replicas_that_are_ready_are_called(ada: Any, state: dict[str, Any]) -> None:
    version = factories.version(factories.registered(ada, "echo"))
    one = factories.replica(version, factories.cluster())
    assert [t.id for t in table.load()["echo"].versions[1].targets] == [str(one.pk)]
    Replica.objects.update(**state)
    assert table.load()["echo"].versions[1].targets == ()


@pytest.mark.django_db
def test_the_version_that_serves_comes_before_the_one_that_should(ada: Any) -> None:
    model = factories.registered(ada, "echo")
    one, two, three = (factories.version(model) for _ in range(3))
    model.serving, model.current, model.previous = two, three, one
    model.save()
    assert table.load()["echo"].order == (2, 3, 1)


@pytest.mark.django_db
def test_the_table_takes_the_same_queries_for_many_models(
    ada: Any, django_assert_num_queries: Any
) -> None:
    site = factories.cluster()
    for number in range(4):
        model = factories.registered(ada, f"model-{number}")
        factories.replica(factories.version(model), site)
    with django_assert_num_queries(3):
        assert len(table.load()) == 4


def test_a_change_is_known_as_soon_as_it_is_told_of(
    real_door: Door, echo: ModelVersion, behind: Callable[[str], Replica]
) -> None:
    first, second = real_door.model(), real_door.model()
    replica = behind(first.address)
    assert real_door.call().status == 200
    real_door.until(lambda: real_door.proxy.table._wakeups.listening)
    Replica.objects.filter(pk=replica.pk).update(address=second.address)
    wake(ROUTES_CHANGED)
    real_door.until(lambda: real_door.call().status == 200 and second.seen)


def test_a_model_that_is_not_found_is_looked_for_once_more(
    real_door: Door, real_model: Model, echo: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "FRESH_S", 0.0)
    echo.model.desired = Desired.STOPPED
    echo.model.save()
    assert real_door.call().code == "stopped"
    echo.model.desired = Desired.RUNNING
    echo.model.save()
    assert real_door.call().status == 200


# What is written


def row(of: ModelVersion, user: Any, **changes: Any) -> dict[str, Any]:
    return {
        **{"model": of.model_id, "version": of.pk, "replica": None, "person": user.pk},
        **{"at": 1_790_000_000.25, "ms": 1.5, "status": 200, "error": "", "bytes_in": 3},
        **{"bytes_out": 1 << 40, "asynchronous": False, **changes},
    }


@pytest.mark.django_db
def test_calls_are_stored_as_they_were(ada: Any) -> None:
    version = factories.version(factories.registered(ada, "echo"))
    metering.store([row(version, ada), row(version, ada, error="busy", status=429, version=None)])
    good, busy = Invocation.objects.order_by("status")
    assert (good.version, good.ms, good.bytes_out, good.user) == (version, 1.5, 1 << 40, ada)
    assert good.at.timestamp() == 1_790_000_000.25
    assert (busy.version, busy.error, busy.status) == (None, "busy", 429)


@pytest.mark.django_db
def test_who_was_deleted_meanwhile_does_not_lose_the_calls_of_others(ada: Any) -> None:
    version = factories.version(factories.registered(ada, "echo"))
    guest = UserFactory()
    rows = [row(version, guest), row(version, ada), row(version, ada, model=0)]
    guest.delete()
    metering.store(rows)
    assert [call.user for call in Invocation.objects.all()] == [ada]


async def test_calls_wait_while_the_database_is_away() -> None:
    stored: list[Any] = []
    away = True

    def store(rows: Any) -> None:
        if away:
            raise OSError("away")
        stored.extend(rows)

    meter = metering.Meter(store)
    for number in range(metering.AT_ONCE + 1):
        meter.note({"n": number})
    with pytest.raises(OSError):
        await meter.flush()
    away = False
    meter.note({"n": "last"})
    await meter.flush()
    assert len(stored) == metering.AT_ONCE + 2
    assert len(meter) == 0


async def test_the_memory_for_calls_that_wait_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(metering, "MOST_WAITING", 2)
    meter = metering.Meter(lambda rows: None)
    for number in range(5):
        meter.note({"n": number})
    assert (len(meter), meter.lost) == (2, 3)
    await meter.flush()
    assert "3 calls were not metered" in caplog.text


def test_replicas_and_agents_learn_of_calls(real_door: Door, real_model: Model) -> None:
    real_door.call()
    real_door.beat()
    replica = Replica.objects.get()
    assert timezone.now() - replica.answered_at < timezone.timedelta(minutes=1)
    real_door.proxy.loads.of(str(replica.pk)).fail("It broke a call off.")
    real_door.beat()
    replica.refresh_from_db()
    assert replica.failed_calls == 1
    real_door.call()
    real_door.beat()
    replica.refresh_from_db()
    assert replica.failed_calls == 0
    (key, busy), *_ = traffic.of(Replica.objects.values_list("pk", flat=True)).items()
    assert key == str(replica.pk)
    assert busy.in_flight == 0
    assert busy.answered_s is not None and busy.answered_s < 60
    # Nothing is asked of the database in the course of a call.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE mlmodels_registeredmodel, accounts_user, mlmodels_replica")
        assert real_door.call().status == 200
