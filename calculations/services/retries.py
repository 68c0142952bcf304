"""What a verdict advises to change, checked against the form, and who may have it tried at once.

Called by execution when an attempt ends and by lifecycle when a person tries again. It writes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import F

from calculations.models import Attempt, Calculation, Run
from calculations.software.analysis import rows_of
from calculations.software.base import Software
from calculations.software.parameters import InvalidParameters
from calculations.software.registry import UnknownSoftware, get_software
from calculations.software.results import Outcome, Results, Verdict
from calculations.software.structure import Atom, Vector
from calculations.states import RunState
from calculations.wording import ORDINALS, change_words

MOST_RETRIES = 2


@dataclass(frozen=True, slots=True)
class Advice:
    """Parameters to change and patterns of files to start from; stored with the attempt."""

    changes: Mapping[str, Any]
    files: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"changes": dict(self.changes), "files": list(self.files)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Advice | None:
        changes = document.get("changes")
        return cls(changes, tuple(document.get("files", ()))) if changes else None


def advised(run: Run, outcome: Outcome, results: Results) -> Advice | None:
    """Return what the outcome advises for this run; None where that is nothing, or nothing new.

    The advice comes from an agent: it must pass the checks that a scientist's wishes pass.
    """
    if outcome.verdict == Verdict.VALID or not outcome.retry:
        return None
    before = run.full_parameters()
    try:
        software = get_software(run.calculation.software)
        if outcome.code not in software.retried:
            return None
        wanted = dict(outcome.retry)
        if outcome.last_geometry:
            wanted |= _last_geometry(software, before, results)
        after = software.check({**before, **wanted})
    except (InvalidParameters, UnknownSoftware):
        return None
    changes = {name: after[name] for name in wanted if after[name] != before.get(name)}
    files = tuple(pattern for pattern in outcome.restart if pattern in software.carry)
    return Advice(changes, files) if changes else None


def _last_geometry(
    software: Software, parameters: Mapping[str, Any], results: Results
) -> dict[str, Any]:
    """The parameters that put the atoms where the attempt has left them; empty where unknown."""
    table = results.dataset("final_geometry")
    was = software.structure(parameters)
    if table is None or was is None:
        return {}
    try:
        rows = rows_of(table, "symbol", "x", "y", "z")
        atoms = tuple(Atom(str(symbol), (x, y, z)) for symbol, x, y, z in rows)
        cell = _last_cell(results) if was.cell is not None else None
    except (StopIteration, TypeError, ValueError):
        return {}
    if [atom.symbol for atom in atoms] != [atom.symbol for atom in was.atoms]:
        return {}
    return software.structure_parameters(replace(was, atoms=atoms, cell=cell or was.cell))


def _last_cell(results: Results) -> tuple[Vector, Vector, Vector] | None:
    table = results.dataset("final_cell")
    if table is None:
        return None
    a, b, c = ((x, y, z) for x, y, z in rows_of(table, "x", "y", "z"))
    return a, b, c


def may_try_again(run: Run) -> bool:
    """Whether the scientist asked that the portal try once more by itself."""
    wanted = min(run.calculation.automatic_retries, MOST_RETRIES)
    return run.automatic_retries < wanted and not run.cancel_reason


def changed_columns(run: Run, advice: Advice) -> dict[str, Any]:
    """Return the columns of a run whose next attempt follows the advice."""
    restart = None
    if advice.files:
        restart = {"attempt": run.attempt, "cluster": run.cluster_id, "files": list(advice.files)}
    return {"changes": {**run.changes, **advice.changes}, "restart": restart}


def words_of(run: Run, advice: Advice) -> str:
    """Mixing weight 0.3 → 0.1."""
    return change_words(run.calculation, run.full_parameters(), advice.changes)


def try_words(run: Run, advice: Advice) -> str:
    """Second try: mixing weight 0.3 → 0.1."""
    return f"{ORDINALS[run.automatic_retries + 1]} try: {words_of(run, advice)}"


def advices_of(calculation: Calculation) -> dict[Any, Advice]:
    """Return by run what the last attempts of the runs that are not valid advise, in one query."""
    last = (
        Attempt.objects.filter(run__calculation=calculation, number=F("run__attempt"))
        .exclude(advice={})
        .exclude(run__state=RunState.VALID)
        .order_by("run__index")
    )
    found = {row.run_id: Advice.from_json(row.advice) for row in last}
    return {pk: advice for pk, advice in found.items() if advice is not None}


def common_advice(calculation: Calculation) -> str:
    """The words of a button: what all runs would change alike, or that they differ; else empty."""
    each = {change_words(calculation, {}, a.changes) for a in advices_of(calculation).values()}
    return "the advised changes" if len(each) > 1 else next(iter(each), "")
