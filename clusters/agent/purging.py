"""Deletes the folders of runs that the portal no longer wants, and says so while it asks."""

from __future__ import annotations

import logging
from typing import Any

from clusters.agent.journal import Journal, JournalFull
from clusters.agent.lifecycle import Lifecycle
from clusters.agent.workers import Workers
from clusters.agent.workspace import Workspace

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
        self._busy: set[str] = set()
        self._purges: dict[str, tuple[list[str], int | None]] = {}

    def report(self) -> list[dict[str, Any]]:
        """Return what was purged, as the exchange lists it."""
        return [
            {"run": run, "freed_bytes": freed}
            for run, (_, freed) in self._purges.items()
            if freed is not None
        ]

    def advance(self) -> bool:
        """Begin what the journal says is to be purged; return whether anything was begun.

        A run that is not closed has to wait.
        """
        begun = False
        self._purges = self.journal.purges()
        active = {run for run, _ in self.lifecycle.records}
        for run, (keep, freed) in self._purges.items():
            if freed is None and run not in active and run not in self._busy:
                begun = True
                self._busy.add(run)
                self._begin(run, keep)
        return begun

    def _begin(self, run: str, keep: list[str]) -> None:
        def purged(freed: int | None, error: Exception | None) -> None:
            self._busy.discard(run)
            if freed is None:
                log.error("folder not deleted, tried again: %s", error, extra={"run": run})
                self.lifecycle.loop.later(AGAIN_S, self.advance)
                return
            try:
                self.journal.purged(run, freed)
            except JournalFull:
                return
            self._purges = self.journal.purges()
            self.lifecycle.news(0.0)

        self.workers.submit(lambda: self.workspace.purge(run, keep), purged)
