"""Adds to the audit trail and verifies it. Every app may call `record`; nothing ever changes a row.

Call `record` last in a transaction: one writer after the other holds the chain until its commit.
"""

import json
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction

from labportal.audit.chain import FIRST, digest_of
from labportal.audit.models import AuditEntry
from labportal.common import clock

#: Any number that no other advisory lock of the portal uses.
CHAIN_LOCK = 7_231_904_115

VERIFY_BATCH = 2000

#: Whatever a caller passes by mistake under such a name is not kept.
SECRET_NAMES = ("password", "secret", "token", "api_key", "cookie", "credential")


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row that does not fit the chain, and why."""

    entry_id: int
    why: str


@dataclass(frozen=True, slots=True)
class Verification:
    checked: int
    head: str
    broken: Broken | None = None


def record(
    actor: Any, verb: str, *, target: str = "", detail: dict[str, Any] | None = None
) -> AuditEntry:
    """Append one act: `actor` is a User or None (the portal itself), `target` "kind:id"."""
    entry = AuditEntry(
        at=clock.now().astimezone(UTC),
        actor_id=getattr(actor, "pk", None),
        actor_name=str(getattr(actor, "username", "") or "")[:150],
        verb=verb[:80],
        target=target[:200],
        detail=_plain(detail or {}),
    )
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN_LOCK])
        head = AuditEntry.objects.order_by("-id").values_list("digest", flat=True).first()
        entry.previous = head or FIRST
        entry.digest = digest_of(entry)
        entry.save(force_insert=True)
    return entry


def verify(*, head: str = "") -> Verification:
    """Recompute the chain from its start.

    `head` is a digest that was noted elsewhere earlier: it shows a tail that was cut off.
    """
    previous, checked, seen_head = FIRST, 0, not head
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=VERIFY_BATCH):
        if entry.previous != previous:
            return Verification(
                checked, previous, Broken(entry.pk, "does not follow the row before it")
            )
        if digest_of(_in_utc(entry)) != entry.digest:
            return Verification(checked, previous, Broken(entry.pk, "was changed"))
        previous, checked = entry.digest, checked + 1
        seen_head = seen_head or previous == head
    if not seen_head:
        return Verification(
            checked, previous, Broken(0, "the row with the noted digest is missing")
        )
    return Verification(checked, previous)


def _in_utc(entry: AuditEntry) -> AuditEntry:
    entry.at = entry.at.astimezone(UTC)
    return entry


def _plain(detail: dict[str, Any]) -> dict[str, Any]:
    """Return it as JSON will give it back, without what looks like a secret and without NULs."""
    kept = {
        key: value
        for key, value in detail.items()
        if not any(name in key.lower() for name in SECRET_NAMES)
    }
    return json.loads(json.dumps(kept, cls=DjangoJSONEncoder).replace("\\u0000", ""))
