"""Delivers the e-mails of the outbox, each once. The tasks call it; it alone moves email_state.

pending -> sending -> sent | pending (again later) | failed. Claiming is a transaction of its own: a
worker that dies while it sends leaves `sending`, which becomes due again after RECOVER_AFTER.
"""

import logging
import smtplib
from datetime import timedelta
from urllib.parse import urlsplit

from anymail.exceptions import AnymailError
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse

from labportal.accounts.models import Level
from labportal.common import clock
from labportal.notifications.models import EmailState, Notification
from labportal.notifications.services import wants_email

log = logging.getLogger(__name__)

MAX_TRIES = 5
FIRST_PAUSE = timedelta(minutes=1)
RECOVER_AFTER = timedelta(minutes=10)
SWEEP_LIMIT = 500

OPEN = (EmailState.PENDING, EmailState.SENDING)


def due_ids() -> list[int]:
    """Return what waits for an e-mail now, with what a dead worker left behind."""
    return list(
        Notification.objects.filter(email_state__in=OPEN, email_next_at__lte=clock.now())
        .order_by("email_next_at")
        .values_list("pk", flat=True)[:SWEEP_LIMIT]
    )


def deliver(notification_id: int) -> EmailState | None:
    """Send one e-mail if it is due; harmless to repeat. Returns the state it is in afterwards."""
    row = _claim(notification_id)
    if row is None:
        return None
    if row.email_state == EmailState.SENDING:
        try:
            _message(row).send()
        except (smtplib.SMTPException, AnymailError, OSError) as problem:
            _put_off(row, problem)
        else:
            _settle(row, EmailState.SENT, email_sent_at=clock.now())
    return EmailState(row.email_state)


def _claim(notification_id: int) -> Notification | None:
    """Take the row for this worker; None if another has it or it is not due."""
    now = clock.now()
    with transaction.atomic():
        row = (
            Notification.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("user")
            .filter(Q(pk=notification_id, email_state__in=OPEN, email_next_at__lte=now))
            .first()
        )
        if row is None:
            return None
        if not row.user.is_active or not wants_email(row.user, Level(row.level)):
            row.email_state, row.email_next_at = EmailState.NONE, None
        elif row.email_tries >= MAX_TRIES:
            row.email_state, row.email_next_at = EmailState.FAILED, None
        else:
            row.email_state, row.email_next_at = EmailState.SENDING, now + RECOVER_AFTER
            row.email_tries += 1
        row.save(update_fields=["email_state", "email_next_at", "email_tries"])
    return row


def _put_off(row: Notification, problem: Exception) -> None:
    log.warning(
        "e-mail of notification %s, try %s: %s", row.pk, row.email_tries, type(problem).__name__
    )
    if row.email_tries >= MAX_TRIES:
        _settle(row, EmailState.FAILED)
        return
    pause = FIRST_PAUSE * 2 ** (row.email_tries - 1)
    _settle(row, EmailState.PENDING, email_next_at=clock.now() + pause)


def _settle(row: Notification, state: EmailState, **values: object) -> None:
    """Write the outcome of this try, unless a later try has taken the row over meanwhile."""
    changes = {"email_state": state, "email_next_at": None, **values}
    Notification.objects.filter(
        pk=row.pk, email_state=EmailState.SENDING, email_tries=row.email_tries
    ).update(**changes)
    row.email_state = state


def _message(row: Notification) -> EmailMessage:
    profile = settings.PUBLIC_URL + reverse("profile")
    body = render_to_string(
        "notifications/email.txt",
        {
            "notification": row,
            "link": settings.PUBLIC_URL + row.url if row.url else "",
            "profile": profile,
        },
    )
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    return EmailMessage(
        subject=f"{settings.EMAIL_SUBJECT_PREFIX}{row.subject}",
        body=body,
        to=[row.user.email],
        headers={
            "Message-ID": f"<notification-{row.pk}@{host}>",
            "List-Unsubscribe": f"<{profile}>",
            "Auto-Submitted": "auto-generated",
        },
    )
