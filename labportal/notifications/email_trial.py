"""Sends an admin one e-mail at once, past the outbox, to see whether the mail server takes it.

Called from the page of settings, whose card it draws. What the server answers is shown in words,
never a password.
"""

from __future__ import annotations

import smtplib
import time

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse

from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.trial import Trial, kept, without
from labportal.notifications.services import redact

PATIENCE_S = 8
BODY = "This is the test e-mail that you asked for. The portal can send e-mails.\n\n{link}\n"
#: Backends that reach nobody, and where they leave what they are given.
NOBODY = {
    "filebased": "the folder {folder}",
    "console": "the log of the process that answers",
    "dummy": "nowhere",
}


def panel(request: HttpRequest, **_: object) -> str:
    """The card of the page of settings."""
    context = {"trial": kept(request, "email"), "to": request.user.email, "where": _where()}
    return render_to_string("notifications/_email_trial.html", context, request)


def send_test(*, actor: User) -> Trial:
    """Send it and put on record what came of it."""
    require(actor, Can.MANAGE_SETTINGS)
    trial = _send(actor.email)
    record(actor, "email.test", detail={"ok": trial.ok, "result": trial.words})
    return trial


def _send(to: str) -> Trial:
    if not to:
        return Trial(False, "Your profile has no e-mail address; enter one there first.")
    message = EmailMessage(
        subject=f"{settings.EMAIL_SUBJECT_PREFIX}Test e-mail",
        body=BODY.format(link=settings.PUBLIC_URL + reverse("lab-settings")),
        to=[to],
        headers={"Auto-Submitted": "auto-generated"},
    )
    began = time.perf_counter()
    try:
        connection = get_connection()
        connection.timeout = PATIENCE_S  # what SMTP and the providers' backends both read
        message.connection = connection
        message.send()
    except (smtplib.SMTPException, AnymailError, OSError) as problem:
        return Trial(False, f"Not sent to {to}. {_said(problem)}")
    kind, took = _kind(), f"in {(time.perf_counter() - began) * 1000:.0f} ms"
    if kind in NOBODY:
        words = f"No mail server is set: it was written to {_where()} {took}, and nobody gets it."
        return Trial(False, words)
    return Trial(True, f"Sent to {to} {took}. {_where()} took it; look into your inbox.")


def _kind() -> str:
    return settings.EMAIL_BACKEND.split(".")[-2]


def _where() -> str:
    """Who takes the portal's e-mails, in words."""
    kind = _kind()
    if kind == "smtp":
        return f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    if kind in NOBODY:
        return NOBODY[kind].format(folder=settings.EMAIL_FILE_PATH)
    return kind


def _said(problem: Exception) -> str:
    """The answer of the server where there was one, else why there was none."""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        said = [(code, text) for code, text in problem.recipients.values()]
        words = "; ".join(f"{code} {_text(text)}" for code, text in said)
    elif isinstance(problem, smtplib.SMTPResponseException):
        words = f"{problem.smtp_code} {_text(problem.smtp_error)}"
    elif isinstance(problem, AnymailError):
        words = str(problem)
    elif isinstance(problem, TimeoutError):
        words = f"no answer within {PATIENCE_S} s"
    else:
        words = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return f"{_where()}: {redact(without(_secrets(), words))}"


def _text(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


def _secrets() -> tuple[str, ...]:
    provider = getattr(settings, "ANYMAIL", {})
    return (settings.EMAIL_HOST_PASSWORD, *(str(value) for value in provider.values()))
