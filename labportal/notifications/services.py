"""Tells people: an entry in the inbox at once, an e-mail by the task. Every app may call `notify`.

Subject and body never hold secrets: what looks like a key, a token or a password is blotted out.
"""

import logging
import re
from collections.abc import Iterable
from functools import partial

from celery import current_app
from django.db import transaction
from django.db.models import QuerySet
from kombu.exceptions import OperationalError

from labportal.accounts.models import Level, User
from labportal.common import clock
from labportal.common.errors import NotFound
from labportal.common.navigation import forget_counts
from labportal.notifications import selectors
from labportal.notifications.models import EmailState, Notification
from labportal.realtime.events import publish

log = logging.getLogger(__name__)

DELIVER_TASK = "notifications.deliver"

#: What a mail to a whole lab must not carry: API keys, JSON web tokens, header and URL credentials.
_SECRETS = re.compile(
    r"lpk_[A-Za-z0-9]+_[A-Za-z0-9_-]+"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?i:(?<=bearer )\S+|(?<=api-key )\S+)"
    r"|(?i:(?<=password=)\S+|(?<=password: )\S+|(?<=secret=)\S+|(?<=token=)[^\s&]+)"
)


def redact(text: str) -> str:
    return _SECRETS.sub("•••", text)


def notify(
    recipients: Iterable[User | int],
    *,
    level: Level,
    subject: str,
    body: str = "",
    url: str = "",
    key: str,
) -> list[Notification]:
    """Tell each of `recipients` once about the occasion that `key` names.

    `url` is a path of the portal. Blocked people are left out. Returns what is new; a second call
    with the same key tells nobody twice.
    """
    wanted = Level(level)
    new = []
    with transaction.atomic():
        for person in selectors.active(recipients):
            by_email = wants_email(person, wanted)
            row, created = Notification.objects.get_or_create(
                user=person,
                key=key[:200],
                defaults={
                    "level": wanted,
                    "subject": redact(" ".join(subject.split()))[:200],
                    "body": redact(body).replace("\0", ""),
                    "url": url if _is_path(url) else "",
                    "email_state": EmailState.PENDING if by_email else EmailState.NONE,
                    "email_next_at": clock.now() if by_email else None,
                },
            )
            if created:
                new.append(row)
                _announce(row)
    return new


def wants_email(person: User, level: Level) -> bool:
    """INFO gets both levels, ERROR only errors, NONE nothing; without an address nothing at all."""
    if not person.email or person.notification_level == Level.NONE:
        return False
    return level == Level.ERROR or person.notification_level == Level.INFO


def mark_read(notification_id: int, *, actor: User) -> Notification:
    row = selectors.inbox(actor).filter(pk=notification_id).first()
    if row is None:
        raise NotFound("This notification is not in your inbox.", code="no-notification")
    _mark(selectors.inbox(actor).filter(pk=row.pk), actor)
    row.refresh_from_db(fields=["read_at"])
    return row


def mark_all_read(*, actor: User) -> int:
    return _mark(selectors.inbox(actor), actor)


def _mark(rows: QuerySet[Notification], actor: User) -> int:
    changed = rows.filter(read_at=None).update(read_at=clock.now())
    forget_counts(actor.pk)
    if changed:
        publish(f"user:{actor.pk}", "notification", {"unread": selectors.unread_count(actor)})
    return changed


def _announce(row: Notification) -> None:
    forget_counts(row.user_id)
    publish(
        f"user:{row.user_id}",
        "notification",
        {"id": row.pk, "level": row.level, "subject": row.subject, "url": row.url},
    )
    if row.email_state == EmailState.PENDING:
        transaction.on_commit(partial(enqueue, row.pk), robust=True)


def enqueue(notification_id: int) -> None:
    """Hand the e-mail to a worker. Without a broker the sweep finds it a minute later."""
    try:
        current_app.send_task(DELIVER_TASK, args=[notification_id])
    except (OperationalError, OSError) as problem:
        log.warning("no broker for the e-mail of notification %s: %s", notification_id, problem)


def _is_path(url: str) -> bool:
    """Accept addresses inside the portal only: a link in a mail must not lead elsewhere."""
    return url.startswith("/") and not url.startswith(("//", "/\\")) and len(url) <= 300
