"""Further points for a sweep that was submitted: more values of an axis, with all combinations.

What is there stays. A new run of a chain continues the nearest run of its line, so that chains may
branch. Called by pages and API.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from calculations.models import Calculation, Event, LabSettings, Run
from calculations.policy import may_review, review_reason
from calculations.services import asking
from calculations.services.advance import advance
from calculations.services.execution import settle
from calculations.services.lifecycle import lock
from calculations.services.submission import check_ready, new_run
from calculations.services.sweeps import Axis, PlannedRun, axes_of, clean_sweep, count_of, plan_at
from calculations.software.registry import get_software
from calculations.states import TRUSTED, CalculationState, RunState, Standing
from calculations.sweeps.planner import Point, points_of
from calculations.wording import span_words
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.clock import now
from labportal.common.errors import InvalidInput, NotAllowed, WrongMoment
from labportal.realtime.events import publish

STOPPED = frozenset({RunState.NOT_VALID, RunState.FAILED, RunState.CANCELLED, RunState.SKIPPED})
BEFORE_SUBMIT = frozenset({CalculationState.DRAFT, CalculationState.IN_REVIEW})


@dataclass(frozen=True, slots=True)
class NewRun:
    """`before` is the run that it continues: one that is there, or the place of a new one."""

    planned: PlannedRun
    before: Run | int | None


@dataclass(frozen=True, slots=True)
class Extension:
    """What would be added; `review` says why a moderator must agree, empty where nobody must."""

    sweep: dict[str, Any]
    runs: tuple[NewRun, ...]
    review: str
    note: str


def preview(
    calculation: Calculation, axes: Sequence[Mapping[str, Any]], *, actor: User
) -> Extension:
    """Return what `extend` would do. Raises InvalidInput naming the field, WrongMoment."""
    if calculation.state in BEFORE_SUBMIT:
        raise WrongMoment(f"{calculation.number} was not approved yet; change the draft instead.")
    if calculation.standing == Standing.RETRACTED:
        raise WrongMoment(f"{calculation.number} is retracted; restore it first.")
    if not calculation.sweep:
        raise WrongMoment(f"{calculation.number} varies nothing; duplicate it and vary something.")
    sweep, added = _merged(calculation, axes, actor)
    runs = list(
        calculation.runs.order_by("index").only("id", "index", "state", "point", "purged_at")
    )
    known = {tuple(run.point) for run in runs}
    points = [point for point, _ in points_of(sweep) if point not in known]
    if not points:
        raise InvalidInput(errors={"axes": "adds nothing: every run is there already"})
    continued = _continued(sweep, axes_of(calculation), runs, points)
    software = get_software(calculation.software)
    planned = plan_at(software, calculation.parameters, sweep, [point for point, _ in continued])
    trial = Calculation(
        **asking.columns(calculation),
        run_count=len(runs) + len(points),
    )
    new = tuple(NewRun(run, before) for run, (_, before) in zip(planned, continued, strict=True))
    note = f"{'; '.join(map(span_words, added))}: {len(new)} more run{'s'[: len(new) != 1]}"
    return Extension(sweep, new, review_reason(trial, LabSettings.current()), note)


@transaction.atomic
def extend(
    calculation: Calculation, axes: Sequence[Mapping[str, Any]], *, actor: User
) -> list[Run]:
    """Add the points and queue them; the calculation goes on if it had ended.

    Raises InvalidInput, WrongMoment, and NotAllowed where only a moderator may spend so much.
    """
    require(actor, Can.CREATE_CALCULATION)
    lock(calculation)
    found = preview(calculation, axes, actor=actor)
    if found.review and not may_review(actor, calculation):
        raise NotAllowed(
            f"With these runs {calculation.number} {found.review}. Ask a moderator to add them, "
            "or duplicate it with the new values and submit that for review."
        )
    calculation.sweep = found.sweep
    calculation.run_count = count_of(found.sweep)
    check_ready([calculation])
    calculation.save(update_fields=["sweep", "run_count"])
    _note(calculation, found, actor)
    runs = _store(calculation, found.runs)
    settle({calculation.pk: calculation})
    return runs


def _note(calculation: Calculation, found: Extension, actor: User) -> None:
    evidence = [f"approved by {actor.display_name}: {found.review}"] if found.review else []
    if found.review:
        record(actor, "calculation.extend", target=calculation.number, detail={"note": found.note})
    if calculation.standing in TRUSTED:
        advance(calculation, "change_results", actor=actor, note=found.note, column="standing")
    if not calculation.is_active:
        ended = {"finished_at": None, "announced_at": None}
        advance(
            calculation,
            "extend",
            actor=actor,
            note=found.note,
            evidence=evidence,
            reason="",
            **ended,
        )
        return
    told = {"id": calculation.pk, "state": calculation.state}
    publish(f"calculation:{calculation.pk}", "calculation.changed", told)
    Event.objects.create(
        calculation=calculation,
        verb="extend",
        source=calculation.state,
        target=calculation.state,
        actor=actor,
        actor_label=actor.display_name,
        note=found.note,
        evidence=evidence,
    )


def _store(calculation: Calculation, new: Sequence[NewRun]) -> list[Run]:
    moment, runs = now(), []
    first = max(calculation.runs.values_list("index", flat=True), default=-1) + 1
    for place, one in enumerate(new):
        chained = one.before is not None
        run = new_run(calculation, first + place, one.planned, moment, chained=chained)
        run.predecessor = runs[one.before] if isinstance(one.before, int) else one.before
        runs.append(run)
    Run.objects.bulk_create(runs)
    return runs


def _merged(
    calculation: Calculation, said: Sequence[Mapping[str, Any]], actor: User
) -> tuple[dict[str, Any], list[Axis]]:
    """The sweep with the further values behind those that it has, and the axes of these alone."""
    stored = calculation.sweep["axes"]
    places = {axis["parameter"]: place for place, axis in enumerate(stored)}
    merged = [dict(axis) for axis in stored]
    further: dict[int, dict[str, Any]] = {}
    if not said:
        raise InvalidInput(errors={"axes": "needs at least one axis with further values"})
    for number, axis in enumerate(said):
        place = places.get(axis.get("parameter"))
        if place is None or place in further:
            words = f"must be one of {', '.join(places)}, each once"
            raise InvalidInput(errors={f"axes.{number}.parameter": words})
        further[place] = _read(calculation, stored[place], axis, number, actor)
    for place, axis in further.items():
        for name in ("values", "structures"):
            if name in axis:
                old = merged[place][name]
                merged[place][name] = [*old, *(v for v in axis[name] if v not in old)]
    whole = {**calculation.sweep, "axes": merged}
    try:
        sweep = _clean(calculation, whole, actor)
    except InvalidInput as error:
        raise InvalidInput(
            errors={name.removeprefix("sweep."): text for name, text in error.errors.items()}
        ) from None
    trial = Calculation(software=calculation.software, sweep={"axes": list(further.values())})
    return sweep, axes_of(trial)


def _read(
    calculation: Calculation,
    stored: Mapping[str, Any],
    said: Mapping[str, Any],
    number: int,
    actor: User,
) -> dict[str, Any]:
    """The further values of one axis; its direction, rotation and so on stay as they are."""
    own = {name: value for name, value in stored.items() if name not in ("values", "structures")}
    names = ("values", "from", "to", "points", "spacing", "structures")
    asked = {**own, **{name: said[name] for name in names if name in said}}
    try:
        found = _clean(calculation, {"axes": [asked], "mode": "independent"}, actor)
    except InvalidInput as error:
        raise InvalidInput(
            errors={
                name.replace("sweep.axes.0.", f"axes.{number}."): text
                for name, text in error.errors.items()
            }
        ) from None
    return found["axes"][0]


def _clean(calculation: Calculation, sweep: Mapping[str, Any], actor: User) -> dict[str, Any]:
    software = get_software(calculation.software)
    found = clean_sweep(
        software, calculation.parameters, sweep, project=calculation.project, actor=actor
    )
    return found or {}


def _continued(
    sweep: Mapping[str, Any], axes: Sequence[Axis], runs: Sequence[Run], points: Sequence[Point]
) -> list[tuple[Point, Run | int | None]]:
    """Each new point with the run that it continues, in an order in which that comes first."""
    if sweep.get("mode") != "chain":
        return [(point, None) for point in points]
    along = sweep["along"]
    lines: dict[Point, list[tuple[Any, Run]]] = {}
    for run in runs:
        if run.purged_at is None:
            point = tuple(run.point)
            lines.setdefault(_line(point, along), []).append((point[along], run))
    new: dict[Point, list[Point]] = {}
    for point in points:
        new.setdefault(_line(point, along), []).append(point)
    found: list[tuple[Point, Run | int | None]] = []
    for line, wanted in new.items():
        there = lines.get(line, [])
        alive = [pair for pair in there if pair[1].state not in STOPPED] or there
        found += _grown(alive, wanted, along, axes[along].is_numeric, len(found))
    return found


def _line(point: Point, along: int) -> Point:
    return (*point[:along], *point[along + 1 :])


def _grown(
    there: Sequence[tuple[Any, Run]], wanted: Sequence[Point], along: int, numeric: bool, first: int
) -> list[tuple[Point, Run | int | None]]:
    """Let a line grow from what it has: each run continues its neighbour on the nearer side."""
    if not there or not numeric:
        before: Run | int | None = there[-1][1] if there else None
        chained: list[tuple[Point, Run | int | None]] = []
        for number, point in enumerate(wanted):
            chained.append((point, before if number == 0 else first + number - 1))
        return chained
    runs = dict(there)
    old = sorted(runs)
    away = {point: _nearest(old, point[along]) for point in wanted}
    order = sorted(wanted, key=lambda point: abs(away[point] - point[along]))
    places = {point[along]: first + number for number, point in enumerate(order)}
    values = sorted([*old, *places])
    found: list[tuple[Point, Run | int | None]] = []
    for point in order:
        place = bisect_left(values, point[along])
        beside = values[place + (1 if away[point] > point[along] else -1)]
        found.append((point, runs.get(beside, places.get(beside))))
    return found


def _nearest(values: Sequence[float], value: float) -> float:
    place = bisect_left(values, value)
    return min(values[max(place - 1, 0) : place + 1], key=lambda other: abs(other - value))
