"""Makes the file of an export: claimed, written to a temporary file, stored, told.

A worker may be killed at any moment. Each try has a number; who finds that it is no longer the
latest one gives up without a trace. What was interrupted is taken up again by `tend`.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError
from django.db.models import F, Q
from django.urls import reverse

from calculations.exports.registry import kind_of
from calculations.models import Export
from calculations.services.exports import KEPT_DAYS, OPEN, announce, enqueue, key_of
from labportal.accounts.models import Level
from labportal.accounts.roles import Can, can
from labportal.common.clock import now
from labportal.common.errors import DomainError, NotAllowed, Unavailable
from labportal.common.storage import storage
from labportal.notifications.services import notify

log = logging.getLogger(__name__)

STALE = timedelta(minutes=2)  # without a sign of life, its worker is gone
MOST_TRIES = 3
LONG = timedelta(seconds=10)  # who waited longer is told in the inbox
EVERY_S = 0.5
IN_MEMORY = 4 * 1024 * 1024
INTERRUPTED = (
    "The worker that made it was stopped each time, {tries} times in all. Ask for less at once, or "
    "ask an admin to look at the workers' memory."
)
UNEXPECTED = "It could not be made, through a fault of the portal. Tell an admin its number, {id}."
NO_DATABASE = "The database did not answer while it was made. Ask again in a moment."
TOO_LONG = "It took longer than the portal allows. Narrow the set and ask again."


class GivenUp(Exception):
    """The export was deleted, or another worker has taken it over."""


def make(export_id: Any) -> None:
    """Make the file unless somebody else does; running it twice does no harm.

    Raises Unavailable or OperationalError where trying again later may help.
    """
    export = _claimed(export_id)
    if export is None:
        return
    try:
        _make(export)
    except GivenUp:
        log.info("export %s was given up", export.pk)
    except (Unavailable, OperationalError) as error:
        words = error.message if isinstance(error, Unavailable) else NO_DATABASE
        _at(export).update(state=Export.State.WAITING, heard_at=now(), problem=words[:300])
        raise
    except DomainError as error:
        _fail(export, error.message)
    except SoftTimeLimitExceeded:
        _fail(export, TOO_LONG)
    except Exception:
        log.exception("export %s could not be made", export.pk)
        _fail(export, UNEXPECTED.format(id=export.pk))


def tend() -> int:
    """Take up what lies: never enqueued, or left by a worker that died. Return how many."""
    open_ = Q(heard_at=None) | Q(heard_at__lt=now() - STALE)
    lying = list(Export.objects.filter(open_, state__in=OPEN)[:200])
    for export in lying:
        if export.tries >= MOST_TRIES:
            _fail(export, export.problem or INTERRUPTED.format(tries=export.tries))
            continue
        if _at(export).filter(open_).update(state=Export.State.WAITING, heard_at=now()):
            enqueue(export.pk)
    return len(lying)


def _claimed(export_id: Any) -> Export | None:
    """The row, if this call is the one that makes it."""
    lost = Q(state=Export.State.RUNNING, heard_at__lt=now() - STALE)
    free = Export.objects.filter(Q(state=Export.State.WAITING) | lost, pk=export_id)
    free = free.filter(tries__lt=MOST_TRIES)
    taken = free.update(
        state=Export.State.RUNNING, tries=F("tries") + 1, heard_at=now(), done=0, of=None
    )
    if not taken:
        return None
    return Export.objects.select_related("user").filter(pk=export_id).first()


def _at(export: Export) -> Any:
    """The row while this try is the latest."""
    return Export.objects.filter(pk=export.pk, tries=export.tries, state__in=OPEN)


def _make(export: Export) -> None:
    announce(export)
    if not can(export.user, Can.SIGN_IN):
        raise NotAllowed("Who asked for it may no longer sign in.")
    kind = kind_of(export.kind)
    asked = kind.check(export.asked, export.user)
    steps = _Steps(export)
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as stream:
        kind.write(asked, stream, steps.tell)
        projects = sorted(kind.projects(asked))
        stream.seek(0)
        key = key_of(export, export.tries)
        size, sha256 = storage().save(key, _Alive(stream, steps.live))
    _conclude(export, key, size, sha256, projects)


def _conclude(export: Export, key: str, size: int, sha256: str, projects: list[int]) -> None:
    ended = now()
    whole = max(export.of or 1, 1)
    kept = _at(export).update(
        state=Export.State.READY,
        key=key,
        size=size,
        sha256=sha256,
        projects=projects,
        done=whole,
        of=whole,
        problem="",
        finished_at=ended,
        expires_at=ended + timedelta(days=KEPT_DAYS),
    )
    if not kept:
        storage().delete(key)
        raise GivenUp
    for number in range(1, export.tries):  # what a worker stored just before it died
        storage().delete(key_of(export, number))
    export.refresh_from_db()
    announce(export)
    if ended - export.created_at > LONG:
        _notify(export, Level.INFO, "is ready", f"It is kept until {export.expires_at:%d %B %Y}.")


def _fail(export: Export, problem: str) -> None:
    if not _at(export).update(
        state=Export.State.FAILED, problem=problem[:300], finished_at=now(), key=""
    ):
        return
    export.refresh_from_db()
    announce(export)
    if export.finished_at - export.created_at > LONG:
        _notify(export, Level.ERROR, "could not be made", problem)


def _notify(export: Export, level: Level, what: str, body: str) -> None:
    notify(
        [export.user_id],
        level=level,
        subject=f"{kind_of(export.kind).label} of {export.label}: {what}"[:200],
        body=body,
        url=reverse("export-list"),
        key=f"export:{export.pk}:{export.state}:{export.tries}",
    )


class _Steps:
    """Writes how far it is, now and then; raises GivenUp once the row is no longer ours."""

    def __init__(self, export: Export) -> None:
        self._export, self._last = export, 0.0

    def tell(self, done: int, of: int | None) -> None:
        self._export.done, self._export.of = done, of
        self.live()

    def live(self) -> None:
        if time.monotonic() - self._last < EVERY_S:
            return
        self._last = time.monotonic()
        export = self._export
        if not _at(export).update(done=export.done, of=export.of, heard_at=now()):
            raise GivenUp
        announce(export)


class _Alive:
    """Reads for the store, and shows life meanwhile."""

    def __init__(self, stream: Any, live: Callable[[], None]) -> None:
        self._stream, self._live = stream, live

    def read(self, amount: int = -1) -> bytes:
        self._live()
        return self._stream.read(amount)
