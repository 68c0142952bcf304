"""The graph of analyses, as the form and the results of a calculation show it, and its one verb:
compute from what is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Count, Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from calculations.models import AnalysisResult, Calculation
from calculations.services import reanalysis
from calculations.services.reanalysis import Progress
from calculations.software.base import Analysis, Software
from calculations.states import RunState
from calculations.views.finding import find
from calculations.wording import software_of
from labportal.accounts.decorators import needs
from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.errors import InvalidInput, Unavailable, WrongMoment

Status = AnalysisResult.Status
SCOPES = (("run", "of each run"), ("calculation", "over all runs"))


@dataclass(frozen=True, slots=True)
class Node:
    """An analysis in the graph; `depth` is how far it stands to the right of what it rests on."""

    name: str
    label: str
    help: str
    scope: str
    requires: tuple[str, ...]
    needs: str
    depth: int
    chosen: bool
    lacks: str = ""


def nodes(
    software: Software,
    chosen: Collection[str],
    parameters: Mapping[str, Any] | None = None,
    swept: Sequence[str] = (),
) -> list[Node]:
    """Order the definitions as a tree, each below the last one that it rests on.

    `lacks` is said of the chosen where checked parameters are given.
    """
    known = {analysis.name: analysis for analysis in software.analyses}
    depths: dict[str, int] = {}

    def own(name: str) -> list[str]:
        """What it rests on in its own column."""
        return [n for n in known[name].requires if known[n].scope == known[name].scope]

    def depth(name: str) -> int:
        if name not in depths:
            depths[name] = 1 + max((depth(n) for n in own(name)), default=-1)
        return depths[name]

    below: dict[str, list[Analysis]] = {}
    for analysis in software.analyses:
        parent = max(own(analysis.name), key=depth, default="")
        below.setdefault(parent, []).append(analysis)

    def walk(name: str) -> Iterable[Node]:
        for a in below.get(name, ()):
            here = a.name in chosen
            wants = a.lacks(parameters, swept) if here and parameters else ""
            words = ", ".join(known[n].label for n in a.requires)
            yield Node(
                a.name, a.label, a.help, a.scope, a.requires, words, depth(a.name), here, wants
            )
            yield from walk(a.name)

    return list(walk(""))


@dataclass(frozen=True, slots=True)
class Stored:
    """How an analysis stands on a calculation: `state` is one of computed, outdated, missing,
    failed, open (chosen, not there yet) and available; `runs` of `of` have it.
    """

    node: Node
    state: str
    words: str
    problem: str
    runs: int
    of: int
    version: int
    newest: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Graph:
    """For templates/calculations/_analyses_card.html."""

    stored: list[Stored]
    outdated: list[str]
    progress: Progress | None
    may_compute: bool

    @property
    def problems(self) -> int:
        return sum(one.state in ("missing", "failed") for one in self.stored)


WORDS = {
    "computed": "computed",
    "outdated": "outdated",
    "missing": "not computed",
    "failed": "failed",
    "open": "not computed yet",
    "available": "available",
}


def graph_of(calculation: Calculation, user: User, valid: int) -> Graph | None:
    """Return how each analysis of the plug-in stands; `valid` runs could be analysed."""
    software = software_of(calculation)
    if software is None or not software.analyses or not valid:
        return None
    rows: dict[str, list[dict[str, Any]]] = {}
    # What runs reported that are valid no more is no result.
    reported = calculation.analysis_results.exclude(run__isnull=False, run__state__in=NOT_VALID)
    counted = reported.values("name", "status", "version").annotate(
        count=Count("pk"), at=Max("created_at"), problem=Max("problem")
    )
    for row in counted.order_by():
        rows.setdefault(row["name"], []).append(row)
    known = {analysis.name: analysis for analysis in software.analyses}
    stored = [
        _stored(node, known[node.name], rows.get(node.name, []), valid)
        for node in nodes(software, calculation.analyses)
        if node.scope == "run" or calculation.sweep
    ]
    return Graph(
        stored,
        [one.node.name for one in stored if one.version and one.version < one.newest],
        reanalysis.progress_of(calculation),
        can(user, Can.CREATE_CALCULATION),
    )


NOT_VALID = frozenset(RunState) - {RunState.VALID}


def _stored(node: Node, analysis: Analysis, rows: list[dict[str, Any]], valid: int) -> Stored:
    of = valid if node.scope == "run" else 1
    computed = sum(row["count"] for row in rows if row["status"] == Status.COMPUTED)
    version = min((row["version"] for row in rows), default=0)
    bad = [row for row in rows if row["status"] != Status.COMPUTED]
    if version and version < analysis.version:
        state = "outdated"
    elif bad:
        failed = any(row["status"] == Status.FAILED for row in bad)
        state = "failed" if failed else "missing"
    elif computed:
        state = "computed"
    else:
        state = "open" if node.chosen else "available"
    return Stored(
        node,
        state,
        WORDS[state],
        max((row["problem"] for row in bad), default=""),
        computed,
        of,
        version,
        analysis.version,
        max((row["at"] for row in rows), default=None),
    )


@needs()
@require_POST
def compute(request: HttpRequest, pk: int) -> HttpResponse:
    """Compute what was ticked, with all that it rests on, from stored results."""
    calculation = find(request.user, pk)
    names = [name[:60] for name in request.POST.getlist("analyses")[:100]]
    back = reverse("calculation-detail", args=[pk, "results"]) + "#analyses"
    try:
        chosen = reanalysis.ask(calculation, names, actor=request.user, complete=True)
    except (InvalidInput, WrongMoment, Unavailable) as problem:
        messages.warning(request, problem.message)
        return redirect(back)
    count = len(chosen)
    messages.success(
        request,
        f"{count} analys{'i' if count == 1 else 'e'}s of {calculation.number} "
        f"{'is' if count == 1 else 'are'} computed from the stored results.",
    )
    return redirect(back)
