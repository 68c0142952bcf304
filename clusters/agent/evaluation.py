"""Turns a finished program's folder into the report that the portal stores: verdict, results,
analyses.

Runs in worker threads. The plug-in does the reading; whatever it raises becomes a named outcome
here and a traceback in the agent's own log, never an end of the agent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calculations.software.base import Analysis, RunSpec, Software
from calculations.software.canonical import not_finite, results_sha256
from calculations.software.endings import ended_by_scheduler
from calculations.software.execution import execute
from calculations.software.graph import order_analyses
from calculations.software.results import Exit, Outcome, Results, Verdict

log = logging.getLogger(__name__)

MAX_REPORT = 6 * 1024 * 1024  # bytes of JSON; large arrays belong into files
EMPTY: dict[str, Any] = {"quantities": [], "datasets": []}


def evaluate(
    software: Callable[[str], Software],
    spec: RunSpec,
    folder: Path,
    exit: Exit,
    memory: str = "",
    evidence: Sequence[str] = (),
    *,
    has_begun: bool = True,
) -> dict[str, Any]:
    """Return outcome, results and analyses of an attempt as JSON. Never raises on what a plug-in
    does.

    `memory` says why the program was ended for its use of memory, empty where it was not;
    `evidence` is what a scheduler says of the end, where it brought it about. What it ended before
    it `has_begun` has left nothing to be read.
    """
    try:
        plugin = software(spec.software)
        imposed = _too_much_memory(memory) if memory else ended_by_scheduler(exit, evidence)
        if imposed is not None and not has_begun:
            return _sealed({"outcome": imposed.to_json(), "results": EMPTY, "analyses": []})
        if imposed is not None:
            outcome, results = imposed, plugin.extract(folder)
        else:
            outcome, results = plugin.assess(folder, exit)
            outcome = replace(outcome, evidence=(*outcome.evidence, *evidence))
        analyses: list[dict[str, Any]] = []
        if outcome.verdict is Verdict.VALID:
            analyses = _analyse(plugin.analyses, spec, results)
        report = {
            "outcome": outcome.to_json(),
            "results": results.to_json(),
            "analyses": analyses,
        }
        lost = not_finite(report["results"])
        return _bounded({**finite(report), "not_finite": lost})
    except Exception:
        log.exception("the plug-in %s failed", spec.software, extra={"run": spec.run})
        return plugin_error(spec.software)


def plugin_error(software: str) -> dict[str, Any]:
    outcome = Outcome(
        Verdict.FAILED,
        "plugin_error",
        f"The plug-in {software} could not deal with this run.",
        "Show the agent's log to whoever looks after the plug-in; its traceback is there.",
    )
    return _sealed({"outcome": outcome.to_json(), "results": EMPTY, "analyses": []})


def _sealed(report: dict[str, Any]) -> dict[str, Any]:
    """Add the digest by which the portal knows that it stored what was found here."""
    return {**report, "results_sha256": results_sha256(report["results"])}


def failure(code: str, message: str, remedy: str) -> dict[str, Any]:
    """Return the report of a run that could not even be started, for a reason of its own."""
    outcome = Outcome(Verdict.FAILED, code, message, remedy)
    return _sealed({"outcome": outcome.to_json(), "results": EMPTY, "analyses": []})


def _too_much_memory(evidence: str) -> Outcome:
    return Outcome(
        Verdict.FAILED,
        "out_of_memory",
        "The program was ended since it held more memory than the run asked for.",
        "Ask for more memory, or make the calculation smaller.",
        (evidence,),
    )


def _analyse(
    available: Sequence[Analysis], spec: RunSpec, results: Results
) -> list[dict[str, Any]]:
    """Return the run's chosen analyses in order; one that cannot be computed says why."""
    digest = hashlib.sha256(canonical(finite(results.to_json()))).hexdigest()
    chosen = [a for a in order_analyses(available, spec.analyses) if a.scope == "run"]
    return [
        {
            "name": item.analysis.name,
            "version": item.analysis.version,
            "input_sha256": digest,
            "status": item.status,
            "problem": item.problem,
            "results": item.results.to_json(),
        }
        for item in execute(chosen, results, spec.parameters, about={"run": spec.run})
    ]


def canonical(document: Any) -> bytes:
    """Return the one spelling of a JSON document of which digests are taken."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def finite(document: Any) -> Any:
    """Return plain JSON that every database bears: no NaN, no infinity, no NUL.

    A quantity without a finite value is left out; in a column None stands in its place.
    """
    if isinstance(document, float):
        return document if math.isfinite(document) else None
    if isinstance(document, str):
        return document.replace("\0", "") if "\0" in document else document
    if isinstance(document, dict):
        clean = {str(name): finite(value) for name, value in document.items()}
        if isinstance(clean.get("quantities"), list):
            clean["quantities"] = [q for q in clean["quantities"] if q.get("value") is not None]
        return clean
    if isinstance(document, (list, tuple)):
        return [finite(value) for value in document]
    if document is None or isinstance(document, (bool, int)):
        return document
    raise TypeError(f"{type(document).__name__} is no JSON value")


def _bounded(report: dict[str, Any]) -> dict[str, Any]:
    size = len(canonical(report))
    if size <= MAX_REPORT:
        return _sealed(report)
    return failure(
        "results_too_large",
        f"The extracted results are {size / 2**20:.1f} MiB; at most {MAX_REPORT // 2**20} MiB fit.",
        "Let the plug-in extract less, or keep the arrays as a file.",
    )
