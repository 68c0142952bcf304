"""Celery's part of the e-mails: one per notification, and the sweep for what was left lying."""

from celery import shared_task

from labportal.notifications import delivery
from labportal.notifications.services import DELIVER_TASK


@shared_task(name=DELIVER_TASK)
def deliver(notification_id: int) -> None:
    """Send one e-mail; the outbox itself counts the tries and the pauses between them."""
    delivery.deliver(notification_id)


@shared_task(name="notifications.sweep")
def sweep() -> None:
    """Send whatever is due: put off, never enqueued, or left by a worker that died. Each minute."""
    for notification_id in delivery.due_ids():
        delivery.deliver(notification_id)
