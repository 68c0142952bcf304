"""Deletes what runs left in the bucket once the portal no longer wants it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from django.db import transaction

from clusters.models import AwsAccess
from clusters.transports.aws.clients import Clients
from clusters.transports.aws.data import joined


def purge(access: AwsAccess) -> int:
    """Delete what is to be deleted, and write down that it was; return of how many runs. Raises
    Trouble.
    """
    if not access.purges:
        return 0
    clients = Clients(access)
    for order in access.purges:
        _record(access, _purged(clients, access, order))
    return len(access.purges)


def _purged(clients: Clients, access: AwsAccess, order: dict[str, Any]) -> dict[str, Any]:
    root = joined(access.prefix, order["run"])
    found = [
        item
        for item in clients.listed(f"{root}/")
        if _attempt(item["Key"].removeprefix(f"{root}/")) <= order["attempt"]
    ]
    gone = [
        item
        for item in found
        if not any(fnmatchcase(PurePosixPath(item["Key"]).name, one) for one in order["keep"])
    ]
    clients.delete([item["Key"] for item in gone])
    freed, whole = (sum(item["Size"] for item in items) for items in (gone, found))
    return {
        "run": order["run"],
        "attempt": order["attempt"],
        "freed_bytes": freed,
        "kept_bytes": whole - freed,
    }


def _attempt(name: str) -> int:
    number = name.partition("/")[0]
    return int(number) if number.isdigit() else 0


@transaction.atomic
def _record(access: AwsAccess, entry: dict[str, Any]) -> None:
    locked = AwsAccess.objects.select_for_update().get(pk=access.pk)
    key = entry["run"], entry["attempt"]
    locked.purges = [p for p in locked.purges if (p["run"], p["attempt"]) != key]
    locked.purged = [*(p for p in locked.purged if (p["run"], p["attempt"]) != key), entry]
    locked.save(update_fields=["purges", "purged"])
