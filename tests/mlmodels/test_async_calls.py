"""Calls that may take long: asked for, claimed by one worker, ended once, told of once."""

from __future__ import annotations

import io
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from labportal.common import clock
from labportal.common.errors import InvalidInput, NotAllowed, TooLarge, WrongMoment
from labportal.common.storage import storage
from labportal.notifications.models import Notification
from mlmodels.content import NotSupported
from mlmodels.models import AsyncInvocation, ModelVersion
from mlmodels.services import async_calls, async_running
from mlmodels.states import AsyncState
from tests.mlmodels import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(ada: Any) -> ModelVersion:
    found = factories.version(factories.registered(ada, "slow"))
    found.model.current = found
    return found


def ask(of: ModelVersion, user: Any, body: bytes = b"{}", **values: Any) -> AsyncInvocation:
    given = {"content_type": "application/json", **values}
    return async_calls.ask(of.model, io.BytesIO(body), user=user, **given)


def taken(runner: str = "one") -> AsyncInvocation:
    (call,) = async_running.claim(runner, 1)
    return call


def answer(call: AsyncInvocation, body: bytes = b"42", status: int = 200) -> None:
    async_running.answered(
        call, io.BytesIO(body), status=status, content_type="text/plain", version_id=None
    )


def state_of(call: AsyncInvocation) -> str:
    return AsyncInvocation.objects.get(pk=call.pk).state


# Asking


def test_a_call_is_queued_with_its_body(version: ModelVersion, ada: Any) -> None:
    call = ask(version, ada, b'{"x": 1}', inference_id="night-7", timeout_s=3600)
    assert (call.state, call.body_size, call.inference_id) == (AsyncState.QUEUED, 8, "night-7")
    with storage().open(call.body_key) as body:
        assert body.read() == b'{"x": 1}'


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"timeout_s": 0}, InvalidInput),
        ({"timeout_s": 3601}, InvalidInput),
        ({"content_type": "text/csv"}, NotSupported),
        ({"content_type": "application/json; x=" + "y" * 100}, InvalidInput),
        ({"accept": "text/\ncsv"}, InvalidInput),
        ({"inference_id": "x" * 65}, InvalidInput),
        ({"custom_attributes": "é"}, InvalidInput),
        ({"body": b"x" * (2**20 + 1)}, TooLarge),
    ],
)
def test_what_cannot_be_called_leaves_nothing_behind(
    version: ModelVersion, ada: Any, files_dir: Any, values: dict[str, Any], error: type
) -> None:
    version.model.max_body_mib = 1
    with pytest.raises(error):
        ask(version, ada, **values)
    assert AsyncInvocation.objects.count() == 0
    assert [each for each in files_dir.rglob("*") if each.is_file()] == []


