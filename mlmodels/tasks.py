"""Celery tasks of models: each loads, calls one service, and may run twice without harm."""

from __future__ import annotations

from celery import shared_task

from mlmodels.predictions import keeping
from mlmodels.services import (
    async_calls,
    async_running,
    contracts,
    metered,
    schedules,
    tending,
)


@shared_task
def tend_models() -> int:
    """Place what waits, end what has drained, replace what was lost."""
    return tending.tend_all()


@shared_task
def keep_schedules() -> int:
    return schedules.keep_schedules()


@shared_task
def expire_contract_tests() -> int:
    return contracts.expire()


@shared_task
def run_async_calls() -> None:
    """Wake this process's event loop, which makes the calls; they may last longer than a task."""
    from mlmodels.proxy.later import worker

    worker.wake()


@shared_task
def tend_async_calls() -> int:
    """Take calls from lost workers, and tell people of those that have ended."""
    async_running.tell_ended()
    return async_running.tend()


@shared_task
def forget_old_calls() -> int:
    """Delete what was asked, answered and metered and need no longer be kept."""
    return keeping.forget_old() + async_calls.forget_old() + metered.forget_old()
