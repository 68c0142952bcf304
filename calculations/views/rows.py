"""How calculations and runs are worded on pages: what they are, why, how far, what converges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from calculations import selectors
from calculations.models import Calculation, Run
from calculations.selectors import RunsSeen
from calculations.services.sweeps import axes_of
from calculations.software.base import Software
from calculations.software.registry import UnknownSoftware, get_software
from calculations.states import CalculationState, RunState
from calculations.wording import point_words, span_words

MOST_CELLS = 24  # a larger sweep is drawn as shares


@dataclass(frozen=True, slots=True)
class Cells:
    """The runs of a row as squares: one for each, or (`shares`: state, words, count) in proportion;
    partial templates/calculations/_cells.html.
    """

    each: list[dict[str, str]]
    shares: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Row:
    """A calculation as a list shows it; partial templates/calculations/_row.html."""

    calculation: Calculation
    about: str
    why: str
    done: int
    of: int
    words: str
    spark: list[float]
    spark_log: bool
    clusters: str
    cells: Cells
    counts: Mapping[str, int]  # how many runs are in which state


def rows_of(calculations: Iterable[Calculation], moving: dict[int, list[Run]]) -> list[Row]:
    shown = list(calculations)
    seen = selectors.runs_seen(shown)
    return [_row(c, seen[c.pk], moving.get(c.pk, [])) for c in shown]


def _row(calculation: Calculation, seen: RunsSeen, moving: Sequence[Run]) -> Row:
    total = seen.total or calculation.run_count
    spark, log = _spark(seen, moving)
    names = dict.fromkeys(run.cluster.name for run in moving if run.cluster)
    return Row(
        calculation=calculation,
        about=about(calculation),
        why=why(calculation, seen),
        done=_done(seen, moving),
        of=total * 100,
        words=progress_words(seen, total, moving),
        spark=spark,
        spark_log=log,
        clusters=", ".join(names) or (calculation.cluster.name if calculation.cluster else ""),
        cells=_cells(seen),
        counts=seen.counts,
    )


def _cells(seen: RunsSeen) -> Cells:
    words = {state.value: str(state.label) for state in RunState}
    if seen.states is not None and len(seen.states) <= MOST_CELLS:
        return Cells([{"state": s, "get_state_display": words[s]} for s in seen.states], [])
    ordered = [state.value for state in STRIP_ORDER if seen.counts.get(state.value)]
    return Cells([], [(state, words[state], seen.counts[state]) for state in ordered])


STRIP_ORDER = (
    RunState.VALID,
    RunState.NOT_VALID,
    RunState.FAILED,
    RunState.CANCELLED,
    RunState.SKIPPED,
    RunState.RUNNING,
    RunState.ASSIGNED,
    RunState.QUEUED,
    RunState.WAITING,
)


def software_of(calculation: Calculation) -> Software | None:
    try:
        return get_software(calculation.software)
    except UnknownSoftware:
        return None


def software_label(calculation: Calculation) -> str:
    software = software_of(calculation)
    return software.label if software else calculation.software


def about(calculation: Calculation) -> str:
    """SIESTA · External field, y 0 … 0.4 V/Å · chain."""
    axes = axes_of(calculation)
    parts = [software_label(calculation), *map(span_words, axes)]
    if axes:
        chain = "chain" if len(axes) == 1 else "chains"
        parts.append(chain if calculation.is_chain else f"{calculation.run_count} side by side")
    return " · ".join(parts)


def why(calculation: Calculation, seen: RunsSeen) -> str:
    """Why it is where it is: what it waits for, or what ended it."""
    if calculation.state == CalculationState.QUEUED:
        return selectors.waiting_reason(calculation, seen)
    return calculation.reason


def run_label(calculation: Calculation, run: Run) -> str:
    """What makes this run different: 0.1 V/Å; "" for a single run."""
    return point_words(axes_of(calculation), run.point)


def progress_words(seen: RunsSeen, total: int, moving: Sequence[Run]) -> str:
    """`moving` are the first of those that execute."""
    running = max(len(moving), seen.counts.get(RunState.RUNNING, 0))
    if not moving:
        return f"{seen.ended} of {total} ended" if total > 1 else "starting"
    if running > 1:
        return f"{running} running, {seen.ended} of {total} ended"
    run = moving[0]
    words = [f"run {run.index + 1} of {total}"] if total > 1 else []
    told = run.progress or {}
    if told.get("done") is not None:
        of = f" of {told['of']}" if told.get("of") else ""
        words.append(f"{told.get('what') or 'step'} {told['done']}{of}")
    return ", ".join(words) or "started"


def _done(seen: RunsSeen, moving: Sequence[Run]) -> int:
    """Hundredths of runs that are done, so that one long run moves its bar too."""
    running = max(len(moving), seen.counts.get(RunState.RUNNING, 0))
    inside = 0.0
    for run in moving:
        told = run.progress or {}
        if told.get("of"):
            inside += min(1.0, (told.get("done") or 0) / told["of"])
    return round(100 * (seen.ended + inside * running / max(len(moving), 1)))


def _spark(seen: RunsSeen, moving: Sequence[Run]) -> tuple[list[float], bool]:
    """What converges in the run that executes; else the main numbers of the runs that ended."""
    for run in moving:
        trail = [point[1] for point in (run.progress or {}).get("trail", [])]
        if len(trail) > 1:
            return trail, all(value > 0 for value in trail)
    return list(seen.values), False
