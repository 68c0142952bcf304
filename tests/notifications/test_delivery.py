"""The outbox of e-mails: each sent once, tried again with pauses, recovered after a crash."""

import smtplib
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils import timezone

from labportal.accounts.models import Level, User
from labportal.common import clock
from labportal.notifications import delivery, tasks
from labportal.notifications.models import EmailState, Notification
from labportal.notifications.services import notify
from tests.factories import UserFactory


class Clock:
    """The portal's clock, to be put forward."""

    def __init__(self) -> None:
        self.at = timezone.now()

    def __call__(self) -> Any:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Clock:
    watch = Clock()
    monkeypatch.setattr(clock, "now", watch)
    return watch


@pytest.fixture
def letter(ada: User, now: Clock) -> Notification:
    (row,) = notify(
        [ada],
        level=Level.ERROR,
        subject="Fe bcc failed",
        body="SCF stopped at 200 iterations.",
        url="/calculations/7/",
        key="c7:failed",
    )
    return row


def fail(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> list[int]:
    tries: list[int] = []

    def send(self: EmailMessage, fail_silently: bool = False) -> int:
        tries.append(1)
        raise problem

    monkeypatch.setattr(EmailMessage, "send", send)
    return tries


def test_the_mail_says_what_and_where_and_how_to_stop_it(letter: Notification) -> None:
    assert delivery.deliver(letter.pk) == EmailState.SENT
    (message,) = mail.outbox
    assert message.to == ["ada@lab.example"]
    assert message.subject == "[Labportal] Fe bcc failed"
    assert "SCF stopped at 200 iterations." in message.body
    assert "http://testserver/calculations/7/" in message.body
    assert "http://testserver/profile/" in message.body
    assert message.extra_headers["List-Unsubscribe"] == "<http://testserver/profile/>"
    letter.refresh_from_db()
    assert letter.email_sent_at is not None and letter.email_next_at is None


def test_it_is_sent_once_however_often_the_task_runs(letter: Notification) -> None:
    for _ in range(3):
        tasks.deliver(letter.pk)
        tasks.sweep()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    "problem", [smtplib.SMTPServerDisconnected("gone"), ConnectionRefusedError(), TimeoutError()]
)
def test_five_tries_with_growing_pauses(
    letter: Notification, now: Clock, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    tries = fail(monkeypatch, problem)
    for minutes in (1, 2, 4, 8):
        assert delivery.deliver(letter.pk) == EmailState.PENDING
        now.forward(minutes=minutes, seconds=-1)
        assert delivery.deliver(letter.pk) is None
        now.forward(seconds=1)
    assert delivery.deliver(letter.pk) == EmailState.FAILED
    now.forward(days=1)
    tasks.sweep()
    assert len(tries) == 5


def test_a_later_try_succeeds(
    letter: Notification, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fail(patched, OSError("no route"))
        delivery.deliver(letter.pk)
    now.forward(minutes=1)
    tasks.sweep()
    assert len(mail.outbox) == 1


def test_a_worker_that_dies_while_sending_is_recovered_after_ten_minutes(
    letter: Notification, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        fail(patched, SystemExit())
        with pytest.raises(SystemExit):
            delivery.deliver(letter.pk)
    letter.refresh_from_db()
    assert letter.email_state == EmailState.SENDING
    now.forward(minutes=9, seconds=59)
    tasks.sweep()
    assert mail.outbox == []
    now.forward(seconds=1)
    tasks.sweep()
    assert len(mail.outbox) == 1


def test_a_worker_that_was_only_slow_does_not_undo_the_recovery(
    letter: Notification, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = EmailMessage.send

    def slow(self: EmailMessage, fail_silently: bool = False) -> int:
        monkeypatch.setattr(EmailMessage, "send", sent)
        now.forward(minutes=10)
        tasks.sweep()
        raise TimeoutError

    monkeypatch.setattr(EmailMessage, "send", slow)
    delivery.deliver(letter.pk)
    letter.refresh_from_db()
    assert letter.email_state == EmailState.SENT
    assert len(mail.outbox) == 1


def test_a_slow_worker_leaves_the_row_to_the_one_that_took_over(
    letter: Notification, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(self: EmailMessage, fail_silently: bool = False) -> int:
        fail(monkeypatch, SystemExit())
        now.forward(minutes=10)
        with pytest.raises(SystemExit):
            delivery.deliver(letter.pk)
        raise TimeoutError

    monkeypatch.setattr(EmailMessage, "send", slow)
    delivery.deliver(letter.pk)
    letter.refresh_from_db()
    assert (letter.email_state, letter.email_tries) == (EmailState.SENDING, 2)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_worker_holds_is_left_alone() -> None:
    (row,) = notify([UserFactory()], level=Level.INFO, subject="x", key="k")
    answers: list[EmailState | None] = []

    def work() -> None:
        answers.append(delivery.deliver(row.pk))
        connection.close()

    with transaction.atomic():
        Notification.objects.select_for_update().get(pk=row.pk)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(5)
    assert answers == [None] and mail.outbox == []


@pytest.mark.parametrize(
    "change", [{"notification_level": Level.NONE}, {"is_active": False}, {"email": ""}]
)
def test_who_wants_no_mail_any_more_gets_none(
    letter: Notification, ada: User, change: dict[str, Any]
) -> None:
    User.objects.filter(pk=ada.pk).update(**change)
    assert delivery.deliver(letter.pk) == EmailState.NONE
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_one_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = notify([UserFactory()], level=Level.INFO, subject="x", key="k")
    barrier = threading.Barrier(2)

    def work() -> None:
        barrier.wait()
        delivery.deliver(row.pk)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_broker_only_delays_the_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import current_app
    from kombu.exceptions import OperationalError

    def lost(*args: Any, **kwargs: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(current_app, "send_task", lost)
    notify([UserFactory()], level=Level.INFO, subject="x", key="k")
    tasks.sweep()
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_the_task_is_sent_after_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import current_app

    sent: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(
        current_app, "send_task", lambda name, args: sent.append((name, list(args)))
    )
    (row,) = notify([UserFactory()], level=Level.INFO, subject="x", key="k")
    assert sent == [("notifications.deliver", [row.pk])]
    assert current_app.tasks["notifications.deliver"].name == tasks.deliver.name
