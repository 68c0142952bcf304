"""From a program's end to its report: evaluate in a worker thread, send the kept files, finish.

A part of the life cycle, split off for its size; the report is on disk before files travel, so
neither a restart nor a portal that is away has the output read twice.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from calculations.software.base import RunSpec
from calculations.software.results import Exit
from clusters.agent.evaluation import evaluate, plugin_error
from clusters.agent.records import Phase, Record, Stop
from clusters.agent.schedulers import marks

if TYPE_CHECKING:
    from clusters.agent.lifecycle import Lifecycle

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # before files are sent again


class Reporting:
    def __init__(self, lifecycle: Lifecycle) -> None:
        self.lifecycle = lifecycle
        self.preparation = lifecycle.preparation
        self._failures: dict[tuple[str, int], int] = {}

    def evaluate(self, record: Record) -> None:
        """Judge and extract, and analyse what is valid."""
        found = record.report["exit"]
        memory = record.report.get("stopped", "") if record.stop is Stop.MEMORY else ""
        ending = found.get("ending", "")
        exit = Exit(found["code"], found["signal"], found["timed_out"], ending=ending)
        said = record.report.get("accounting", {}).get("evidence", ()) if ending else ()
        workspace = self.preparation.workspace
        folder, software = workspace.folder(*record.key), self.preparation.software
        has_begun = marks.has_begun(workspace.control(*record.key))

        def task() -> dict[str, Any]:
            spec = RunSpec.from_json(record.spec)
            report = evaluate(software, spec, folder, exit, memory, said, has_begun=has_begun)
            return {**report, "disk_bytes": workspace.disk_bytes(record.run)}

        self.lifecycle.work(record, task, self._evaluated)

    def _evaluated(
        self, record: Record, report: dict[str, Any] | None, error: Exception | None
    ) -> None:
        if report is None:
            log.error("could not be evaluated", exc_info=error, extra={"run": record.run})
            report = plugin_error(str(record.spec.get("software")))
        record.report.update(report)
        record.verdict = report["outcome"]["verdict"]
        if self._patterns(record):
            self.lifecycle.move(record, Phase.UPLOADING, news=None)
            self.lifecycle.advance(record)
        else:
            self.lifecycle.finish(record)

    def _patterns(self, record: Record) -> tuple[str, ...]:
        try:
            return tuple(self.preparation.software(str(record.spec.get("software"))).retrieve)
        except Exception:
            log.warning("nothing is retrieved: the plug-in is gone", extra={"run": record.run})
            return ()

    def upload(self, record: Record) -> None:
        """Send the files that people asked for; again later while the portal is away."""
        patterns, folder = self._patterns(record), self.preparation.workspace.folder(*record.key)
        staging = self.preparation.staging
        self.lifecycle.work(
            record, lambda: staging.upload(folder, *record.key, patterns), self._uploaded
        )

    def _uploaded(self, record: Record, answer: Any, error: Exception | None) -> None:
        if error is not None:
            failures = self._failures[record.key] = self._failures.get(record.key, 0) + 1
            pause = min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
            if failures == 1:
                log.warning("files cannot be sent yet: %s", error, extra={"run": record.run})
            self.lifecycle.loop.later(pause, lambda: self.lifecycle.advance(record))
            return
        self._failures.pop(record.key, None)
        sent, left_out = answer
        for file in left_out:
            log.warning("%s is not sent: %s", file["name"], file["why"], extra={"run": record.run})
        record.report.update(files=sent, files_left_out=left_out)
        self.lifecycle.finish(record)
