"""Who may call: every role, by token and by session, and how soon it ends when it is taken away."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from labportal.accounts.models import User
from labportal.accounts.roles import GRANTS, Can, Role
from labportal.accounts.services import sessions, users
from mlmodels.models import Invocation
from mlmodels.proxy import people
from tests.mlmodels.proxy.conftest import token_of
from tests.mlmodels.proxy.door import Door, Model

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of people is out of date at once, as it is in a moment otherwise."""
    assert people.KEPT_S < 2
    monkeypatch.setattr(people, "KEPT_S", 0.0)


def session_of(user: User) -> dict[str, str]:
    """The headers of a signed-in page."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    secret = "c" * 32
    return {
        "cookie": f"{settings.SESSION_COOKIE_NAME}={browser.session.session_key}; "
        f"{settings.CSRF_COOKIE_NAME}={secret}",
        "x_csrftoken": secret,
        "host": "testserver",
    }


def test_every_role_by_token_and_by_session(
    real_door: Door,
    real_model: Model,
    ada: Any,
    max: Any,
    root: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table of roles decides: whoever may call models, may."""
    for person in (ada, max, root):
        assert Can.CALL_MODEL in GRANTS[Role(person.role)]
        assert real_door.call(token=token_of(person)).status == 200
        assert real_door.call(token="", **session_of(person)).status == 200
    real_door.beat()
    counted = Invocation.objects.values_list("user__username", flat=True)
    assert sorted(counted) == ["ada", "ada", "max", "max", "root", "root"]
    monkeypatch.setattr(people, "KEPT_S", 0.0)
    monkeypatch.setitem(GRANTS, Role.USER, GRANTS[Role.USER] - {Can.CALL_MODEL})
    reply = real_door.call()
    assert (reply.status, reply.code) == (403, "not-allowed")


def test_who_is_blocked_or_signed_out_is_refused_soon(
    real_door: Door, real_model: Model, soon: None, max: Any, root: Any, eve: Any
) -> None:
    shown = {"token": token_of(eve)}, {"token": "", **session_of(eve)}
    assert [real_door.call(**each).status for each in shown] == [200, 200]
    users.block(eve, actor=root)
    assert [real_door.call(**each).status for each in shown] == [401, 401]
    users.unblock(eve, actor=root)
    # What was shown before counts no more, though she may sign in again.
    assert [real_door.call(**each).status for each in shown] == [401, 401]
    again = token_of(User.objects.get(pk=eve.pk))
    assert real_door.call(token=again).status == 200
    sessions.sign_out_everywhere(eve, actor=root)
    assert real_door.call(token=again).status == 401


def test_a_session_needs_the_csrf_token_of_the_same_host(
    real_door: Door, real_model: Model, ada: Any
) -> None:
    shown = session_of(ada)
    for bad in (
        {key: value for key, value in shown.items() if key != "x_csrftoken"},
        {**shown, "x_csrftoken": "d" * 32},
        {**shown, "origin": "https://evil.example"},
        {**shown, "cookie": shown["cookie"].partition(";")[0]},
    ):
        reply = real_door.call(token="", **bad)
        assert (reply.status, reply.code) == (403, "csrf"), bad
    form = f"csrfmiddlewaretoken={shown.pop('x_csrftoken')}"
    kind = "application/x-www-form-urlencoded"
    assert real_door.call(token="", body=form, content_type=kind, **shown).status == 403
    assert real_model.seen == []
    shown = session_of(ada)
    # A page of another name that leads to this address.
    foreign = {**shown, "host": "evil.example", "origin": "http://evil.example"}
    assert real_door.call(token="", **foreign).status in (400, 403)
    for cookie in ("sessionid=", "sessionid=" + "x" * 32, "sessionid=" + "x" * 20_000, "a=b;;=;"):
        assert real_door.call(token="", **{**shown, "cookie": cookie}).status == 401
    assert real_model.seen == []
    # A wrong token is not helped by a session.
    assert real_door.call(token="wrong", **session_of(ada)).status == 401
    forged = token_of(ada).rpartition(".")[0] + ".x"
    assert real_door.call(token=forged).status == 401
    # Nothing is changed by a ping; it needs a person all the same.
    ping = {"method": "GET", "path": "/api/v1/models/echo/ping", "body": None}
    assert real_door.call(**ping, token="").status == 401
    assert real_door.call(**ping, token="", **shown).status == 200
