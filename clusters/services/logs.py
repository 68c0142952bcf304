"""Deleting log lines by filter and age: counted first, deleted at once, written into the audit."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from clusters.models import LogLine
from clusters.selectors.logs import LogFilters, narrow
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput

MAX_DAYS = 36_500


def count_lines(filters: LogFilters, *, older_than_days: int, actor: User) -> int:
    """Return how many lines `delete_lines` would take."""
    require(actor, Can.DELETE_LOGS)
    return _chosen(filters, older_than_days).count()


@transaction.atomic
def delete_lines(filters: LogFilters, *, older_than_days: int, actor: User) -> int:
    """Delete for good and return how many lines. Age 0 means whatever the age."""
    require(actor, Can.DELETE_LOGS)
    deleted, _ = _chosen(filters, older_than_days).delete()
    detail = {**filters.active(), "older_than_days": older_than_days, "lines": deleted}
    record(actor, "logs.delete", target=filters.cluster, detail=detail)
    return deleted


def _chosen(filters: LogFilters, older_than_days: int) -> QuerySet[LogLine]:
    if not 0 <= older_than_days <= MAX_DAYS:
        raise InvalidInput(f"must be between 0 and {MAX_DAYS} days", field="older_than_days")
    lines = narrow(LogLine.objects.all(), filters)
    if older_than_days:
        lines = lines.filter(at__lt=now() - timedelta(days=older_than_days))
    return lines
