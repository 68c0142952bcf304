"""Celery tasks of the carrier `ssh`, in the queue of carriers: they wait for other machines.

Not acknowledged late: what a killed worker leaves, the beat begins anew within seconds.
"""

from __future__ import annotations

import time
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down

from clusters.models import SshSession
from clusters.transports import wanting
from clusters.transports.ssh import budget, files, trial, visits
from clusters.transports.ssh.serving import STOPPING
from labportal.common.clock import now

INCOMING_S = 7 * 86_400


@shared_task(acks_late=False)
def exchange(cluster_id: int) -> None:
    wanting.begun("ssh", cluster_id)
    if visits.exchange(cluster_id) and not STOPPING.is_set():
        want_exchange(cluster_id)


def want_exchange(cluster_id: int) -> None:
    """Ask for an exchange, once for many callers."""
    wanting.want("ssh", cluster_id, exchange)


@shared_task(acks_late=False)
def exchange_due() -> int:
    """Begin the exchanges whose time has come."""
    due = budget.due(now())
    for cluster_id in due:
        want_exchange(cluster_id)
    return len(due)


@shared_task(acks_late=False)
def test(session_id: int) -> None:
    session = SshSession.objects.get(pk=session_id)
    if trial.run(session):
        want_exchange(session.cluster_id)


@shared_task(acks_late=False)
def scan(session_id: int) -> None:
    visits.scan(SshSession.objects.get(pk=session_id))


@shared_task
def forget_old() -> int:
    files.forget_incoming(time.time() - INCOMING_S)
    return budget.forget_old()


@worker_shutting_down.connect
def _stop(**_: Any) -> None:
    """A worker that is asked to end waits for its tasks: let them come to their end."""
    STOPPING.set()
