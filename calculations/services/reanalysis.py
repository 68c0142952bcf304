"""Analyses again, or for the first time, on results that are stored: no new run.

Those of single runs are computed here from what the runs' plug-in has extracted, those across
runs by services/results.py. Called by pages, the REST interface and tasks.py. Idempotent: the same
choice on the same results gives the same rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import current_app
from django.db import transaction
from django.db.models import Q, QuerySet
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from calculations.models import AnalysisResult, Calculation, Dataset, Event, Run
from calculations.models import Quantity as StoredQuantity
from calculations.services import standing
from calculations.services.results import (
    analyse,
    collect,
    load_analyses,
    load_results,
    parameters_of,
)
from calculations.software.base import Analysis, InvalidAnalyses
from calculations.software.execution import Executed, execute
from calculations.software.graph import completed
from calculations.software.registry import UnknownSoftware, all_software, get_software
from calculations.software.results import Results
from calculations.states import RunState
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.common.errors import InvalidInput, Unavailable, WrongMoment
from labportal.common.wake import redis_client
from labportal.realtime.events import publish

TASK = "calculations.tasks.reanalyse"
BATCH = 50  # runs at once: some megabytes of results
PROGRESS_SECONDS = 600  # how long a silent computation counts as going on
MOST_AT_ONCE = 200  # calculations that one click computes anew


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a computation is: runs done, of all."""

    done: int
    of: int


def ask(
    calculation: Calculation, names: Sequence[str], *, actor: User, complete: bool = False
) -> list[str]:
    """Let a worker compute the analyses; returns their names in order.

    Raises InvalidInput for a choice that cannot be carried out, WrongMoment where no run is valid.
    """
    chosen = check(calculation, names, actor=actor, complete=complete)
    _enqueue({calculation.pk: chosen}, actor)
    return chosen


def ask_outdated(calculations: QuerySet[Calculation], *, actor: User) -> int:
    """Let a worker compute anew what is older than its definition; returns how many calculations.

    `calculations` have passed `visible_to`.
    """
    require(actor, Can.CREATE_CALCULATION)
    rows = outdated(calculations).order_by("-id")[:MOST_AT_ONCE]
    wanted = {row.pk: outdated_names(row) for row in rows}
    _enqueue({pk: names for pk, names in wanted.items() if names}, actor)
    return len(wanted)


def _enqueue(wanted: Mapping[int, Sequence[str]], actor: User) -> None:
    def send() -> None:
        try:
            for pk, names in wanted.items():
                _note(pk, Progress(0, 0))
                current_app.send_task(TASK, args=[pk, list(names), actor.pk])
        except OperationalError:
            for pk in wanted:
                _note(pk, None)
            raise Unavailable("The workers cannot be reached; try again in a minute.") from None

    transaction.on_commit(send)


def check(
    calculation: Calculation, names: Sequence[str], *, actor: User, complete: bool = False
) -> list[str]:
    """Return the names in order, with what they require where `complete` is set.

    What they require may also be stored already. Raises InvalidInput, WrongMoment.
    """
    require(actor, Can.CREATE_CALCULATION)
    try:
        available = get_software(calculation.software).analyses
        whole = [analysis.name for analysis in completed(available, names)]
    except (UnknownSoftware, InvalidAnalyses) as error:
        raise InvalidInput(str(error), field="analyses") from None
    if not names:
        raise InvalidInput("Name at least one analysis.", field="analyses")
    missing = [n for n in whole if n not in names and n not in calculation.analyses]
    if missing and not complete:
        raise InvalidInput(
            f"{', '.join(names)} need {', '.join(missing)}: name that too, or ask for complete",
            field="analyses",
        )
    if not calculation.runs.filter(state=RunState.VALID).exists():
        raise WrongMoment(f"{calculation.number} has no valid run yet whose results could be used.")
    return [name for name in whole if name in names or name in missing]


def reanalyse(calculation: Calculation, names: Sequence[str], *, actor: User | str) -> None:
    """Compute the analyses from stored results; of the same name, the old ones are replaced.

    May run twice, and beside runs that end: what a run reported meanwhile is not overwritten.
    """
    available = get_software(calculation.software).analyses
    chosen = [analysis for analysis in completed(available, names) if analysis.name in names]
    _choose(calculation, chosen)
    of_runs = [analysis for analysis in chosen if analysis.scope == "run"]
    done: set[tuple[Any, int]] = set()
    try:
        while of_runs:
            valid = calculation.runs.filter(state=RunState.VALID).order_by("index")
            left = [run for run in valid if (run.pk, run.attempt) not in done]
            if not left:
                break
            for first in range(0, len(left), BATCH):
                batch = left[first : first + BATCH]
                _of_runs(calculation, of_runs, batch)
                done |= {(run.pk, run.attempt) for run in batch}
                _tell(calculation, Progress(len(done), len(done) + len(left) - first - len(batch)))
        analyse(calculation.pk)
        _record(calculation, chosen, actor)
        words = ", ".join(analysis.label for analysis in chosen)
        standing.change_results(calculation, actor=actor, why=f"analysed again: {words}")
    finally:
        _note(calculation.pk, None)
        publish(f"calculation:{calculation.pk}", "results.changed", {"id": calculation.pk})


