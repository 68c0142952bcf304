"""Calls that may take long, as people ask for them: queued with their body, cancelled, forgotten.

What becomes of them is written by services/async_running.py alone.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import BinaryIO, cast

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.common.clock import now
from labportal.common.errors import DomainError, InvalidInput, TooLarge, WrongMoment
from labportal.common.storage import storage
from labportal.realtime.events import publish
from mlmodels.content import check_type
from mlmodels.models import AsyncInvocation, ModelVersion, RegisteredModel
from mlmodels.states import ASYNC_OPEN, AsyncState

log = logging.getLogger(__name__)

RUN_TASK = "mlmodels.tasks.run_async_calls"
LONGEST_S = 3600
USUAL_S = 900
MOST_OPEN = 1000  # of one person
KEPT = timedelta(days=14)
FORGOTTEN_AT_ONCE = 200


class _Bounded:
    """Reads a body of at most so many bytes. Raises TooLarge."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream, self._most = stream, most
        self._size = 0

    def read(self, amount: int = -1) -> bytes:
        piece = self._stream.read(amount)
        self._size += len(piece)
        if self._size > self._most:
            raise TooLarge(f"The model takes bodies of at most {self._most // 2**20} MiB.")
        return piece


def ask(
    model: RegisteredModel,
    body: BinaryIO,
    *,
    user: User,
    version: ModelVersion | None = None,
    content_type: str = "",
    accept: str = "",
    inference_id: str = "",
    custom_attributes: str = "",
    timeout_s: int = USUAL_S,
    notifies: bool = True,
) -> AsyncInvocation:
    """Queue a call; without a `version`, of the one that serves when its turn comes."""
    require(user, Can.CALL_MODEL)
    if not 1 <= timeout_s <= LONGEST_S:
        raise InvalidInput(f"Give a time from 1 to {LONGEST_S} s.", field="timeout_s")
    texts = {"content_type": content_type, "accept": accept, "inference_id": inference_id}
    for field, text in {**texts, "custom_attributes": custom_attributes}.items():
        longest = AsyncInvocation._meta.get_field(field).max_length
        if len(text) > longest or not (text.isascii() and text.isprintable()):
            raise InvalidInput(f"At most {longest} plain ASCII characters.", field=field)
    judged = version or model.serving or model.current
    check_type(content_type, tuple(judged.accepts) if judged else ())
    if AsyncInvocation.objects.filter(user=user, state__in=ASYNC_OPEN).count() >= MOST_OPEN:
        raise WrongMoment(
            f"{MOST_OPEN} of your calls are still open: wait for some of them, or cancel some.",
            code="too-many-open",
        )
    call = AsyncInvocation(
        model=model,
        version=version,
        user=user,
        content_type=content_type,
        accept=accept,
        inference_id=inference_id,
        custom_attributes=custom_attributes,
        timeout_s=timeout_s,
        notifies=notifies,
    )
    call.body_key = f"models/{model.pk}/calls/{call.pk}-body"
    bounded = cast(BinaryIO, _Bounded(body, model.max_body_mib * 2**20))
    try:
        call.body_size, _ = storage().save(call.body_key, bounded)
        with transaction.atomic():
            call.save()
            announce(call)
            transaction.on_commit(enqueue, robust=True)
    except BaseException:
        storage().delete(call.body_key)
        raise
    return call


def cancel(call: AsyncInvocation, *, actor: User) -> AsyncInvocation:
    """Let a call go; one that is under way is broken off within seconds. Raises WrongMoment."""
    if call.user_id != actor.pk:
        require(actor, Can.MANAGE_MODELS)
    changed = AsyncInvocation.objects.filter(pk=call.pk, state__in=ASYNC_OPEN).update(
        state=AsyncState.CANCELLED,
        ended_at=now(),
        why="" if call.user_id == actor.pk else f"Cancelled by {actor.display_name}.",
    )
    call.refresh_from_db()
    if not changed:
        raise WrongMoment(f"This call has ended already: {call.get_state_display().lower()}.")
    announce(call)
    return call


def result_of(call: AsyncInvocation) -> BinaryIO:
    """Open the answer. Raises WrongMoment where there is none yet, NotFound where it is gone."""
    if call.state in ASYNC_OPEN or not call.result_key:
        state = call.get_state_display().lower()
        raise WrongMoment(f"This call has no answer: it is {state}.", code="no-result")
    return storage().open(call.result_key)


def announce(call: AsyncInvocation) -> None:
    """Tell the person's pages."""
    told = {"id": str(call.pk), "model": call.model_id, "state": call.state}
    publish(f"user:{call.user_id}", "async.changed", told)


def enqueue() -> None:
    """Have a worker look for calls. Without a broker the beat finds them seconds later."""
    try:
        current_app.send_task(RUN_TASK, queue=settings.INFERENCE_QUEUE)
    except (OperationalError, OSError) as error:
        log.warning("no broker for the calls that wait: %s", error)


def forget_old() -> int:
    """Delete calls that ended long ago, with what they asked and got; return how many."""
    old = AsyncInvocation.objects.filter(ended_at__lt=now() - KEPT).exclude(state__in=ASYNC_OPEN)
    count = 0
    while rows := list(old[:FORGOTTEN_AT_ONCE]):
        for call in rows:
            for key in filter(None, (call.body_key, call.result_key)):
                try:
                    storage().delete(key)
                except DomainError as error:
                    log.warning("%s is left in the file store: %s", key, error)
        count += len(rows)
        AsyncInvocation.objects.filter(pk__in=[call.pk for call in rows]).delete()
    return count
