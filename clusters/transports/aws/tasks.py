"""Celery tasks of the carrier `aws-stepfunctions`, in the queue of carriers.

Exchanges touch the database alone, so that leases are kept whatever AWS does; steps of executions
touch AWS, each by one worker at a time.
"""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import transaction
from kombu.exceptions import OperationalError

from clusters.models import AwsAccess
from clusters.transports import wanting
from clusters.transports.aws import agent, books, purging, trial
from clusters.transports.aws.course import Course
from clusters.transports.trials import Trouble
from labportal.common.clock import now

log = logging.getLogger(__name__)

MOST_TURNS = 3  # of one task, while there is more to say


@shared_task(acks_late=False)
def exchange(cluster_id: int) -> None:
    wanting.begun("aws", cluster_id)
    for _ in range(MOST_TURNS):
        if not agent.exchange(cluster_id):
            break
    _send_steps(books.due_executions(now()))


def want_exchange(cluster_id: int) -> None:
    """Ask for an exchange, once for many callers."""
    wanting.want("aws", cluster_id, exchange)


@shared_task(acks_late=False)
def tend() -> int:
    """Begin what it is time for: exchanges, steps of executions, deletions."""
    moment = now()
    due = books.due_exchanges(moment)
    for cluster_id in due:
        want_exchange(cluster_id)
    _send_steps(books.due_executions(moment))
    for access in AwsAccess.objects.exclude(purges=[]):
        if books.may_go(access):
            purge.delay(access.pk)
    return len(due)


def _send_steps(execution_ids: list[int]) -> None:
    try:
        for execution_id in execution_ids:
            step.delay(execution_id)
    except OperationalError as error:
        log.warning("the broker does not answer, steps wait for the beat: %s", error)


@shared_task(acks_late=False)
def step(execution_id: int) -> None:
    """Do the next step of an execution; nothing is raised where AWS is in trouble."""
    execution = books.claim(execution_id)
    if execution is None:
        return
    access, before = execution.cluster.aws, execution.state
    try:
        if not books.may_go(access):
            return
        Course(execution).step()
        books.worked(access)
    except Trouble as trouble:
        log.warning("AWS of cluster %s: %s", execution.cluster_id, trouble)
        books.failed(access, trouble)
    finally:
        books.release(execution)
    if execution.state != before or access.failures:
        cluster_id = execution.cluster_id
        transaction.on_commit(lambda: want_exchange(cluster_id), robust=True)


@shared_task(acks_late=False)
def purge(access_id: int) -> None:
    access = AwsAccess.objects.get(pk=access_id)
    try:
        if purging.purge(access):
            want_exchange(access.cluster_id)
    except Trouble as trouble:
        log.warning("AWS of cluster %s: %s", access.cluster_id, trouble)
        books.failed(access, trouble)


@shared_task(acks_late=False)
def test(access_id: int) -> None:
    access = AwsAccess.objects.select_related("cluster").get(pk=access_id)
    if trial.run(access):
        want_exchange(access.cluster_id)
