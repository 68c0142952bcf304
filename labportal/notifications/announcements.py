"""What the admins tell everybody: make, edit, end, put away, and what stands on top of a page now.

Pages without an announcement ask the database for none: the open ones are cached for seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput
from labportal.notifications.models import Announcement

OPEN, OPEN_SECONDS = "announcements:open", 30
FIELDS = ("level", "text", "from_at", "until_at", "cluster")


@dataclass(frozen=True, slots=True)
class Told:
    """An announcement as it is cached; it is shown from `from_at` until `until_at`."""

    id: int
    level: str
    text: str
    from_at: datetime
    until_at: datetime | None
    cluster: str
    cluster_url: str

    def is_on(self, moment: datetime) -> bool:
        return self.from_at <= moment and (self.until_at is None or moment < self.until_at)


def current() -> list[Told]:
    """What is told now, what limits people first, then the newest."""
    moment = now()
    return [one for one in cache.get_or_set(OPEN, _open, OPEN_SECONDS) if one.is_on(moment)]


def unread(user: User) -> list[Told]:
    """What is told now and this person has not put away."""
    told = current()
    if not told or not can(user, Can.SIGN_IN):
        return []
    away = Announcement.put_away_by.through.objects.filter(
        user=user, announcement__in=[one.id for one in told]
    )
    gone = set(away.values_list("announcement", flat=True))
    return [one for one in told if one.id not in gone]


def announcements(user: User) -> QuerySet[Announcement]:
    """Every one, for who may manage them; else those that are on now."""
    rows = Announcement.objects.select_related("cluster", "author")
    if can(user, Can.MANAGE_SETTINGS):
        return rows
    return on_now(rows) if can(user, Can.SIGN_IN) else rows.none()


def on_now(rows: QuerySet[Announcement]) -> QuerySet[Announcement]:
    moment = now()
    return rows.filter(Q(until_at=None) | Q(until_at__gt=moment), from_at__lte=moment)


@transaction.atomic
def announce(values: Mapping[str, Any], *, actor: User) -> Announcement:
    """Raises InvalidInput. `values`: level, text, from_at, until_at, cluster."""
    require(actor, Can.MANAGE_SETTINGS)
    row = Announcement(author=actor)
    _take(row, values)
    row.save()
    record(actor, "announcement.make", target=f"announcement:{row.pk}", detail={"text": row.text})
    _forget_open()
    return row


@transaction.atomic
def edit(row: Announcement, values: Mapping[str, Any], *, actor: User) -> None:
    """Change what is given. Another text is shown again to those who had put the old one away."""
    require(actor, Can.MANAGE_SETTINGS)
    before = row.text
    _take(row, values)
    row.save()
    if row.text != before:
        row.put_away_by.clear()
    detail = {"text": [before, row.text]}
    record(actor, "announcement.edit", target=f"announcement:{row.pk}", detail=detail)
    _forget_open()


@transaction.atomic
def end(row: Announcement, *, actor: User) -> None:
    """Show it no more; ending twice is no error. One that has not begun is never shown."""
    require(actor, Can.MANAGE_SETTINGS)
    moment = now()
    if row.until_at is not None and row.until_at <= moment:
        return
    row.until_at, row.from_at = moment, min(row.from_at, moment)
    row.save(update_fields=["until_at", "from_at"])
    record(actor, "announcement.end", target=f"announcement:{row.pk}", detail={"text": row.text})
    _forget_open()


def put_away(row: Announcement, *, actor: User) -> None:
    """Show it no more to this person; twice is no error."""
    require(actor, Can.SIGN_IN)
    row.put_away_by.add(actor)


def _take(row: Announcement, values: Mapping[str, Any]) -> None:
    for name in FIELDS:
        if name in values:
            setattr(row, name, values[name])
    row.text = row.text.strip()
    try:
        row.full_clean(exclude=["author"])
    except ValidationError as error:
        errors = {name: " ".join(texts) for name, texts in error.message_dict.items()}
        raise InvalidInput(errors=errors) from None
    if row.until_at is not None and row.until_at <= row.from_at:
        raise InvalidInput("must be later than the beginning", field="until_at")


def _open() -> Sequence[Told]:
    """Whatever has not ended, what begins later too: it comes on by itself."""
    rows = Announcement.objects.filter(Q(until_at=None) | Q(until_at__gt=now()))
    told = [
        Told(
            id=row.pk,
            level=row.level,
            text=row.text,
            from_at=row.from_at,
            until_at=row.until_at,
            cluster=row.cluster.name if row.cluster else "",
            cluster_url=row.cluster.get_absolute_url() if row.cluster else "",
        )
        for row in rows.select_related("cluster")
    ]
    return sorted(told, key=lambda one: one.level != Announcement.Level.WARNING)


def _forget_open() -> None:
    transaction.on_commit(lambda: cache.delete(OPEN), robust=True)
