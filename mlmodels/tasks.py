"""Celery tasks of models: each loads, calls one service, and may run twice without harm."""

from __future__ import annotations

from celery import shared_task

from mlmodels.services import contracts, schedules, tending


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
