"""Signing in of programs: tokens, their rotation, and every way in which they end."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.signing import dumps
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from labportal.accounts import tasks
from labportal.accounts.api.tokens import COOKIE, COOKIE_PATH
from labportal.accounts.models import RefreshGrant, User
from labportal.accounts.services import tokens, users
from labportal.accounts.services.tokens import SignInAgain
from labportal.audit.models import AuditEntry
from tests.factories import PASSWORD, UserFactory

TOKEN = "/api/v1/auth/token"
REFRESH = "/api/v1/auth/refresh"
SIGN_OUT = "/api/v1/auth/sign-out"
ME = "/api/v1/me"


def sign_in(client: Client, username: str = "ada", password: str = PASSWORD) -> Any:
    return client.post(
        TOKEN,
        {"username": username, "password": password},
        content_type="application/json",
    )


def me(token: str) -> Any:
    return Client().get(ME, headers={"Authorization": f"Bearer {token}"})


def test_a_name_and_a_password_give_an_access_token_and_a_cookie(ada: User, client: Client) -> None:
    response = sign_in(client)
    assert response.status_code == 200
    assert me(response.json()["access"]).json()["username"] == "ada"
    cookie = response.cookies[COOKIE]
    assert cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == COOKIE_PATH
    assert cookie["max-age"] == 7 * 24 * 3600
    assert cookie.value not in response.content.decode()
    assert response["Cache-Control"] == "no-store"
    assert AuditEntry.objects.get().verb == "user.sign-in"


def test_the_cookie_is_for_https_alone_where_the_portal_is(
    ada: User, client: Client, settings: Any
) -> None:
    settings.SESSION_COOKIE_SECURE = True
    assert sign_in(client).cookies[COOKIE]["secure"]


def test_no_session_comes_with_a_token(ada: User, client: Client) -> None:
    assert set(sign_in(client).cookies) == {COOKIE}
    assert not ada.browser_sessions.exists()


@pytest.mark.parametrize(
    ("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("blocked", PASSWORD)]
)
def test_the_same_sentence_whatever_was_wrong(
    ada: User, eve: User, client: Client, username: str, password: str
) -> None:
    User.objects.filter(pk=eve.pk).update(username="blocked", is_active=False)
    response = sign_in(client, username, password)
    assert response.status_code == 401
    assert response.json()["code"] == "wrong-credentials"
    assert response.json()["detail"] == (
        "This name and password do not belong together, or the account is blocked."
    )
    assert COOKIE not in response.cookies


@pytest.mark.parametrize("body", [{}, {"username": "ada"}, {"username": "a\0b", "password": "x"}])
def test_what_is_missing_is_named(db: None, client: Client, body: dict[str, str]) -> None:
    response = client.post(TOKEN, body, content_type="application/json")
    assert response.status_code == 400
    assert response.json()["errors"]


def test_the_refresh_cookie_gives_the_next_pair(ada: User, client: Client) -> None:
    first = sign_in(client).cookies[COOKIE].value
    response = client.post(REFRESH)
    assert response.status_code == 200
    assert response.cookies[COOKIE].value != first
    assert me(response.json()["access"]).status_code == 200
    assert client.post(REFRESH).status_code == 200
    assert RefreshGrant.objects.filter(user=ada).values("family").distinct().count() == 1


def test_who_uses_a_refresh_token_again_signs_everybody_out(ada: User, client: Client) -> None:
    stolen = sign_in(client).cookies[COOKIE].value
    access = client.post(REFRESH).json()["access"]
    thief = Client()
    thief.cookies[COOKIE] = stolen
    response = thief.post(REFRESH)
    assert response.status_code == 401 and response.json()["code"] == "sign-in-again"
    assert me(access).status_code == 401
    assert client.post(REFRESH).status_code == 401
    ada.refresh_from_db()
    assert ada.sign_out_epoch == 1
    assert AuditEntry.objects.filter(verb="token.reused").count() == 1
    assert thief.post(REFRESH).status_code == 401
    ada.refresh_from_db()
    assert ada.sign_out_epoch == 1


def test_refresh_needs_the_cookie_and_a_sound_one(ada: User, client: Client) -> None:
    assert client.post(REFRESH).status_code == 401
    for forged in ("nonsense", dumps({"user": ada.pk}), str(AccessToken.for_user(ada))):
        client.cookies[COOKIE] = forged
        assert client.post(REFRESH).status_code == 401


def test_an_expired_grant_is_refused_without_alarm(ada: User, client: Client) -> None:
    sign_in(client)
    RefreshGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.post(REFRESH).status_code == 401
    ada.refresh_from_db()
    assert ada.sign_out_epoch == 0


def test_sign_out_ends_the_refresh_token(ada: User, client: Client) -> None:
    raw = sign_in(client).cookies[COOKIE].value
    response = client.post(SIGN_OUT)
    assert response.status_code == 204
    assert response.cookies[COOKIE].value == ""
    client.cookies[COOKIE] = raw
    assert client.post(REFRESH).status_code == 401


def test_a_blocked_person_keeps_no_token(ada: User, max: User, client: Client) -> None:
    access = sign_in(client).json()["access"]
    users.block(ada, actor=max)
    assert me(access).status_code == 401
    assert client.post(REFRESH).status_code == 401
    users.unblock(ada, actor=max)
    assert me(access).status_code == 401


def test_a_new_password_ends_every_token(ada: User, max: User, client: Client) -> None:
    access = sign_in(client).json()["access"]
    users.set_password(ada, "entirely other words", actor=max)
    assert me(access).status_code == 401
    assert client.post(REFRESH).status_code == 401
    assert sign_in(client, password="entirely other words").status_code == 200


def test_signing_out_everywhere_is_for_oneself_and_admins(
    ada: User, max: User, root: User, client: Client
) -> None:
    access = sign_in(client).json()["access"]
    path = f"/api/v1/users/{ada.pk}/sign-out-everywhere"
    moderator = Client()
    moderator.force_login(max)
    assert moderator.post(path).status_code == 403
    assert me(access).status_code == 200
    admin = Client()
    admin.force_login(root)
    assert admin.post(path).status_code == 200
    assert me(access).status_code == 401
    own = sign_in(client).json()["access"]
    header = {"Authorization": f"Bearer {own}"}
    assert Client().post(path, headers=header).status_code == 200
    assert me(own).status_code == 401


def test_an_access_token_ends_after_ten_minutes(ada: User) -> None:
    token = AccessToken.for_user(ada)
    assert token.lifetime == timedelta(minutes=10)
    token["epoch"] = 0
    assert me(str(token)).status_code == 200
    token.set_exp(lifetime=timedelta(seconds=-1))
    assert me(str(token)).status_code == 401


def test_a_token_without_the_epoch_does_not_count(ada: User) -> None:
    response = me(str(AccessToken.for_user(ada)))
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"


def test_tokens_are_not_stored(ada: User, client: Client) -> None:
    raw = sign_in(client).cookies[COOKIE].value
    grant = RefreshGrant.objects.get()
    stored = "".join(str(getattr(grant, field.attname)) for field in grant._meta.fields)
    assert raw not in stored and raw.split(".")[2] not in stored


def test_five_failures_lock_and_the_answer_says_until_when(ada: User, client: Client) -> None:
    codes = [sign_in(client, password="wrong").status_code for _ in range(5)]
    assert codes == [401, 401, 401, 401, 429]
    refused = sign_in(client)
    assert refused.status_code == 429
    assert "until" in refused.json()["detail"] and refused.json()["code"] == "locked-out"
    assert sign_in(client, username="ADA").status_code == 429
    assert AuditEntry.objects.filter(verb="user.lock-out").count() == 1


def test_a_lock_is_for_one_name_from_one_address(ada: User, eve: User, client: Client) -> None:
    for _ in range(6):
        sign_in(client, password="wrong")
    assert sign_in(client, "eve").status_code == 200
    other = Client(REMOTE_ADDR="198.51.100.7")
    assert sign_in(other).status_code == 200


def test_tries_while_locked_do_not_prolong_the_lock(ada: User, client: Client) -> None:
    for _ in range(5):
        sign_in(client, password="wrong")
    first = sign_in(client).json()["detail"]
    assert sign_in(client, password="wrong").json()["detail"] == first


def test_a_success_forgets_the_failures(ada: User, client: Client) -> None:
    for _ in range(4):
        sign_in(client, password="wrong")
    assert sign_in(client).status_code == 200
    assert sign_in(client, password="wrong").status_code == 401


def test_what_has_expired_is_forgotten(ada: User, client: Client) -> None:
    sign_in(client)
    browser = Client()
    browser.force_login(ada)
    tasks.forget_expired()
    assert RefreshGrant.objects.count() == ada.browser_sessions.count() == 1
    RefreshGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    ada.browser_sessions.update(last_seen_at=timezone.now() - timedelta(days=15))
    tasks.forget_expired()
    assert not RefreshGrant.objects.exists() and not ada.browser_sessions.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_refresh_at_once_one_is_the_thief() -> None:
    ada, request = UserFactory(), RequestFactory().post(REFRESH)
    raw = tokens.issue(ada, request=request).refresh
    with transaction.atomic():
        RefreshGrant.objects.select_for_update().get()
        threads, outcomes = [], []

        def refresh() -> None:
            try:
                outcomes.append(tokens.rotate(raw, request=request))
            except SignInAgain:
                outcomes.append(None)
            finally:
                connection.close()

        for _ in range(2):
            threads.append(threading.Thread(target=refresh))
            threads[-1].start()
        for thread in threads:
            thread.join(0.3)
    for thread in threads:
        thread.join()
    assert outcomes.count(None) == 1
    ada.refresh_from_db()
    assert ada.sign_out_epoch == 1


def program(client: Client, path: str, **said: Any) -> Any:
    return client.post(path, said, content_type="application/json")


def test_a_program_keeps_its_refresh_token_itself(ada: User) -> None:
    client = Client()
    answer = program(client, TOKEN, username="ada", password=PASSWORD, program=True)
    assert not answer.cookies
    first = answer.json()["refresh"]
    second = program(client, REFRESH, refresh=first)
    assert second.status_code == 200 and not second.cookies
    assert me(second.json()["access"]).status_code == 200
    assert second.json()["refresh"] != first
    assert second["Cache-Control"] == "no-store"


def test_a_cookie_never_turns_into_a_token_that_scripts_can_read(ada: User, client: Client) -> None:
    sign_in(client)
    assert "refresh" not in client.post(REFRESH).json()


def test_a_program_signs_out_with_its_refresh_token(ada: User) -> None:
    client = Client()
    refresh = program(client, TOKEN, username="ada", password=PASSWORD, program=True).json()
    assert program(client, SIGN_OUT, refresh=refresh["refresh"]).status_code == 204
    assert program(client, REFRESH, refresh=refresh["refresh"]).status_code == 401


def test_a_program_is_revoked_from_the_list_of_sign_ins(ada: User) -> None:
    client = Client(headers={"User-Agent": "labportal-client/0.1.0 (laptop)"})
    pair = program(client, TOKEN, username="ada", password=PASSWORD, program=True).json()
    bearer = {"Authorization": f"Bearer {pair['access']}"}
    (listed,) = Client().get(f"{ME}/sign-ins", headers=bearer).json()["programs"]
    assert listed["name"] == "labportal-client/0.1.0"
    Client().delete(f"{ME}/programs/{listed['id']}", headers=bearer)
    assert program(client, REFRESH, refresh=pair["refresh"]).status_code == 401


def test_a_refresh_token_in_the_body_is_used_once_too(ada: User) -> None:
    client = Client()
    pair = program(client, TOKEN, username="ada", password=PASSWORD, program=True).json()
    newer = program(client, REFRESH, refresh=pair["refresh"]).json()
    assert program(client, REFRESH, refresh=pair["refresh"]).status_code == 401
    assert me(newer["access"]).status_code == 401
