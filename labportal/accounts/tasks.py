"""Celery's part of accounts: forgetting what has expired."""

from celery import shared_task

from labportal.accounts.services import sessions, tokens


@shared_task(name="accounts.forget_expired")
def forget_expired() -> None:
    """Forget expired refresh tokens and browsers that are gone. Once a day."""
    tokens.purge_expired()
    sessions.purge_gone()
