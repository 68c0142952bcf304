"""Replicas in the agent's journal: what they are on disk before anything is done about it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clusters.agent.journal import Journal
from clusters.agent.serving_records import Replica

log = logging.getLogger(__name__)

ALL = "SELECT spec, body, log_offset FROM replicas ORDER BY rowid"
PUT = """
    INSERT INTO replicas (replica, spec, body, log_offset) VALUES (?, ?, ?, ?)
    ON CONFLICT (replica) DO UPDATE
    SET spec = excluded.spec, body = excluded.body, log_offset = excluded.log_offset"""
CHANGE = "UPDATE replicas SET body = ?, log_offset = ? WHERE replica = ?"


class ServingJournal:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    @property
    def settings(self) -> Mapping[str, int]:
        """What the portal has set last."""
        return self.journal.settings

    def replicas(self) -> list[Replica]:
        found = []
        for spec, body, log_offset in self.journal.read(ALL):
            try:
                found.append(Replica.restore(json.loads(spec), json.loads(body), log_offset))
            except (KeyError, TypeError, ValueError) as error:
                log.error("a replica in the journal cannot be read: %r in %.200s", error, body)
        return found

    def take_in(self, replicas: Iterable[Replica]) -> None:
        """Write replicas with what the portal wants of them. Raises JournalFull."""
        rows = [
            (one.replica, json.dumps(one.spec), json.dumps(one.body()), one.log_offset)
            for one in replicas
        ]
        if rows:
            self.journal.write(PUT, rows)

    def save(self, replica: Replica, events: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write where a replica stands, with the events that tell of it. Raises JournalFull."""
        row = (json.dumps(replica.body()), replica.log_offset, replica.replica)
        self.journal.write(CHANGE, [row], events)

    def forget(self, replica: Replica) -> None:
        self.journal.write("DELETE FROM replicas WHERE replica = ?", [(replica.replica,)])
