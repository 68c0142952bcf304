"""An admin tries e-mail from the page of settings: sent at once, the answer in words, on record."""

from __future__ import annotations

import smtplib
from typing import Any

import pytest
from anymail.exceptions import AnymailAPIError
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse

from labportal.accounts.models import User
from labportal.audit.models import AuditEntry
from labportal.common.errors import NotAllowed
from labportal.notifications import email_trial

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def smtp(settings: Any) -> Any:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "mail.lab", 587
    settings.EMAIL_HOST_PASSWORD = "s3cret-word"
    return settings


def refuse(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> list[EmailMessage]:
    tried: list[EmailMessage] = []

    def send(self: EmailMessage, fail_silently: bool = False) -> int:
        tried.append(self)
        raise problem

    monkeypatch.setattr(EmailMessage, "send", send)
    return tried


def test_the_button_sends_one_to_the_admin_and_says_so(root: User, mailbox: list[Any]) -> None:
    client = Client()
    client.force_login(root)
    assert "Send a test e-mail" in client.get(reverse("lab-settings")).content.decode()
    answer = client.post(reverse("email-test"), follow=True)
    assert [letter.to for letter in mailbox] == [[root.email]]
    assert f"Sent to {root.email} in" in answer.content.decode()
    entry = AuditEntry.objects.get(verb="email.test")
    assert entry.actor_name == "root" and entry.detail["ok"] is True


def test_only_admins_may(max: User, mailbox: list[Any]) -> None:
    with pytest.raises(NotAllowed):
        email_trial.send_test(actor=max)
    assert mailbox == []


def test_who_has_no_address_is_told(root: User, mailbox: list[Any]) -> None:
    root.email = ""
    trial = email_trial.send_test(actor=root)
    assert not trial.ok and "no e-mail address" in trial.words
    assert mailbox == []


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (smtplib.SMTPAuthenticationError(535, b"5.7.8 s3cret-word is wrong"), "535 5.7.8 ••• is"),
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"no such user")}), "550 no such user"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError("timed out"), "no answer within 8 s"),
        (smtplib.SMTPServerDisconnected("please run connect() first"), "please run connect()"),
        (AnymailAPIError("the domain is not verified"), "the domain is not verified"),
    ],
)
def test_the_servers_answer_is_shown_without_the_password(
    root: User, smtp: Any, monkeypatch: pytest.MonkeyPatch, problem: Exception, words: str
) -> None:
    tried = refuse(monkeypatch, problem)
    trial = email_trial.send_test(actor=root)
    assert not trial.ok
    assert "mail.lab:587" in trial.words and words in trial.words
    assert "s3cret-word" not in trial.words
    assert tried[0].connection.timeout == email_trial.PATIENCE_S
    assert AuditEntry.objects.get(verb="email.test").detail["result"] == trial.words


def test_without_a_mail_server_it_says_that_nobody_gets_it(
    root: User, settings: Any, tmp_path: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path
    trial = email_trial.send_test(actor=root)
    assert not trial.ok and str(tmp_path) in trial.words and "nobody gets it" in trial.words
    assert len(list(tmp_path.iterdir())) == 1
