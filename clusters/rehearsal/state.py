"""What a fake site knows: its settings, its jobs and its faults, in one folder.

SQLite holds the jobs, so that a program that is killed at any moment leaves them whole. Connections
are short and never cross a fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (number INTEGER PRIMARY KEY AUTOINCREMENT, request TEXT);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER, element INTEGER, state TEXT, submitted REAL, started REAL, ended REAL,
    code INTEGER, signal INTEGER, cpu_s REAL, rss_kib INTEGER, nodes TEXT DEFAULT '',
    runner TEXT DEFAULT '', wanted TEXT DEFAULT '', reason TEXT DEFAULT '',
    hidden INTEGER DEFAULT 0, starts INTEGER DEFAULT 0, PRIMARY KEY (number, element));
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state);
"""
FIRST_NUMBER = 1000
SINGLE = -1  # the element of a job that is no array
ACTIVE = ("PENDING", "RUNNING")
DEFAULTS = {
    "kind": "slurm",
    "name": "rehearsal",
    "nodes": 2,
    "cores": 4,  # of each node, as are memory and GPUs
    "memory_mib": 4000,
    "gpus": 0,
    "partitions": [
        {"name": "debug", "walltime_s": 3600, "default": True},
        {"name": "long", "walltime_s": 86400, "default": False},
    ],
    "accounts": ["lab"],
    "qos": ["normal"],
    "licences": {},
    "history_s": 300.0,  # so long the queue still knows an ended job
    "kill_wait_s": 1.0,  # between SIGTERM and SIGKILL
    "limit_s": 0.0,  # another walltime for all jobs, where it is not 0
    "accounting": True,
}


class Job:
    """One job, or one element of an array. No dataclass: those take 15 ms to load."""

    def __init__(self, row: Sequence[Any], request: dict[str, Any]) -> None:
        self.number: int = row[0]
        self.element: int = row[1]
        self.state: str = row[2]
        self.submitted: float = row[3]
        self.started: float | None = row[4]
        self.ended: float | None = row[5]
        self.code: int | None = row[6]
        self.signal: int | None = row[7]
        self.cpu_s: float | None = row[8]
        self.rss_kib: int | None = row[9]
        self.nodes: str = row[10]
        self.runner: str = row[11]
        self.wanted: str = row[12]
        self.reason: str = row[13]
        self.hidden: int = row[14]
        self.starts: int = row[15]
        self.request = request

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def in_array(self) -> bool:
        return self.element != SINGLE


class State:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.settings = {**DEFAULTS, **read_json(f"{folder}/site.json", {})}

    @contextlib.contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """One transaction that excludes all others; nothing of it stays where it is broken off."""
        connection = sqlite3.connect(f"{self.folder}/jobs.sqlite", timeout=60, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()

    def create(self) -> None:
        connection = sqlite3.connect(f"{self.folder}/jobs.sqlite", timeout=60)
        with contextlib.closing(connection):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)

    def add(self, request: Mapping[str, Any], elements: list[int], now: float, script: str) -> int:
        """Put a job into the queue, or the elements of an array, and return its number."""
        with self.open() as rows:
            known = rows.execute("SELECT max(number) FROM requests").fetchone()[0]
            number = (known or FIRST_NUMBER) + 1
            rows.execute("INSERT INTO requests VALUES (?, ?)", (number, json.dumps(request)))
            reason = "JobHeldUser" if request.get("held") else "None"
            rows.executemany(
                "INSERT INTO jobs (number, element, state, submitted, reason) VALUES (?,?,?,?,?)",
                [(number, e, "PENDING", now, reason) for e in elements or [SINGLE]],
            )
            path = f"{self.folder}/scripts/{number}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700)
            with open(descriptor, "w", encoding="utf-8") as stream:
                stream.write(script)
        return number

    def jobs(self, where: str = "1", *values: Any, hidden: bool = False) -> list[Job]:
        """Return the jobs that fulfil a condition in SQL, in the order of their submission."""
        with self.open() as rows:
            return select(rows, where if hidden else f"({where}) AND hidden = 0", *values)

    def update(self, job: Job, **values: Any) -> None:
        with self.open() as rows:
            update(rows, job, **values)


def select(rows: sqlite3.Connection, where: str, *values: Any) -> list[Job]:
    # The conditions are constants of this package.
    question = f"SELECT jobs.*, request FROM jobs JOIN requests USING (number) WHERE {where}"  # noqa: S608
    found = rows.execute(f"{question} ORDER BY number, element", values).fetchall()
    requests: dict[int, dict[str, Any]] = {}
    for row in found:
        if row[0] not in requests:
            requests[row[0]] = json.loads(row[-1])
    return [Job(row, requests[row[0]]) for row in found]


def update(rows: sqlite3.Connection, job: Job, **values: Any) -> None:
    names = ", ".join(f"{name} = ?" for name in values)
    rows.execute(
        f"UPDATE jobs SET {names} WHERE number = ? AND element = ?",  # noqa: S608  (our own names)
        (*values.values(), job.number, job.element),
    )
    for name, value in values.items():
        setattr(job, name, value)


def read_json(path: str, otherwise: Any) -> Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return otherwise


def write_json(path: str, document: Any) -> None:
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1)
    os.replace(temporary, path)
