"""Whether what is stored is what was found: asked when results arrive, and before raw files go.

The digest (software/canonical.py) is of what the plug-in extracted; analyses can be computed from
that again. Reads only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calculations.models import Attempt, Dataset, OutputFile, Quantity, Run
from calculations.software.canonical import results_sha256
from labportal.common.errors import InvalidInput, NotFound, Unavailable
from labportal.common.storage import storage

CHEAP = 8 * 1024 * 1024  # bytes; of a larger file the size alone is compared
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run's results are not verified; `differs`: they are not what was found, else it cannot
    be told.
    """

    words: str
    differs: bool = True


def arrived_intact(report: Mapping[str, Any]) -> bool:
    """Whether the report's results are those that the agent hashed; agents of before hash none."""
    told = report.get("results_sha256")
    if not told:
        return True
    try:
        return results_sha256(report.get("results") or {}) == told
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def problems(runs: Sequence[Run]) -> dict[Any, Problem]:
    """Return what speaks against deleting the raw files of these runs, in a fixed number of
    queries and one look at each stored file; a run without a finished attempt has no results.
    """
    ended = Attempt.objects.filter(run__in=runs, ending=Attempt.Ending.FINISHED)
    told = {a.run_id: a for a in ended.order_by("number")}  # the last: its results are stored
    found: dict[Any, Problem] = {}
    stored = stored_digests([pk for pk, attempt in told.items() if attempt.results_sha256])
    for pk, attempt in told.items():
        digest = attempt.results_sha256
        if not digest:
            found[pk] = Problem("its results were stored before checksums were kept", False)
        elif stored[pk] != digest:
            found[pk] = Problem("the stored results differ from what the cluster found")
    for file in OutputFile.objects.filter(run__in=told).order_by("name"):
        words = _file_problem(file) if file.attempt == told[file.run_id].number else ""
        if words:
            found.setdefault(file.run_id, Problem(words))
    return found


def stored_digests(run_ids: Iterable[Any]) -> dict[Any, str]:
    """Compute the digests of extracted results anew, from the rows of the database."""
    documents: dict[Any, dict[str, list[Any]]] = {
        pk: {"quantities": [], "datasets": []} for pk in run_ids
    }
    own = {"run__in": documents, "analysis": None}
    for q in Quantity.objects.filter(**own):
        document = {"name": q.name, "label": q.label, "value": q.value, "unit": q.unit}
        documents[q.run_id]["quantities"].append(document)
    for d in Dataset.objects.filter(**own).values("run_id", "name", "label", "kind", "columns"):
        documents[d["run_id"]]["datasets"].append(d)
    return {pk: results_sha256(document) for pk, document in documents.items()}


def _file_problem(file: OutputFile) -> str:
    """Why a retrieved file is not what was sent, "" where it is."""
    try:
        size = storage().size(file.key)
        if size != file.size:
            return f"{file.name} has {size} bytes in the file store, {file.size} were sent"
        if size <= CHEAP and _sha256(file.key) != file.sha256:
            return f"{file.name} has another checksum in the file store than when it was sent"
    except (NotFound, InvalidInput):
        return f"{file.name} is missing in the file store"
    except Unavailable:
        return f"{file.name} could not be looked at: the file store does not answer"
    return ""


def _sha256(key: str) -> str:
    digest = hashlib.sha256()
    with storage().open(key) as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
