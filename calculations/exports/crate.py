"""A calculation as an RO-Crate: one zip with inputs, outputs, results and report, and a description
of them all that programs and archives understand.

It follows RO-Crate 1.1 and the profile Process Run Crate 0.5: each run is an action that a program
performed. Nothing is asked of the network; people are named, without their addresses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from calculations.exports import tables
from calculations.exports.all_tables import add_table
from calculations.exports.archive import Archive, Entry
from calculations.exports.base import Asked, OfCalculation, Progress
from calculations.exports.crate_graph import Graph
from calculations.exports.runset import MOST_NOTE
from calculations.models import Calculation, OutputFile, Run
from calculations.models.file import StoredFile
from calculations.report import html, pdf
from calculations.report import json as report_json
from calculations.report.document import Report
from calculations.report.gather import gather
from calculations.services.preview import written
from calculations.states import TERMINAL_RUNS
from labportal.common.errors import InvalidInput, NotFound

FILES = ("all", "inputs", "none")
MOST_OF_A_FILE = 2 * 1024**3
MOST_IN_ALL = 20 * 1024**3
METADATA, LEFT_OUT = "ro-crate-metadata.json", "left-out.json"


@dataclass
class Held:
    """What already stands in the archive, and what does not with the reason."""

    size: int = 0
    left_out: list[dict[str, Any]] = field(default_factory=list)


class Crate(OfCalculation):
    name = "ro-crate"
    label = "RO-Crate"
    help = "Inputs, outputs, results, report, programs and people in one archive for a repository."
    content_type = "application/zip"
    ending = "ro-crate.zip"

    def options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        files = str(asked.get("files") or "all")
        if files not in FILES:
            raise InvalidInput(f"must be one of {', '.join(FILES)}", field="files")
        note = str(asked.get("note") or "").strip()
        if len(note) > MOST_NOTE:
            raise InvalidInput(f"may have {MOST_NOTE} characters at most", field="note")
        return {"files": files, "note": note}

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        calculation: Calculation = asked.about
        report = gather(calculation)
        steps = _Steps(progress, calculation.run_count + 3)
        with Archive(stream, steps.live) as archive:
            _Writer(calculation, report, archive, steps, asked.stored).write()


class _Steps:
    """Counts what is done; `live` shows that a long file is still being copied."""

    def __init__(self, progress: Progress, of: int) -> None:
        self._progress, self._of, self._done = progress, of, 0

    def next(self) -> None:
        self._done = min(self._done + 1, self._of)
        self.live()

    def live(self) -> None:
        self._progress(self._done, self._of)


class _Writer:
    def __init__(
        self,
        calculation: Calculation,
        report: Report,
        archive: Archive,
        steps: _Steps,
        asked: Mapping[str, Any],
    ) -> None:
        self._calculation, self._report, self._archive = calculation, report, archive
        self._steps, self._asked = steps, asked
        self._held = Held()
        self._graph = Graph(calculation, report, note=str(asked.get("note", "")))

    def write(self) -> None:
        self._reports()
        supplied = self._supplied()
        results = self._results()
        self._steps.next()
        left = self._outputs()
        runs = self._calculation.runs.select_related("calculation", "cluster").order_by("index")
        for run in runs:
            if run.state in TERMINAL_RUNS:
                inputs = self._inputs(run)
                outputs = [self._output(run, file) for file in left.get(run.pk, ())]
                self._graph.run(run, [*supplied, *inputs], [e for e in outputs if e] + results)
            self._steps.next()
        if self._held.left_out:
            told = json.dumps(self._held.left_out, ensure_ascii=False, indent=1)
            entry = self._archive.add("", LEFT_OUT, told)
            self._graph.file(entry, "Files that are not in this crate, with the reason of each")
        described = json.dumps(self._graph.document(), ensure_ascii=False, indent=1)
        self._archive.add("", METADATA, described)

    def _reports(self) -> None:
        for name, content, what in (
            ("report.pdf", pdf.render(self._report), "Report for people"),
            ("report.html", html.render(self._report), "The same report for browsers"),
            ("report.json", report_json.render(self._report), "The same report for programs"),
        ):
            self._graph.file(self._archive.add("", name, content), what)
        self._steps.next()

    def _results(self) -> list[Entry]:
        """The tables; those across runs are results of every run."""
        across = []
        for folder, table in tables.all_of(self._calculation):
            entries = add_table(self._archive, f"results/{folder}", table)
            for entry in entries:
                self._graph.file(entry, table.title)
            if not folder:
                across += entries
        return across

    def _supplied(self) -> list[Entry]:
        files = self._calculation.input_files.order_by("name")
        found = [
            self._stored("supplied/", file, f"Supplied by {self._report.people[0].name}")
            for file in files
            if self._asked["files"] != "none" or self._leave(file, "not asked for")
        ]
        return [entry for entry in found if entry]

    def _inputs(self, run: Run) -> list[Entry]:
        entries = [
            self._archive.add(f"inputs/run-{run.index + 1}/", name, text)
            for name, text in written(run).items()
        ]
        for entry in entries:
            self._graph.file(entry, f"Input of run {run.index + 1}, as it was written")
        return entries

    def _outputs(self) -> dict[Any, list[OutputFile]]:
        held = OutputFile.objects.filter(run__calculation=self._calculation).order_by("id")
        found: dict[Any, list[OutputFile]] = {}
        for file in held:
            found.setdefault(file.run_id, []).append(file)
        return found

    def _output(self, run: Run, file: OutputFile) -> Entry | None:
        if self._asked["files"] != "all":
            return self._leave(file, "not asked for")
        what = f"Output of run {run.index + 1}, attempt {file.attempt}"
        folder = f"outputs/run-{run.index + 1}/"
        if file.attempt != run.attempt:
            folder += f"attempt-{file.attempt}/"
        return self._stored(folder, file, what)

    def _stored(self, folder: str, file: StoredFile, what: str) -> Entry | None:
        if file.size > MOST_OF_A_FILE or self._held.size + file.size > MOST_IN_ALL:
            return self._leave(file, "too large")
        try:
            entry = self._archive.add_stored(folder, file.name, file.key)
        except NotFound:
            return self._leave(file, "no longer kept")
        self._held.size += entry.size
        if entry.sha256 != file.sha256:
            what += "; its content is not what the run reported"
        self._graph.file(entry, what, name=file.name)
        return entry

    def _leave(self, file: StoredFile, why: str) -> None:
        told = {"name": file.name, "size": file.size, "sha256": file.sha256, "why": why}
        self._held.left_out.append(told)
