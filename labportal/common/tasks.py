"""Celery's part of the housekeeping that belongs to no app."""

from celery import shared_task
from django.core.management import call_command


@shared_task
def forget_expired() -> None:
    """Remove sessions and sign-in failures that no longer count. Each day."""
    call_command("clearsessions")
    call_command("axes_reset_logs", age=30)
