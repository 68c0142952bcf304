"""All that the proxy asks of the database and writes into it, as functions that may block: they run
in pool.py's threads, outside of calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mlmodels.models import Replica
from mlmodels.predictions import keeping
from mlmodels.predictions.keeping import Kept
from mlmodels.proxy import metering, people, table
from mlmodels.proxy.metering import Row
from mlmodels.proxy.people import Person
from mlmodels.proxy.table import Route
from mlmodels.services.replicas import report_failures


def note_answers(answers: Mapping[str, float]) -> None:
    """When replicas answered well, by id, as time.time() has it."""
    for replica_id, at in answers.items():
        Replica.objects.filter(pk=replica_id).update(answered_at=datetime.fromtimestamp(at, UTC))


@dataclass(frozen=True, slots=True)
class Books:
    routes: Callable[[], dict[str, Route]] = table.load
    by_token: Callable[[str], Person | None] = people.by_token
    by_session: Callable[[str], Person | None] = people.by_session
    store: Callable[[Sequence[Row]], None] = metering.store
    failed: Callable[[str, int, str], None] = report_failures
    keep: Callable[[Sequence[Kept]], None] = keeping.store
    may_be_kept_with: Callable[[int, str], bool] = keeping.may_be_kept_with
    answered: Callable[[Mapping[str, float]], None] = note_answers
