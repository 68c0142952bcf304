"""The arithmetic of the chain: what a row's digest covers. Pure; services alone call it."""

import hashlib
import json
from typing import Any

from labportal.audit.models import AuditEntry

FIRST = ""


def digest_of(entry: AuditEntry) -> str:
    """SHA-256 over the canonical JSON of the row and the digest of the row before it."""
    covered: dict[str, Any] = {
        "previous": entry.previous,
        "at": entry.at.isoformat(),
        "actor_id": entry.actor_id,
        "actor_name": entry.actor_name,
        "verb": entry.verb,
        "target": entry.target,
        "detail": entry.detail,
    }
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