def test_nobody_has_endless_calls_open(
    version: ModelVersion, ada: Any, eve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(async_calls, "MOST_OPEN", 1)
    call = ask(version, ada)
    ask(version, eve)
    with pytest.raises(WrongMoment):
        ask(version, ada)
    async_calls.cancel(call, actor=ada)
    ask(version, ada)


# Running


def test_each_call_goes_to_one_worker_the_oldest_first(version: ModelVersion, ada: Any) -> None:
    first, second = ask(version, ada), ask(version, ada)
    assert taken("one") == first
    assert [call.pk for call in async_running.claim("two", 5)] == [second.pk]
    assert async_running.claim("three", 5) == []


def test_an_answer_is_stored(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    call = taken()
    answer(call)
    call = AsyncInvocation.objects.get()
    assert (call.state, call.status, call.result_size) == (AsyncState.DONE, 200, 2)
    assert call.ended_at is not None
    assert async_calls.result_of(call).read() == b"42"


def test_a_refusal_of_the_model_is_a_failure_whose_words_are_kept(
    version: ModelVersion, ada: Any
) -> None:
    ask(version, ada)
    call = taken()
    answer(call, b"no such galaxy", 422)
    call.refresh_from_db()
    assert (call.state, call.why) == (AsyncState.FAILED, "The model answered 422.")
    assert async_calls.result_of(call).read() == b"no such galaxy"


def test_a_call_that_was_put_off_waits_for_its_time(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    call = taken()
    async_running.put_off(call, "It is starting.", seconds=60)
    assert async_running.claim("one", 1) == []
    call.refresh_from_db()
    assert (call.state, call.why, call.tries) == (AsyncState.QUEUED, "It is starting.", 0)
    AsyncInvocation.objects.update(due_at=clock.now())
    assert taken() == call


def test_a_call_waits_a_day_at_most(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    AsyncInvocation.objects.update(created_at=clock.now() - timedelta(hours=25))
    call = taken()
    async_running.put_off(call, "It is stopped.", seconds=5)
    call.refresh_from_db()
    assert (call.state, call.why) == (AsyncState.FAILED, "It waited for 24 h: It is stopped.")


def test_what_breaks_is_tried_a_bounded_number_of_times(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    for _ in range(async_running.MOST_TRIES):
        call = taken()
        async_running.put_off(call, "It broke off.", seconds=0, counts=True)
    call.refresh_from_db()
    assert (call.state, call.why) == (AsyncState.FAILED, "It broke off. (3 tries)")


def test_calls_of_a_lost_worker_go_to_another(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    call = taken("lost")
    async_running.tend()
    assert state_of(call) == AsyncState.RUNNING
    AsyncInvocation.objects.update(heard_at=clock.now() - async_running.LOST_AFTER * 2)
    async_running.tend()
    again = taken("other")
    assert (again, again.tries) == (call, 2)
    # The first one comes back: neither its answer nor its failure counts.
    answer(call, b"late")
    async_running.fail(call, "late")
    assert state_of(call) == AsyncState.RUNNING
    answer(again, b"right")
    answer(call, b"later still")
    assert async_calls.result_of(AsyncInvocation.objects.get()).read() == b"right"


def test_a_worker_that_ends_gives_back_what_it_had(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    call = taken("ending")
    async_running.give_back("somebody else")
    assert state_of(call) == AsyncState.RUNNING
    async_running.give_back("ending")
    again = taken("other")
    assert (again, again.tries) == (call, 1)


def test_a_worker_that_renews_is_not_lost(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    call = taken("one")
    AsyncInvocation.objects.update(heard_at=clock.now() - async_running.LOST_AFTER * 2)
    assert async_running.renew("one", [call.pk]) == set()
    async_running.tend()
    assert state_of(call) == AsyncState.RUNNING
    assert async_running.renew("two", [call.pk]) == {call.pk}


# Cancelling


def test_a_cancelled_call_stays_so(version: ModelVersion, ada: Any) -> None:
    ask(version, ada)
    call = taken("one")
    async_calls.cancel(call, actor=ada)
    assert async_running.renew("one", [call.pk]) == {call.pk}
    answer(call)
    assert state_of(call) == AsyncState.CANCELLED
    assert AsyncInvocation.objects.get().result_key == ""
    with pytest.raises(WrongMoment):
        async_calls.cancel(call, actor=ada)
    with pytest.raises(WrongMoment):
        async_calls.result_of(AsyncInvocation.objects.get())


def test_only_moderators_cancel_for_others(
    version: ModelVersion, ada: Any, eve: Any, max: Any
) -> None:
    call = ask(version, ada)
    with pytest.raises(NotAllowed):
        async_calls.cancel(call, actor=eve)
    async_calls.cancel(call, actor=max)
    assert "Cancelled by" in AsyncInvocation.objects.get().why


# Telling


def told(user: Any) -> list[tuple[str, str]]:
    return list(Notification.objects.filter(user=user).values_list("level", "subject"))


def test_a_person_is_told_once_when_the_last_of_their_calls_has_ended(
    version: ModelVersion, ada: Any, eve: Any
) -> None:
    for _ in range(3):
        ask(version, ada)
    ask(version, eve)
    first, second, third, _ = async_running.claim("one", 4)
    answer(first)
    answer(second, status=500)
    async_running.tell_ended()
    assert told(ada) == []
    answer(third)
    async_running.tell_ended()
    async_running.tell_ended()
    assert told(ada) == [("error", "slow has answered 2 of your 3 calls, 1 failed")]
    assert told(eve) == []
    ask(version, ada)
    answer(taken())
    async_running.tell_ended()
    assert told(ada)[0] == ("info", "slow has answered your call")


def test_nobody_is_told_who_did_not_want_to_be(version: ModelVersion, ada: Any) -> None:
    ask(version, ada, notifies=False)
    answer(taken())
    async_running.tell_ended()
    assert told(ada) == []


def test_old_calls_are_forgotten_with_what_they_got(
    version: ModelVersion, ada: Any, files_dir: Any
) -> None:
    ask(version, ada)
    answer(taken())
    open_one = ask(version, ada)
    AsyncInvocation.objects.update(ended_at=clock.now() - async_calls.KEPT * 2)
    assert async_calls.forget_old() == 1
    assert AsyncInvocation.objects.get() == open_one
    assert len([each for each in files_dir.rglob("*") if each.is_file()]) == 1


# The interface


@pytest.fixture
def api(client: Client, ada: Any) -> Client:
    client.force_login(ada)
    return client


URL = "/api/v1/models/slow/invocations/async"


def test_asking_looking_and_fetching(api: Client, version: ModelVersion) -> None:
    posted = api.post(
        f"{URL}?version=1&notify=no",
        b'{"x": 1}',
        content_type="application/json",
        headers={
            "Accept": "text/csv",
            "X-Amzn-SageMaker-Inference-Id": "night-7",
            "X-Amzn-SageMaker-InvocationTimeoutSeconds": "60",
        },
    )
    assert posted.status_code == 202
    document = posted.json()
    assert posted["Location"] == document["url"]
    call = AsyncInvocation.objects.get()
    assert (call.accept, call.timeout_s, call.notifies, call.version) == (
        "text/csv",
        60,
        False,
        version,
    )
    assert api.get(f"{document['url']}/result").status_code == 409
    answer(taken(), b"<script>")
    shown = api.get(document["url"]).json()
    assert (shown["state"], shown["status"], shown["inference_id"]) == ("done", 200, "night-7")
    fetched = api.get(shown["result"])
    assert b"".join(fetched) == b"<script>"
    assert fetched["Content-Disposition"].startswith("attachment")
    assert fetched["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert [row["id"] for row in api.get(f"{URL}?state=done").json()["results"]] == [shown["id"]]
    assert api.get(f"{URL}?state=queued").json()["results"] == []


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?version=9", {}, 404),
        ("?version=x", {}, 400),
        ("", {"X-Amzn-SageMaker-InvocationTimeoutSeconds": "soon"}, 400),
        ("", {"X-Amzn-SageMaker-InvocationTimeoutSeconds": "99999"}, 400),
        ("", {"Content-Type": "text/csv"}, 415),
        ("", {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_what_is_asked_wrongly_is_told(
    api: Client, version: ModelVersion, query: str, headers: dict[str, str], status: int
) -> None:
    kind = headers.pop("Content-Type", "application/json")
    reply = api.post(URL + query, b"{}", content_type=kind, headers=headers)
    assert reply.status_code == status
    assert reply["Content-Type"] == "application/problem+json"


def test_calls_of_others_are_not_there(
    api: Client, version: ModelVersion, eve: Any, client: Client, max: Any
) -> None:
    call = ask(version, eve)
    for path in (f"{URL}/{call.pk}", f"{URL}/{call.pk}/result", f"{URL}/{uuid.uuid4()}"):
        assert api.get(path).status_code == 404
    assert api.post(f"{URL}/{call.pk}/cancel").status_code == 404
    assert api.get(URL).json()["results"] == []
    client.force_login(max)
    assert client.post(f"{URL}/{call.pk}/cancel").json()["state"] == "cancelled"


def test_calls_at_once_stand_in_the_description_of_the_interface(api: Client) -> None:
    from mlmodels.proxy import app

    document = api.get("/api/v1/schema/?format=json").json()
    found = {path for path in document["paths"] if app.match(_filled(path))}
    model = "/api/v1/models/{name}"
    assert found == {
        f"{model}/invocations",
        f"{model}/versions/{{number}}/invocations",
        f"{model}/ping",
    }


def _filled(path: str) -> str:
    return path.replace("{name}", "slow").replace("{number}", "1")