def _choose(calculation: Calculation, chosen: Sequence[Analysis]) -> None:
    """Runs that are added later bring the same analyses."""
    with transaction.atomic():
        row = Calculation.objects.select_for_update(no_key=True).get(pk=calculation.pk)
        wanted = {*row.analyses, *(analysis.name for analysis in chosen)}
        known = get_software(row.software).analyses
        ordered = completed(known, [name for name in (a.name for a in known) if name in wanted])
        row.analyses = [analysis.name for analysis in ordered]
        row.save(update_fields=["analyses"])
    calculation.analyses = row.analyses


def _of_runs(calculation: Calculation, chosen: Sequence[Analysis], runs: Sequence[Run]) -> None:
    """Compute and store the analyses of some runs; those that changed meanwhile are left alone."""
    names = {analysis.name for analysis in chosen}
    extracted = load_results(runs, extracted=True)
    earlier = _earlier(chosen, runs)
    computed = []
    for run in runs:
        found, about = extracted[run.pk], {"run": str(run.pk)}
        parameters = parameters_of(run)
        items = execute(chosen, found, parameters, earlier=earlier.get(run.pk, ()), about=about)
        computed.append((run, _digest(found), items))
    with transaction.atomic():
        Calculation.objects.select_for_update(no_key=True).get(pk=calculation.pk)
        now_valid = calculation.runs.filter(pk__in=[r.pk for r in runs], state=RunState.VALID)
        same = set(now_valid.values_list("pk", "attempt"))
        kept = [entry for entry in computed if (entry[0].pk, entry[0].attempt) in same]
        AnalysisResult.objects.filter(run__in=[run for run, *_ in kept], name__in=names).delete()
        _store(calculation, kept)


def _earlier(chosen: Sequence[Analysis], runs: Sequence[Run]) -> dict[Any, list[Executed]]:
    """Return, by run, the stored analyses that the chosen ones rest on and that are kept."""
    own = {analysis.name for analysis in chosen}
    needed = {name for analysis in chosen for name in analysis.requires} - own
    found: dict[Any, list[Executed]] = {}
    if not needed:
        return found
    known = {a.name: a for a in get_software(runs[0].calculation.software).analyses}
    rows = list(AnalysisResult.objects.filter(run__in=runs, name__in=needed))
    results = load_analyses(rows)
    for row in rows:
        item = Executed(known[row.name], results[row.pk], row.status, row.problem)
        found.setdefault(row.run_id, []).append(item)
    return found


def _store(
    calculation: Calculation, computed: Sequence[tuple[Run, str, Sequence[Executed]]]
) -> None:
    rows, quantities, datasets = [], [], []
    for run, digest, items in computed:
        for item in items:
            row = AnalysisResult(
                calculation=calculation,
                run=run,
                name=item.analysis.name,
                version=item.analysis.version,
                input_sha256=digest,
                status=item.status,
                problem=item.problem,
            )
            rows.append(row)
            collect(item.results, calculation.pk, run, row, quantities, datasets)
    AnalysisResult.objects.bulk_create(rows)
    StoredQuantity.objects.bulk_create(quantities)
    Dataset.objects.bulk_create(datasets)


def _digest(results: Results) -> str:
    document = json.dumps(results.to_json(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(document.encode()).hexdigest()


def _record(calculation: Calculation, chosen: Sequence[Analysis], actor: User | str) -> None:
    person = actor if isinstance(actor, User) else None
    state = Calculation.objects.values_list("state", flat=True).get(pk=calculation.pk)
    Event.objects.create(
        calculation=calculation,
        verb="reanalyse",
        source=state,
        target=state,
        actor=person,
        actor_label=person.display_name if person else str(actor),
        note=", ".join(f"{a.label}, version {a.version}" for a in chosen),
    )


def _key(calculation_id: int) -> str:
    return f"labportal:reanalysis:{calculation_id}"


def _note(calculation_id: int, progress: Progress | None) -> None:
    """Tell the web processes how far it is; None when it has ended. A comfort, never an error."""
    key = _key(calculation_id)
    with suppress(RedisError):
        if progress is None:
            redis_client().delete(key)
        else:
            redis_client().set(key, f"{progress.done} {progress.of}", ex=PROGRESS_SECONDS)


def _tell(calculation: Calculation, progress: Progress) -> None:
    _note(calculation.pk, progress)
    document = {"done": progress.done, "of": progress.of}
    publish(f"calculation:{calculation.pk}", "analyses.progress", document)


def progress_of(calculation: Calculation) -> Progress | None:
    """Return how far a computation is that goes on now."""
    found = None
    with suppress(RedisError):
        found = redis_client().get(_key(calculation.pk))
    return Progress(*map(int, found.split())) if found else None


def outdated(calculations: QuerySet[Calculation]) -> QuerySet[Calculation]:
    """Narrow to those with an analysis that is older than its definition."""
    older = Q(pk=None)
    for software in all_software().values():
        for analysis in software.analyses:
            if analysis.version > 1:
                older |= Q(
                    calculation__software=software.name,
                    name=analysis.name,
                    version__lt=analysis.version,
                )
    return calculations.filter(pk__in=AnalysisResult.objects.filter(older).values("calculation"))


def outdated_names(calculation: Calculation) -> list[str]:
    """Return the analyses of one that are older than their definitions."""
    try:
        known = {a.name: a.version for a in get_software(calculation.software).analyses}
    except UnknownSoftware:
        return []
    stored = calculation.analysis_results.values_list("name", "version").distinct()
    found = {name for name, version in stored if version < known.get(name, 0)}
    return [name for name in known if name in found]
