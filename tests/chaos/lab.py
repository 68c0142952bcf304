"""A lab on a real portal: submits work that leaves marks, breaks parts, and counts what came of it.

What counts is read from the database, the marks of the programs and the agent's journal, never from
the portal's own answers.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import redis

from bench.client import Client, Refused
from bench.stack import PASSWORD, PERSON, Stack
from calculations.states import TERMINAL, TERMINAL_RUNS, CalculationState
from tests.chaos.proxy import Proxy

PATIENCE_S = 45.0
STEPS = ("prepare", "run", "judge")
OF_RUN = "run_id IN (SELECT id FROM calculations_run WHERE calculation_id = %s)"
ENDED = f"target IN ({', '.join(repr(str(s)) for s in sorted(TERMINAL | TERMINAL_RUNS))})"
ENDS = f"SELECT count(*) FROM calculations_event WHERE calculation_id = %s AND {ENDED}"  # noqa: S608
COUNTS = {
    "ends": f"{ENDS} AND run_id IS NULL",
    "ends of run": f"{ENDS} AND run_id IS NOT NULL",
    "accepted": f"SELECT count(*) FROM calculations_attempt WHERE ending = 'finished' AND {OF_RUN}",  # noqa: S608
    "result": f"SELECT count(*) FROM calculations_quantity WHERE name = 'executions' AND {OF_RUN}",  # noqa: S608
    "orphan": f"SELECT count(*) FROM calculations_orphanresult WHERE {OF_RUN}",  # noqa: S608
}


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
    def executions(self) -> int:
        ran = self.folder / "ran"
        return len(ran.read_text().splitlines()) if ran.exists() else 0


class Lab:
    def __init__(self, stack: Stack, proxy: Proxy, *, slots: int = 4) -> None:
        self.stack, self.proxy, self._slots = stack, proxy, slots
        self.agents = [f"agent-{number}" for number in range(len(stack.keys))]
        self.parts = ["worker", "beat", "web", *self.agents]
        self.marks = stack.home / "marks"
        self._works: list[Work] = []
        self._numbers = itertools.count()
        self._database: Any = None
        self._token = ""
        self.accepted = 0  # calculations that the portal said it has

    def start(self) -> None:
        for name in self.parts:
            self.restart(name)
        self.stack.wait_for_web()
        offers = (
            "SELECT 1 FROM clusters_cluster WHERE capacity->'software'->'chaos'->>'ok' = 'true'"
        )
        until(lambda: len(self.ask(offers)) == len(self.agents), lambda: self.stack.tail("agent-0"))

    def tidy(self) -> None:
        """Bring everything back for the next test."""
        for work in self._works:
            work.release()
        self.proxy.open, self.proxy.losing, self.proxy.repeating = True, False, False
        self.proxy.delay_s = 0.0
        self.stack.start_servers()
        for name in self.parts:
            self.go_on(name) if name in self.stack.processes else self.restart(name)
        self.stack.wait_for_web()

    # Work

    def submit(
        self,
        *holds: str,
        count: int = 1,
        seconds: float = 0.0,
        cluster: str | None = None,
        failures: int = 0,
        retries: int = 0,
    ) -> list[Work]:
        """`failures` executions of each do not converge, with advice for another try."""
        works = []
        for _ in range(count):
            folder = self.marks / str(next(self._numbers))
            (folder / "0").mkdir(parents=True)
            works.append(Work(0, folder / "0"))
            for step in holds:
                works[-1].hold(step)
        asked = [
            {
                "name": "chaos",
                "software": "chaos",
                "cluster": cluster,
                "automatic_retries": retries,
                "parameters": {
                    "folder": str(work.folder.parent),
                    "seconds": seconds,
                    "failures": failures,
                },
            }
            for work in works
        ]
        created = self.post("/api/v1/calculations/bulk/", {"calculations": asked, "submit": True})
        works = [Work(row["id"], w.folder) for row, w in zip(created, works, strict=True)]
        self._works += works
        self.accepted += len(works)
        return works

    def post(self, path: str, document: Any = None) -> Any:
        with Client(self.stack.url, authorization=self._token) as client:
            if not self._token:
                person = {"username": PERSON, "password": PASSWORD}
                self._token = f"Bearer {client.post('/api/v1/auth/token', person)['access']}"
                return self.post(path, document)
            return client.post(path, document)

    def cancel(self, work: Work) -> bool:
        """Whether there was something to cancel."""
        try:
            self.post(f"/api/v1/calculations/{work.id}/cancel/", {"note": "not needed"})
        except Refused as refusal:
            assert " 409 " in str(refusal), refusal
            return False
        return True

    # Parts

    def kill(self, name: str) -> None:
        self.stack.kill(name)

    def stop(self, name: str) -> None:
        """Let a process and its children stand still, as on a machine that is stuck."""
        self.stack.signal(name, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        self.stack.signal(name, signal.SIGCONT)

    def restart(self, name: str) -> None:
        """Start a part without waiting for it; whoever needs it must cope."""
        if name in self.agents:
            number = self.agents.index(name)
            self.stack.start_agent(number, slots=self._slots, url=self.proxy.url)
        else:
            {
                "web": self.stack.begin_web,
                "worker": self.stack.start_worker,
                "beat": self.stack.start_beat,
            }[name]()

    # What came of it

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database; a lost connection is made again."""
        for _ in range(2):
            try:
                if self._database is None:
                    self._database = psycopg2.connect(self.stack.environment["DATABASE_URL"])
                    self._database.autocommit = True
                with self._database.cursor() as cursor:
                    cursor.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except psycopg2.ProgrammingError:
                raise
            except psycopg2.Error:
                self._database = None
        return []

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.stack.environment["REDIS_URL"])

    def close(self) -> None:
        if self._database is not None:
            self._database.close()

    def state(self, work: Work) -> str:
        rows = self.ask("SELECT state FROM calculations_calculation WHERE id = %s", work.id)
        return rows[0][0] if rows else ""

    def run_state(self, work: Work) -> str:
        rows = self.ask("SELECT state FROM calculations_run WHERE calculation_id = %s", work.id)
        return rows[0][0] if rows else ""

    def reach(self, work: Work, state: str) -> None:
        until(lambda: self.run_state(work) == state, lambda: f"{state}: {self.story(work)}")

    def ended_once(
        self, *works: Work, state: str = CalculationState.VALID, executions: int = 1
    ) -> None:
        """Assert one terminal state, one accepted result and the number of executions, each."""
        for work in works:
            until(lambda work=work: self.state(work) in TERMINAL, lambda w=work: self.story(w))
            assert self.state(work) == state, self.story(work)
            assert self.run_state(work) == state, self.story(work)
            ends = (self._count("ends of run", work), self._count("ends", work))
            assert ends == (1, 1), self.story(work)
            accepted = 1 if state == CalculationState.VALID else 0
            assert self._count("accepted", work) == accepted
            assert self._count("result", work) == accepted
            assert work.executions == executions, self.story(work)
        self.closed(*works)

    def closed(self, *works: Work) -> None:
        """The agent has heard that everything about these runs is stored, and goes no more on."""
        runs = self.ask(
            "SELECT id::text FROM calculations_run WHERE calculation_id = ANY(%s)",
            [work.id for work in works],
        )
        ids = {row[0] for row in runs}
        until(lambda: not ids & set(self._open_runs()), lambda: f"open: {self._open_runs()}")

    def phases(self) -> set[str]:
        """In what phases the agent's open runs are, by its journal."""
        return set(self._open_runs().values())

    def exits(self) -> int:
        """How many programs have left their exit marker."""
        return sum(1 for _ in self.stack.home.glob("work-*/**/exit"))

    def _open_runs(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for path in self.stack.home.glob("work-*/journal.sqlite"):
            with contextlib.closing(sqlite3.connect(path, timeout=10)) as journal:
                found |= journal.execute("SELECT run, phase FROM runs WHERE phase != 'closed'")
        return found

    def _count(self, what: str, work: Work) -> int:
        return self.ask(COUNTS[what], work.id)[0][0]

    def orphans(self, work: Work) -> int:
        return self._count("orphan", work)

    def story(self, work: Work) -> str:
        """Everything that is known of it, for whoever has to find out what went wrong."""
        events = self.ask(
            "SELECT to_char(at, 'HH24:MI:SS.MS'), verb, run_id IS NOT NULL, attempt, note "
            "FROM calculations_event WHERE calculation_id = %s ORDER BY id",
            work.id,
        )
        run = self.ask(
            "SELECT id::text, state, attempt, lease_expires_at::text, cancel_reason "
            "FROM calculations_run WHERE calculation_id = %s",
            work.id,
        )
        tails = "\n".join(f"--- {name}\n{self.stack.tail(name, 1500)}" for name in self.parts)
        marks = sorted(path.name for path in work.folder.iterdir())
        return (
            f"calculation {work.id}, marks {marks}\n{json.dumps([run, events], indent=1)}\n"
            f"agent: {self._open_runs()}\n{tails}"
        )


@contextlib.contextmanager
def open_lab(*, clusters: int = 1, **environment: str) -> Iterator[Lab]:
    told = {"LABPORTAL_SOFTWARE": "chaos=tests.chaos.plugin:Chaos", **environment}
    with Stack(clusters=clusters, environment=told) as stack, Proxy(stack.port) as proxy:
        lab = Lab(stack, proxy)
        try:
            lab.start()
            yield lab
        finally:
            for mark in lab.marks.glob("*/*/hold-*"):
                mark.unlink(missing_ok=True)
            lab.close()
            for name in list(stack.processes):
                lab.kill(name)
