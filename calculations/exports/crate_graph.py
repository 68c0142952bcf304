"""The description of a crate: who, with what, from what, to what; JSON-LD by the rocrate library.

Loads rocrate when a crate is asked for. It writes no file: crate.py does.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from calculations.exports.archive import Entry
from calculations.exports.card import NO_NOTE
from calculations.exports.names import safe
from calculations.models import Calculation, Run
from calculations.report.document import Report
from calculations.states import RunState
from calculations.wording import result_words
from labportal.accounts.models import User
from labportal.common.templatetags.labportal import duration

VERSION = "1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # knows sha256
TYPES = {".fdf": "text/plain", ".out": "text/plain", ".xyz": "chemical/x-xyz", ".psf": "text/plain"}
STATUS = {
    RunState.VALID: "http://schema.org/CompletedActionStatus",
    RunState.NOT_VALID: "http://schema.org/FailedActionStatus",
    RunState.FAILED: "http://schema.org/FailedActionStatus",
    RunState.CANCELLED: "http://schema.org/FailedActionStatus",
}


class Graph:
    """Files and runs are added in any order; `document` is the whole."""

    def __init__(self, calculation: Calculation, report: Report, *, note: str = "") -> None:
        from rocrate.rocrate import ROCrate

        self._calculation, self._report = calculation, report
        self._crate = ROCrate(version=VERSION)
        self._crate.metadata.extra_contexts.append(TERMS)
        self._author = self._person(calculation.created_by)
        self._program = self._software()
        self._actions: list[Any] = []
        self._root(note)

    def document(self) -> dict[str, Any]:
        if self._actions:
            self._crate.root_dataset["mentions"] = self._actions
        return self._crate.metadata.generate()

    def file(self, entry: Entry, what: str, *, name: str = "") -> None:
        """`name` is what people call it, where the archive calls it otherwise."""
        from rocrate.model.file import File

        properties = {
            "name": name or entry.path.rpartition("/")[2],
            "description": what,
            "contentSize": str(entry.size),
            "sha256": entry.sha256,
            "encodingFormat": _type_of(entry.path),
        }
        self._crate.add(File(self._crate, None, entry.path, properties=properties))

    def run(self, run: Run, given: Sequence[Entry], left: Sequence[Entry]) -> None:
        """Say what this run was: an action of the program on its inputs."""
        row = next(row for row in self._report.runs.rows if row.id == str(run.pk))
        words = row.label or "the only run"
        properties: dict[str, Any] = {
            "@type": "CreateAction",
            "name": f"Run {run.index + 1}: {words}",
            "actionStatus": {"@id": STATUS.get(RunState(run.state), STATUS[RunState.FAILED])},
            "description": "; ".join(filter(None, (run.reason, *row.evidence[:20]))),
        }
        for name, moment in (("startTime", run.started_at), ("endTime", run.finished_at)):
            if moment is not None:
                properties[name] = moment.isoformat()
        if run.state != RunState.VALID and run.reason:
            properties["error"] = run.reason
        action = self._crate.add_action(
            self._program, f"#run-{run.index + 1}", properties=properties
        )
        action["agent"] = self._author
        action["object"] = [self._crate.dereference(entry.path) for entry in given]
        action["result"] = [self._crate.dereference(entry.path) for entry in left]
        if run.cluster is not None:
            action["location"] = self._cluster(run.cluster.name)
        self._actions.append(action)

    def _root(self, note: str) -> None:
        calculation, report = self._calculation, self._report
        root = self._crate.root_dataset
        moment: datetime = report.provenance.generated_at
        root["name"] = f"{calculation.number} {calculation.name}"
        root["description"] = calculation.description or self._sentence()
        root["datePublished"] = moment.isoformat()
        root["identifier"] = report.calculation.url
        root["dateCreated"] = calculation.created_at.isoformat()
        root["creator"] = self._author
        root["license"] = self._licence(note)
        root["conformsTo"] = self._profile()
        if report.trust.warning or report.trust.label:
            root["creativeWorkStatus"] = report.trust.warning or report.trust.label
        root["keywords"] = ", ".join([report.software.label, report.calculation.project])
        measured = self._measured()
        if measured:
            root["variableMeasured"] = measured

    def _sentence(self) -> str:
        report = self._report
        count = len(report.runs.rows)
        runs = "one run" if count == 1 else f"{count} runs"
        took = duration(report.resources.elapsed_s)
        return (
            f"{runs} of {report.software.label}, {took} in all; {report.calculation.state_label}."
        )

    def _licence(self, note: str) -> Any:
        if note.startswith(("https://", "http://")) and " " not in note:
            return self._entity(note, "CreativeWork", name=note)
        return self._entity(
            "#licence", "CreativeWork", name="Licence and citation", description=note or NO_NOTE
        )

    def _profile(self) -> Any:
        properties = {"name": "Process Run Crate", "version": "0.5"}
        return self._entity(PROFILE, ["CreativeWork", "Profile"], **properties)

    def _software(self) -> Any:
        """The program, with the plug-in that wrote its input and read its output."""
        software, portal = self._report.software, self._report.provenance.portal_version
        versions = [program.version for program in software.programs]
        program = self._entity(
            f"#program-{safe(software.name)}",
            "SoftwareApplication",
            name=software.label,
            description=software.description,
            **({"softwareVersion": "; ".join(versions)} if versions else {}),
        )
        plugin = self._entity(
            f"#plugin-{safe(software.name)}-{software.plugin_version}",
            "SoftwareApplication",
            name=f"{software.label} plug-in of Labportal",
            softwareVersion=f"{software.plugin_version}, Labportal {portal}",
        )
        program["softwareAddOn"] = plugin
        return program

    def _person(self, user: User) -> Any:
        name = user.get_full_name() or user.username
        return self._entity(f"#person-{user.pk}", "Person", name=name)

    def _cluster(self, name: str) -> Any:
        identifier = f"#cluster-{safe(name)}"
        found = self._crate.dereference(identifier)
        return found or self._entity(
            identifier, "Place", name=name, description="The cluster on which the run executed"
        )

    def _measured(self) -> list[Any]:
        """What the analyses across all runs have found, as property and value."""
        found = []
        for analysis in self._report.analyses:
            for quantity in analysis.quantities:
                identifier = f"#{safe(analysis.name)}-{safe(quantity.name)}"
                found.append(
                    self._entity(
                        identifier,
                        "PropertyValue",
                        name=quantity.label,
                        value=quantity.value,
                        description=f"{analysis.label}: {result_words(quantity.value)}",
                        **({"unitText": quantity.unit} if quantity.unit else {}),
                    )
                )
        return found

    def _entity(self, identifier: str, kind: str | list[str], **properties: Any) -> Any:
        from rocrate.model.contextentity import ContextEntity

        found = ContextEntity(self._crate, identifier, properties={"@type": kind, **properties})
        return self._crate.add(found)


def _type_of(path: str) -> str:
    ending = path[path.rfind(".") :].lower() if "." in path else ""
    return TYPES.get(ending) or mimetypes.guess_type(path)[0] or "application/octet-stream"
