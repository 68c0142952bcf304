"""Exports: ask for a file, fetch it, let it go. How one is made stands in export_making.py."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from calculations.exports.registry import kind_of
from calculations.models import Calculation, Export
from labportal.accounts.models import Project, User
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import NotAllowed, NotFound, WrongMoment
from labportal.common.storage import storage
from labportal.realtime.events import publish

log = logging.getLogger(__name__)

MAKE_TASK = "calculations.tasks.make_export"
KEPT_DAYS = 14
MOST_AT_ONCE = 20  # of one person, that wait or are being made
OPEN = (Export.State.WAITING, Export.State.RUNNING)


def ask(kind: str, asked: Mapping[str, Any], *, user: User) -> Export:
    """Put an export on the list of this person and have a worker make it. Raises DomainError."""
    chosen = kind_of(kind)
    checked = chosen.check(asked, user)
    if user.exports.filter(state__in=OPEN).count() >= MOST_AT_ONCE:
        raise WrongMoment(
            f"{MOST_AT_ONCE} exports of yours are on their way; wait for one of them, or delete it."
        )
    with transaction.atomic():
        export = Export.objects.create(
            user=user,
            kind=chosen.name,
            label=checked.label,
            asked=checked.stored,
            file_name=checked.file_name,
            content_type=chosen.content_type,
            heard_at=now(),
        )
        announce(export)
        transaction.on_commit(partial(enqueue, export.pk), robust=True)
        told = {"kind": chosen.name, "label": checked.label}
        record(user, "export.ask", target=f"export:{export.pk}", detail=told)
    return export


def again(export: Export, *, actor: User) -> Export:
    """Ask for the same once more, with what is there now."""
    return ask(export.kind, export.asked, user=actor)


def enqueue(export_id: Any) -> None:
    """Hand it to a worker. Without a broker the beat does so later."""
    try:
        current_app.send_task(MAKE_TASK, args=[str(export_id)])
    except (OperationalError, OSError) as problem:
        log.warning("no broker for the export %s: %s", export_id, problem)


def announce(export: Export) -> None:
    """Tell the pages of its owner how it stands."""
    told = {"id": export.pk, "state": export.state, "done": export.done, "of": export.of}
    publish(f"user:{export.user_id}", "export.changed", told)


def exports_of(user: User) -> Any:
    """One's own, the newest first, whatever one's role."""
    return Export.objects.filter(user=user).order_by("-created_at")


def find(user: User, export_id: Any) -> Export:
    """Raises NotFound."""
    found = exports_of(user).filter(pk=export_id).first()
    if found is None:
        raise NotFound("There is no such export of yours; it may have expired.")
    return found


def fetched(export: Export, *, user: User) -> Export:
    """Return it if its file may be fetched now by this person, who may have lost sight of what it
    holds. Raises DomainError.
    """
    if export.state != Export.State.READY:
        raise WrongMoment(
            f"The file of “{export.label}” is not ready: {export.get_state_display().lower()}."
        )
    if export.expires_at is not None and export.expires_at <= now():
        raise NotFound(
            f"The file of “{export.label}” has expired; ask for it again.", code="expired"
        )
    if not _may_see(export, user):
        raise NotAllowed(
            "You may no longer see all that this file holds; ask for it again to get the rest.",
            code="access-lost",
        )
    return export


def _may_see(export: Export, user: User) -> bool:
    seen = set(
        Project.objects.visible_to(user).filter(pk__in=export.projects).values_list("pk", flat=True)
    )
    if seen != set(export.projects):
        return False
    calculation = export.asked.get("calculation")
    if calculation is None:
        return True
    return Calculation.objects.visible_to(user).filter(pk=calculation).exists()


def delete(export: Export, *, actor: User) -> None:
    """Take it off the list, with its file; one that is being made is given up."""
    if export.user_id != actor.pk:
        raise NotFound("There is no such export of yours.")
    remove(export)


def remove(export: Export) -> None:
    """The files go first: a row without its file is found and removed later, a file without a row
    never. Raises Unavailable.
    """
    for number in range(1, export.tries + 1):
        storage().delete(key_of(export, number))
    if export.key:
        storage().delete(export.key)
    told = {"id": export.pk, "state": "deleted"}
    Export.objects.filter(pk=export.pk).delete()
    publish(f"user:{export.user_id}", "export.changed", told)


def key_of(export: Export, number: int) -> str:
    """Where a try puts its file; each has a place of its own."""
    return f"exports/{export.pk}/{number}/{export.file_name}"


def forget_old() -> int:
    """Delete what has expired, and what failed as long ago; return how many."""
    born = now() - timedelta(days=KEPT_DAYS)
    old = Export.objects.filter(expires_at__lte=now()) | Export.objects.filter(
        state=Export.State.FAILED, created_at__lte=born
    )
    gone = list(old[:1000])
    for export in gone:
        remove(export)
    return len(gone)
