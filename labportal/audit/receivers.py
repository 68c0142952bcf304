"""Writes what accounts reports into the audit trail, in the transaction of the act."""

from typing import Any

from django.dispatch import receiver

from labportal.accounts.models import User
from labportal.accounts.signals import acted
from labportal.audit.services import record


@receiver(acted)
def note(actor: User | None, verb: str, target: str, detail: dict[str, Any], **kwargs: Any) -> None:
    record(actor, verb, target=target, detail=detail)
