"""The live socket over a real Redis: who may watch what, and what ends it."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.db import OperationalError
from django.test import Client
from redis.exceptions import ConnectionError as RedisConnectionError

from labportal.accounts.models import Membership, User
from labportal.accounts.services import projects, sessions, users
from labportal.common import clock
from labportal.realtime import access, consumers
from labportal.realtime.events import publish
from tests.factories import PASSWORD, ProjectFactory, UserFactory, default_project
from tests.sockets import Socket, browser, no_connection_left  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("no_connection_left"),
]


async def token_of(user: User) -> str:
    data = {"username": user.username, "password": PASSWORD}
    response = await sync_to_async(Client().post)(
        "/api/v1/auth/token", data, content_type="application/json"
    )
    return response.json()["access"]


@database_sync_to_async
def tell(topic: str, **payload: Any) -> None:
    publish(topic, "notification", payload)


@database_sync_to_async
def people() -> dict[str, User]:
    roles = {"ada": "user", "max": "moderator", "root": "admin", "eve": "user"}
    return {name: UserFactory(username=name, role=role) for name, role in roles.items()}


@database_sync_to_async
def topics_of(everybody: dict[str, User]) -> dict[str, str]:
    private = ProjectFactory(private=True, members=[everybody["ada"]])
    return {
        "open project": f"project:{default_project().pk}",
        "private project": f"project:{private.pk}",
        "own inbox": f"user:{everybody['ada'].pk}",
        "no such project": "project:999999999",
        "not a number": "project:1 OR 1",
        "a huge number": "project:" + "9" * 40,
        "unknown kind": "passwords:1",
        "empty": "",
    }


MAY_WATCH = {
    "open project": {"ada", "max", "root", "eve"},
    "private project": {"ada", "max", "root"},
    "own inbox": {"ada"},
}


@pytest.mark.parametrize("name", ["ada", "max", "root", "eve"])
async def test_each_role_watches_what_it_may_see(name: str) -> None:
    everybody = await people()
    topics = await topics_of(everybody)
    socket = await browser(everybody[name])
    answer = await socket.say(subscribe=list(topics.values()))
    expected = {topics[kind] for kind, who in MAY_WATCH.items() if name in who}
    assert set(answer["subscribed"]) == expected
    assert set(answer["refused"]) == set(topics.values()) - expected
    await socket.disconnect()


async def test_what_is_published_arrives_with_its_topic() -> None:
    ada = (await people())["ada"]
    socket = await browser(ada)
    await socket.say(subscribe=[f"user:{ada.pk}"])
    await tell(f"user:{ada.pk}", subject="valid")
    assert await socket.hear() == {
        "topic": f"user:{ada.pk}",
        "events": [{"type": "notification", "subject": "valid"}],
    }
    assert await socket.say(unsubscribe=[f"user:{ada.pk}"]) == {"unsubscribed": [f"user:{ada.pk}"]}
    await tell(f"user:{ada.pk}", subject="unheard")
    assert await socket.hears_nothing()
    await socket.disconnect()


async def test_nobody_is_sent_away_with_4401(monkeypatch: pytest.MonkeyPatch) -> None:
    socket = Socket()
    await socket.connect()
    await socket.send({"subscribe": ["logs"]})
    assert await socket.close_code() == 4401
    monkeypatch.setattr(consumers, "SIGN_IN_SECONDS", 0.05)
    silent = Socket(origin=None)
    await silent.connect()
    assert await silent.close_code() == 4401


async def test_a_page_of_another_site_gets_no_socket() -> None:
    await people()
    assert not await Socket(origin="https://evil.example").connect()


async def test_a_cookie_without_an_origin_does_not_count() -> None:
    ada = (await people())["ada"]
    client = Client()
    await sync_to_async(client.force_login)(ada)
    socket = Socket(session=client.session.session_key, origin=None)
    await socket.connect()
    await socket.send({"subscribe": [f"user:{ada.pk}"]})
    assert await socket.close_code() == 4401


async def test_a_program_signs_in_by_its_first_message() -> None:
    ada = (await people())["ada"]
    token = await token_of(ada)
    socket = Socket(origin=None)
    await socket.connect()
    answer = await socket.say(token=token, subscribe=[f"user:{ada.pk}", "user:0"])
    assert answer == {"subscribed": [f"user:{ada.pk}"], "refused": ["user:0"]}
    await socket.disconnect()


@pytest.mark.parametrize("token", ["nonsense", 7, None, "a.b.c"])
async def test_a_wrong_token_closes_the_socket(token: Any) -> None:
    await people()
    socket = Socket(origin=None)
    await socket.connect()
    await socket.send({"token": token})
    assert await socket.close_code() == 4401


async def test_a_token_of_somebody_else_does_not_replace_the_person() -> None:
    everybody = await people()
    socket = await browser(everybody["ada"])
    await socket.send({"token": await token_of(everybody["eve"])})
    assert await socket.close_code() == 4401


async def test_a_token_that_ends_ends_the_socket_unless_it_is_prolonged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0)
    ada = (await people())["ada"]
    topic = f"user:{ada.pk}"
    socket = Socket(origin=None)
    await socket.connect()
    await socket.say(token=await token_of(ada), subscribe=[topic])
    later = clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(clock, "now", lambda: later)
    await tell(topic, subject="unheard")
    assert await socket.close_code() == 4401


@database_sync_to_async
def _block(everybody: dict[str, User]) -> None:
    users.block(everybody["ada"], actor=everybody["root"])


@database_sync_to_async
def _sign_out_everywhere(everybody: dict[str, User]) -> None:
    sessions.sign_out_everywhere(everybody["ada"], actor=everybody["ada"])


@database_sync_to_async
def _revoke_browser(everybody: dict[str, User]) -> None:
    row = everybody["ada"].browser_sessions.get()
    sessions.revoke_browser(row.pk, actor=everybody["ada"])


@pytest.mark.parametrize("end", [_block, _sign_out_everywhere, _revoke_browser])
async def test_blocking_and_signing_out_reach_an_open_socket(
    monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0)
    everybody = await people()
    topic = f"user:{everybody['ada'].pk}"
    socket = await browser(everybody["ada"])
    await socket.say(subscribe=[topic])
    await tell(topic, subject="heard")
    assert (await socket.hear())["events"][0]["subject"] == "heard"
    await end(everybody)
    await tell(topic, subject="unheard")
    assert await socket.close_code() == 4401


async def test_who_leaves_a_project_hears_no_more_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0)
    everybody = await people()
    topic = (await topics_of(everybody))["private project"]
    socket = await browser(everybody["ada"])
    await socket.say(subscribe=[topic])
    await Membership.objects.filter(user=everybody["ada"]).adelete()
    await tell(topic, subject="unheard")
    assert await socket.hear() == {"subscribed": [], "refused": [topic]}
    await tell(topic, subject="unheard")
    assert await socket.hears_nothing()
    await socket.disconnect()


async def test_the_answer_is_kept_for_ten_seconds() -> None:
    assert consumers.RECHECK_SECONDS <= 10
    everybody = await people()
    topic = (await topics_of(everybody))["private project"]
    socket = await browser(everybody["ada"])
    await socket.say(subscribe=[topic])
    await Membership.objects.filter(user=everybody["ada"]).adelete()
    await tell(topic, subject="within ten seconds")
    assert (await socket.hear())["topic"] == topic
    await socket.disconnect()


async def test_what_is_not_understood_is_answered() -> None:
    ada = (await people())["ada"]
    socket = await browser(ada)
    for text in ("{", "[]", "1", '"x"', "[" * 5000):
        await socket.send(text)
        assert "error" in await socket.hear()
    assert await socket.say(subscribe="logs") == {"subscribed": [], "refused": []}
    assert await socket.say(subscribe=[1, None, {}]) == {"subscribed": [], "refused": []}
    await socket.send({"subscribe": ["x" * 20_000]})
    assert await socket.close_code() == 4413


async def test_there_is_a_limit_of_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "MAX_TOPICS", 1)
    ada = (await people())["ada"]
    project = await database_sync_to_async(projects.create)(name="Gold", actor=ada)
    socket = await browser(ada)
    both = [f"user:{ada.pk}", f"project:{project.pk}"]
    assert await socket.say(subscribe=both) == {"subscribed": both[:1], "refused": both[1:]}
    await socket.disconnect()


@pytest.mark.parametrize("problem", [OperationalError, RedisConnectionError])
async def test_without_its_servers_the_socket_says_come_back_later(
    monkeypatch: pytest.MonkeyPatch, problem: type[Exception]
) -> None:
    def lost(*_: Any) -> None:
        raise problem

    ada = (await people())["ada"]
    socket = await browser(ada)
    monkeypatch.setattr(access, "judge_all", lost)
    await socket.send({"subscribe": [f"user:{ada.pk}"]})
    assert await socket.close_code() == 1013
