"""What the servers of a model printed, launch by launch, as its page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from clusters.models import LogLine
from clusters.selectors import logs
from labportal.accounts.models import User
from mlmodels.models import RegisteredModel, Replica

LAUNCHES_SHOWN = 3  # this one and those before it


def lines_of(user: User, replica: Replica, launch: int | None = None) -> QuerySet[LogLine]:
    """Of one launch, or of all."""
    found = logs.replica_lines(user, replica.pk)
    return found if launch is None else found.filter(launch=launch)


def launches_of(replica: Replica) -> list[int]:
    """The newest first."""
    return list(range(replica.launch, max(0, replica.launch - LAUNCHES_SHOWN), -1)) or [0]


def launch_asked(replica: Replica, query: Mapping[str, Any]) -> int:
    """The launch that an address names; the present one where it names none of those shown."""
    said = str(query.get("launch", ""))
    named = int(said) if said.isdecimal() and len(said) < 8 else replica.launch
    return named if named in launches_of(replica) else replica.launch


def shown(
    user: User, model: RegisteredModel, replica: Replica, launch: int, before: int | None = None
) -> dict[str, Any]:
    """What templates/mlmodels/_log.html draws; only the present launch is live."""
    window = logs.before(lines_of(user, replica, launch), before)
    here = f"replica={replica.pk}&launch={launch}"
    return {
        "replica": replica,
        "launch": launch,
        "launches": launches_of(replica),
        "lines": window.lines,
        "topic": f"replica:{replica.pk}" if launch == replica.launch and before is None else "",
        "url": f"{reverse('model-replica-log', args=[model.name, replica.pk])}?launch={launch}",
        "download": reverse("model-replica-log-download", args=[model.name, replica.pk]),
        "older_url": f"?{here}&before={window.lines[0].pk}#log" if window.older else "",
        "newest_url": f"?{here}#log" if before is not None else "",
    }
