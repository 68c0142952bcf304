"""What came of the work: read from the database, the marks of programs, the agents' journals and
the schedulers' own logs, never from the portal's answers.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from bench.sites import Site
from bench.stack import Stack
from calculations.states import TERMINAL, TERMINAL_RUNS, CalculationState

PATIENCE_S = 120.0  # of a busy machine; what is right comes sooner
STEPS = ("prepare", "run", "judge")
OF_RUN = "run_id IN (SELECT id FROM calculations_run WHERE calculation_id = %s)"
ENDED = f"target IN ({', '.join(repr(str(s)) for s in sorted(TERMINAL | TERMINAL_RUNS))})"
ENDS = f"SELECT count(*) FROM calculations_event WHERE calculation_id = %s AND {ENDED}"  # noqa: S608
COUNTS = {
    "ends": f"{ENDS} AND run_id IS NULL",
    "ends of run": f"{ENDS} AND run_id IS NOT NULL",
    "accepted": f"SELECT count(*) FROM calculations_attempt WHERE ending = 'finished' AND {OF_RUN}",  # noqa: S608
    "lost": f"SELECT count(*) FROM calculations_attempt WHERE ending = 'lost' AND {OF_RUN}",  # noqa: S608
    "result": f"SELECT count(*) FROM calculations_quantity WHERE name = 'executions' AND {OF_RUN}",  # noqa: S608
    "orphan": f"SELECT count(*) FROM calculations_orphanresult WHERE {OF_RUN}",  # noqa: S608
}
STORY = """
    SELECT to_char(at, 'HH24:MI:SS.MS'), verb, run_id IS NOT NULL, attempt, note
    FROM calculations_event WHERE calculation_id = %s ORDER BY id"""
RUN = """
    SELECT id::text, state, attempt, lease_expires_at::text, cancel_reason, scheduler_id, pending
    FROM calculations_run WHERE calculation_id = %s"""


def until(
    condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE_S
) -> Any:
    """Return what `condition` returned once that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds:.0f} s: {said}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Work:
    """One calculation with the folder of marks of its only run."""

    id: int
    folder: Path

    def began(self, step: str) -> bool:
        return (self.folder / ("ran" if step == "run" else f"in-{step}")).exists()

    def hold(self, step: str) -> None:
        (self.folder / f"hold-{step}").touch()

    def release(self) -> None:
        for step in STEPS:
            (self.folder / f"hold-{step}").unlink(missing_ok=True)

    @property
    def marks(self) -> list[str]:
        """The working directory of each execution: …/run/attempt/…"""
        ran = self.folder / "ran"
        return ran.read_text().splitlines() if ran.exists() else []

    @property
    def executions(self) -> int:
        return len(self.marks)

    @property
    def repeated(self) -> int:
        """How many executions there were beyond one of each attempt."""
        return len(self.marks) - len(set(self.marks))


class Book:
    """What is known of the works of one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.sites: dict[str, Site] = {}
        self._database: Any = None

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database; a lost connection is made again."""
        for _ in range(2):
            try:
                if self._database is None:
                    self._database = psycopg2.connect(
                        self.stack.environment["DATABASE_URL"], connect_timeout=3
                    )
                    self._database.autocommit = True
                with self._database.cursor() as cursor:
                    cursor.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.ProgrammingError:
                raise
            except psycopg2.Error:
                self._database = None
        return []

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def state(self, work: Work) -> str:
        rows = self.ask("SELECT state FROM calculations_calculation WHERE id = %s", work.id)
        return rows[0][0] if rows else ""

    def run_state(self, work: Work) -> str:
        rows = self.ask("SELECT state FROM calculations_run WHERE calculation_id = %s", work.id)
        return rows[0][0] if rows else ""

    def reach(self, work: Work, state: str, seconds: float = PATIENCE_S) -> None:
        until(
            lambda: self.run_state(work) == state, lambda: f"{state}: {self.story(work)}", seconds
        )

    def begins(self, work: Work, step: str) -> None:
        until(lambda: work.began(step), lambda: f"{step}: {self.story(work)}")

    def count(self, what: str, work: Work) -> int:
        return self.ask(COUNTS[what], work.id)[0][0]

    def orphans(self, work: Work) -> int:
        return self.count("orphan", work)

    def ended(self, *works: Work, seconds: float = PATIENCE_S) -> None:
        """Wait until each has a terminal state."""
        for work in works:
            until(
                lambda work=work: self.state(work) in TERMINAL,
                lambda work=work: self.story(work),
                seconds,
            )

    def ended_once(
        self, *works: Work, state: str = CalculationState.VALID, executions: int = 1
    ) -> None:
        """Assert one terminal state, one accepted result and the number of executions, each."""
        self.ended(*works)
        for work in works:
            assert self.state(work) == state, self.story(work)
            assert self.run_state(work) == state, self.story(work)
            ends = (self.count("ends of run", work), self.count("ends", work))
            assert ends == (1, 1), self.story(work)
            accepted = 0 if state == CalculationState.CANCELLED else 1
            if state == CalculationState.VALID:
                assert self.count("accepted", work) == accepted, self.story(work)
                assert self.count("result", work) == accepted, self.story(work)
            assert work.executions == executions, self.story(work)
        self.closed(*works)

    def closed(self, *works: Work) -> None:
        """The agent has heard that everything about these runs is stored, and goes no more on."""
        until(lambda: not self.open_runs(works), lambda: f"open: {self.open_runs(works)}")

    def runs_of(self, works: Iterable[Work]) -> set[str]:
        rows = self.ask(
            "SELECT id::text FROM calculations_run WHERE calculation_id = ANY(%s)",
            [work.id for work in works],
        )
        return {row[0] for row in rows}

    def open_runs(self, works: Iterable[Work] | None = None) -> dict[str, str]:
        """The phases of the runs that the agents' journals have not closed."""
        found: dict[str, str] = {}
        for path in self.stack.home.glob("work-*/journal.sqlite"):
            with contextlib.closing(sqlite3.connect(path, timeout=10)) as journal:
                found |= journal.execute("SELECT run, phase FROM runs WHERE phase != 'closed'")
        if works is None:
            return found
        ids = self.runs_of(works)
        return {run: phase for run, phase in found.items() if run in ids}

    def phases(self) -> set[str]:
        return set(self.open_runs().values())

    def exits(self) -> int:
        """How many programs have left their exit marker."""
        return sum(1 for _ in self.stack.home.glob("work-*/**/exit"))

    def submissions(self) -> Counter[str]:
        """How often each job was submitted, as the schedulers themselves have noted it."""
        found: Counter[str] = Counter()
        for site in self.sites.values():
            found += site.submissions()
        return found

    def submitted(self, work: Work) -> int:
        """How many jobs of the work any scheduler was given."""
        (run,) = self.runs_of([work])
        return sum(count for name, count in self.submissions().items() if run in name)

    def story(self, work: Work) -> str:
        """Everything that is known of it, for whoever has to find out what went wrong."""
        told = "\n".join(map(str, [*self.ask(RUN, work.id), *self.ask(STORY, work.id)]))
        tails = "\n".join(
            f"--- {name}\n{self.stack.tail(name, 1500)}" for name in self.stack.processes
        )
        marks = sorted(path.name for path in work.folder.iterdir())
        return (
            f"calculation {work.id}, marks {marks} {work.marks}\n{told}\n"
            f"agents: {self.open_runs()}\n{tails}"
        )
