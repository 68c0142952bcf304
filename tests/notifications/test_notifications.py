"""Who is told what, at which level, and what the inbox shows."""

from typing import Any

import pytest
from django.test import Client

from labportal.accounts.models import Level, User
from labportal.accounts.roles import Role
from labportal.notifications import selectors, services
from labportal.notifications.models import EmailState, Notification
from labportal.notifications.services import notify, redact
from labportal.realtime import events
from tests.factories import NotificationFactory, UserFactory


def tell(*people: User, level: Level = Level.INFO, key: str = "c1:valid", **more: str) -> Any:
    given = {"subject": "Water is valid", "url": "/calculations/1/", **more}
    return notify(people, level=level, key=key, **given)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("preference", "level", "state"),
    [
        (Level.INFO, Level.INFO, EmailState.PENDING),
        (Level.INFO, Level.ERROR, EmailState.PENDING),
        (Level.ERROR, Level.INFO, EmailState.NONE),
        (Level.ERROR, Level.ERROR, EmailState.PENDING),
        (Level.NONE, Level.INFO, EmailState.NONE),
        (Level.NONE, Level.ERROR, EmailState.NONE),
    ],
)
def test_each_gets_by_mail_what_they_asked_for_and_all_in_the_page(
    db: None, preference: Level, level: Level, state: EmailState
) -> None:
    person = UserFactory(notification_level=preference)
    (row,) = tell(person, level=level)
    assert row.email_state == state
    assert selectors.unread_count(person) == 1


def test_without_an_address_there_is_no_mail(db: None) -> None:
    (row,) = tell(UserFactory(email=""))
    assert row.email_state == EmailState.NONE


def test_an_occasion_is_told_once(ada: User, eve: User) -> None:
    assert len(tell(ada)) == 1
    assert [row.user for row in tell(ada, eve)] == [eve]
    assert len(tell(ada, key="c1:report")) == 1


def test_ids_do_as_well_and_the_blocked_are_left_out(ada: User, eve: User) -> None:
    User.objects.filter(pk=eve.pk).update(is_active=False)
    assert [row.user for row in notify([ada.pk, eve], level=Level.INFO, subject="x", key="k")] == [
        ada
    ]


def test_admins_hear_of_all_if_they_want(ada: User, root: User) -> None:
    assert selectors.watchers(ada) == [ada]
    curious = UserFactory(role=Role.ADMIN, notify_about_all=True)
    UserFactory(role=Role.ADMIN, notify_about_all=True, is_active=False)
    assert set(selectors.watchers(ada.pk, None)) == {ada, curious}
    assert selectors.watchers() == [curious]


@pytest.mark.parametrize(
    "secret",
    [
        "lpk_ab12cd_S3cr3t-value",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjF9.c2lnbmF0dXJl",
        "hunter2pass",
        "s3cr3t",
    ],
)
def test_secrets_are_blotted_out(ada: User, secret: str) -> None:
    text = {
        "hunter2pass": f"postgres://lab:{secret}@db/x",
        "s3cr3t": f"failed with password={secret} and Bearer {secret}",
    }.get(secret, f"key {secret} was refused")
    (row,) = tell(ada, subject=text, body=text)
    assert secret not in row.subject + row.body
    assert "•••" in row.body


def test_plain_text_stays_as_it_is() -> None:
    text = "SCF stopped at 200 iterations, see https://lab.example/calculations/7/"
    assert redact(text) == text


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example", "/\\evil", "evil"])
def test_links_stay_inside_the_portal(ada: User, url: str) -> None:
    (row,) = tell(ada, url=url)
    assert row.url == ""


def test_a_subject_is_one_line(ada: User) -> None:
    (row,) = tell(ada, subject="Water\r\nBcc: eve@evil.example\n" + "x" * 300)
    assert "\n" not in row.subject and "\r" not in row.subject and len(row.subject) == 200


def test_the_page_hears_of_it_at_once(
    ada: User, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(events, "_send_messages", lambda messages: sent.append(messages))
    with django_capture_on_commit_callbacks(execute=True):
        tell(ada)
    (messages,) = sent
    message = messages[f"topic.user.{ada.pk}"]
    assert message["topic"] == f"user:{ada.pk}"
    assert message["events"][0]["subject"] == "Water is valid"


def test_the_inbox_shows_ones_own(ada: User, eve: User) -> None:
    tell(ada)
    assert "Water is valid" in browser(ada).get("/notifications/").content.decode()
    assert "Water is valid" not in browser(eve).get("/notifications/").content.decode()
    assert ">1</span>" in browser(ada).get("/notifications/unread/").content.decode()


def test_opening_marks_as_read_and_leads_there(ada: User, eve: User) -> None:
    (row,) = tell(ada)
    assert browser(eve).post(f"/notifications/{row.pk}/read/").status_code == 404
    response = browser(ada).post(f"/notifications/{row.pk}/read/", {"open": "1"})
    assert response["Location"] == "/calculations/1/"
    row.refresh_from_db()
    assert row.read_at is not None
    first = row.read_at
    assert services.mark_read(row.pk, actor=ada).read_at == first


def test_all_are_read_with_one_button(ada: User, eve: User) -> None:
    tell(ada, eve)
    tell(ada, key="other")
    assert browser(ada).post("/notifications/read/").status_code == 302
    assert selectors.unread_count(ada) == 0 and selectors.unread_count(eve) == 1


def test_the_api_lists_and_reads(ada: User, eve: User) -> None:
    row, _ = NotificationFactory(user=ada), NotificationFactory(user=eve)
    client = browser(ada)
    found = client.get("/api/v1/notifications?unread=true").json()["results"]
    assert [entry["id"] for entry in found] == [row.pk]
    assert client.post(f"/api/v1/notifications/{row.pk}/read").json()["read_at"]
    assert client.get("/api/v1/notifications?unread=true").json()["results"] == []
    assert browser(eve).get(f"/api/v1/notifications/{row.pk}").status_code == 404
    assert browser(eve).post("/api/v1/notifications/read").status_code == 204
    assert not Notification.objects.unread().exists()
