"""What becomes of calls that may take long: the only writer of their states but cancel.

A worker's runner (proxy/later.py) claims calls, says every few seconds that it still makes them,
and tells how each ended. What a lost worker had begun is begun again, a bounded number of times:
a model may get such a call twice.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from labportal.accounts.models import Level
from labportal.common.clock import now
from labportal.common.storage import storage
from labportal.notifications.services import notify
from mlmodels.models import AsyncInvocation, ModelVersion
from mlmodels.models.version import without_heavy
from mlmodels.services.async_calls import announce, enqueue
from mlmodels.states import ASYNC_OPEN, AsyncState

MOST_TRIES = 3
LOST_AFTER = timedelta(seconds=60)
MOST_REASONS = 5
WAITS_AT_MOST = timedelta(hours=24)


def claim(runner: str, most: int) -> list[AsyncInvocation]:
    """Take up to so many calls whose time has come, the oldest first; each goes to one runner."""
    moment = now()
    with transaction.atomic():
        due = AsyncInvocation.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            state=AsyncState.QUEUED, due_at__lte=moment
        )
        due = due.select_related("model", "version").defer(*without_heavy("version"))
        calls = list(due.order_by("created_at")[:most])
        for call in calls:
            call.state, call.runner, call.heard_at = AsyncState.RUNNING, runner, moment
            call.started_at, call.tries, call.why = moment, call.tries + 1, ""
            call.save(update_fields=["state", "runner", "heard_at", "started_at", "tries", "why"])
            announce(call)
    return calls


def renew(runner: str, ids: Collection[UUID]) -> set[UUID]:
    """Say that these are still made; return those that are no longer this runner's to make."""
    mine = AsyncInvocation.objects.filter(pk__in=ids, runner=runner, state=AsyncState.RUNNING)
    mine.update(heard_at=now())
    return set(ids) - set(mine.values_list("pk", flat=True))


def put_off(call: AsyncInvocation, why: str, *, seconds: float, counts: bool = False) -> None:
    """Try again later; unless it `counts` as a try, since nothing was sent."""
    moment = now()
    if moment - call.created_at > WAITS_AT_MOST:
        fail(call, f"It waited for {WAITS_AT_MOST // timedelta(hours=1)} h: {why}")
        return
    if counts and call.tries >= MOST_TRIES:
        fail(call, f"{why} ({call.tries} tries)")
        return
    _write(
        call,
        state=AsyncState.QUEUED,
        why=why[:500],
        runner="",
        due_at=moment + timedelta(seconds=seconds),
        tries=call.tries if counts else call.tries - 1,
    )


def answered(
    call: AsyncInvocation,
    result: BinaryIO,
    *,
    status: int,
    content_type: str,
    version_id: int | None,
) -> None:
    """Store the answer; one of 400 or more is a failure whose answer is kept as well.

    Under a key of its own: a worker that was thought lost must not touch what another one stored.
    """
    key = f"models/{call.model_id}/calls/{call.pk}-result-{uuid4().hex}"
    size, _ = storage().save(key, result)
    good = status < 400
    written = _write(
        call,
        state=AsyncState.DONE if good else AsyncState.FAILED,
        why="" if good else f"The model answered {status}.",
        status=status,
        version_id=version_id if _exists(version_id) else None,
        result_key=key,
        result_size=size,
        result_type=content_type[:100],
        ended_at=now(),
    )
    if not written:  # cancelled meanwhile, or another's to make
        storage().delete(key)


def fail(call: AsyncInvocation, why: str, *, status: int | None = None) -> None:
    _write(call, state=AsyncState.FAILED, why=why[:500], status=status, ended_at=now())


def give_back(runner: str) -> None:
    """At a worker's end: what it has begun is begun again by another, and costs no try."""
    mine = AsyncInvocation.objects.filter(runner=runner, state=AsyncState.RUNNING)
    if mine.update(state=AsyncState.QUEUED, runner="", tries=F("tries") - 1, due_at=now()):
        enqueue()


def tend() -> int:
    """Take calls from workers that are no longer heard, and wake one where calls are due."""
    silent = AsyncInvocation.objects.filter(
        state=AsyncState.RUNNING, heard_at__lt=now() - LOST_AFTER
    )
    for call in silent.select_related("model"):
        put_off(call, "The worker that made the call was lost.", seconds=0, counts=True)
    due = AsyncInvocation.objects.filter(state=AsyncState.QUEUED, due_at__lte=now()).count()
    if due:
        enqueue()
    return due


def _write(call: AsyncInvocation, **values: object) -> bool:
    """Write how it went on, unless somebody else has meanwhile. `call` itself stays as it was:
    where the database was lost on the way, all this is done again.
    """
    after = copy(call)
    for name, value in values.items():
        setattr(after, name, value)
    with transaction.atomic():
        rows = AsyncInvocation.objects.filter(
            pk=call.pk, state=AsyncState.RUNNING, runner=call.runner
        )
        if not rows.update(**values):
            return False
        announce(after)
    return True


def tell_ended() -> int:
    """Tell people of what has ended: one message for all their calls of a model, once none of them
    is open. Return how many were told.
    """
    untold = AsyncInvocation.objects.filter(
        notifies=True, told=False, state__in=(AsyncState.DONE, AsyncState.FAILED)
    )
    open_ones = AsyncInvocation.objects.filter(
        user=OuterRef("user"), model=OuterRef("model"), state__in=ASYNC_OPEN, notifies=True
    )
    pairs = untold.filter(~Exists(open_ones)).order_by().values_list("user", "model").distinct()
    return sum(_tell(untold.filter(user=user, model=model)) for user, model in pairs)


@transaction.atomic
def _tell(untold: QuerySet[AsyncInvocation]) -> bool:
    calls = list(untold.select_for_update(of=("self",)).select_related("model"))
    if not calls:
        return False
    failed = [call for call in calls if call.state == AsyncState.FAILED]
    model = calls[0].model
    last = max(calls, key=lambda call: call.ended_at or call.created_at)
    notify(
        [last.user_id],
        level=Level.ERROR if failed else Level.INFO,
        subject=_subject(model.name, len(calls), len(failed)),
        body="\n".join(sorted({call.why for call in failed if call.why})[:MOST_REASONS]),
        url=model.get_absolute_url(),
        key=f"async:{last.pk}",
    )
    AsyncInvocation.objects.filter(pk__in=[call.pk for call in calls]).update(told=True)
    return True


def _subject(name: str, count: int, failed: int) -> str:
    if count == 1:
        return f"{name} could not answer your call" if failed else f"{name} has answered your call"
    if failed:
        return f"{name} has answered {count - failed} of your {count} calls, {failed} failed"
    return f"{name} has answered your {count} calls"


def _exists(version_id: int | None) -> bool:
    return version_id is not None and ModelVersion.objects.filter(pk=version_id).exists()
