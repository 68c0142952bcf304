"""The promise, counted: each run ends once with one result, no attempt is executed or submitted
twice, and what came too late can still be adopted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calculations.states import TERMINAL, TERMINAL_RUNS, CalculationState
from tests.chaos.book import ENDED, Book, Work

# One row a run: its calculation, itself, its states, attempts, ends, results, late results.
RUNS = f"""
    SELECT c.id, r.id::text, c.state, r.state,
        (SELECT count(*) FROM calculations_event e WHERE e.run_id = r.id AND e.{ENDED}),
        (SELECT count(*) FROM calculations_event e WHERE e.run_id = r.id AND e.verb = 'adopt'),
        (SELECT count(*) FROM calculations_attempt a WHERE a.run_id = r.id
            AND a.ending = 'finished' AND a.number = r.attempt),
        (SELECT count(*) FROM calculations_quantity q WHERE q.run_id = r.id
            AND q.name = 'executions'),
        (SELECT count(*) FROM calculations_orphanresult o WHERE o.run_id = r.id
            AND o.adopted_at IS NULL)
    FROM calculations_run r JOIN calculations_calculation c ON c.id = r.calculation_id
    WHERE c.id = ANY(%s)"""  # noqa: S608
ADOPT = """
import json
from calculations.models import OrphanResult
from calculations.services.orphans import adopt
from labportal.accounts.models import User
orphan = OrphanResult.objects.filter(run="{run}", adopted_at=None).first()
print(json.dumps(adopt(orphan, actor=User.objects.get(username="admin")).state))
"""


@dataclass
class Tally:
    """Sums over runs; `wrong` says in words what broke the promise."""

    runs: int = 0
    lost: int = 0  # runs without an end, or that ended without the result they found
    doubled: int = 0  # executions, submissions, ends or results beyond one
    orphans: int = 0  # late results that were kept
    adopted: int = 0

    def __post_init__(self) -> None:
        self.wrong: list[str] = []

    def add(self, other: Tally) -> None:
        for name in ("runs", "lost", "doubled", "orphans", "adopted"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong


def audit(book: Book, works: Sequence[Work]) -> Tally:
    """Count what became of the works; all of them should have ended."""
    tally = Tally()
    submitted = book.submissions()
    rows = book.ask(RUNS, [work.id for work in works])
    tally.runs = len(rows)
    tally.lost += len({work.id for work in works} - {row[0] for row in rows})
    for (
        calculation,
        run,
        state,
        run_state,
        ends,
        adoptions,
        accepted,
        results,
        late,
    ) in rows:
        tally.orphans += late
        if state not in TERMINAL or run_state not in TERMINAL_RUNS:
            tally.lost += 1
            tally.wrong.append(f"calculation {calculation} is {state}, its run {run_state}")
        elif run_state == CalculationState.VALID and (accepted, results) != (1, 1):
            tally.lost += accepted == 0 or results == 0
            tally.doubled += accepted > 1 or results > 1
            tally.wrong.append(f"run {run} has {accepted} results with {results} rows")
        if ends > 1 + adoptions:
            tally.doubled += 1
            tally.wrong.append(f"run {run} ended {ends} times")
        for name, count in submitted.items():
            if run in name and count > 1:
                tally.doubled += count - 1
                tally.wrong.append(f"{name} was submitted {count} times")
    for work in works:
        if work.repeated:
            tally.doubled += work.repeated
            tally.wrong.append(f"calculation {work.id} executed attempts twice: {work.marks}")
    return tally


def adopt_one(book: Book, work: Work) -> str:
    """Adopt a late result of the work as an admin would; return the run's state then."""
    (run,) = book.runs_of([work])
    return book.stack.python(ADOPT.format(run=run))
