"""Deletes the folders of runs that the portal no longer wants, and says so while it asks.

One after the other, in two steps: what is there is hashed and written down, then it is deleted. A
kill in between loses neither the order nor the list.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from clusters.agent.journal import Journal, JournalFull, PurgeOrder
from clusters.agent.lifecycle import Lifecycle
from clusters.agent.workers import Workers
from clusters.agent.workspace import Inventory, Workspace

log = logging.getLogger(__name__)

AGAIN_S = 60.0


class Purging:
    def __init__(
        self, lifecycle: Lifecycle, workers: Workers, journal: Journal, workspace: Workspace
    ) -> None:
        self.lifecycle = lifecycle
        self.workers = workers
        self.journal = journal
        self.workspace = workspace
        self._busy = False
        self._waits: set[str] = set()  # could not be deleted, tried again later
        self._orders: list[PurgeOrder] = []

    def report(self, portion: int) -> tuple[list[dict[str, Any]], bool]:
        """Return what was purged, as the exchange lists it, and whether more waits than fits in
        `portion` bytes.
        """
        entries: list[dict[str, Any]] = []
        size = 0
        for order in self._orders:
            if order.freed is None:
                continue
            inventory = order.inventory or Inventory().to_json()
            entry = {
                "run": order.run,
                "attempt": order.attempt,
                **inventory,
                "freed_bytes": order.freed,
            }
            size += len(json.dumps(entry))
            if entries and size > portion:
                return entries, True
            entries.append(entry)
        return entries, False

    def advance(self) -> bool:
        """Begin what the journal says is to be purged; return whether anything was begun.

        A run that is not closed has to wait.
        """
        self._orders = self.journal.purges()
        if self._busy:
            return False
        for order in self._orders:
            if order.freed is None and order.run not in self._waits and not self._active(order):
                self._busy = True
                (self._look if order.inventory is None else self._delete)(order)
                return True
        return False

    def _active(self, order: PurgeOrder) -> bool:
        return any(
            run == order.run and (not order.attempt or attempt <= order.attempt)
            for run, attempt in self.lifecycle.records
        )

    def _look(self, order: PurgeOrder) -> None:
        def seen(inventory: Inventory | None, error: Exception | None) -> None:
            if inventory is None:
                self._later(order, error)
                return
            order.inventory = inventory.to_json()
            try:
                self.journal.purge_begins(order.run, order.inventory)
            except JournalFull as full:
                self._later(order, full)
                return
            self._delete(order)

        def look() -> Inventory:
            return self.workspace.inventory(order.run, order.keep, attempt=order.attempt)

        self.workers.submit(look, seen)

    def _delete(self, order: PurgeOrder) -> None:
        def purged(freed: int | None, error: Exception | None) -> None:
            if freed is None:
                self._later(order, error)
                return
            listed = (order.inventory or {}).get("freed_bytes", 0)
            try:
                self.journal.purged(order.run, max(freed, listed))
            except JournalFull as full:
                self._later(order, full)
                return
            self._busy = False
            self.advance()
            self.lifecycle.news(0.0)

        def delete() -> int:
            return self.workspace.purge(order.run, order.keep, attempt=order.attempt)

        self.workers.submit(delete, purged)

    def _later(self, order: PurgeOrder, error: Exception | None) -> None:
        log.error("folder not deleted, tried again: %s", error, extra={"run": order.run})
        self._busy = False
        self._waits.add(order.run)

        def again() -> None:
            self._waits.discard(order.run)
            self.advance()

        self.lifecycle.loop.later(AGAIN_S, again)
        self.advance()
