"""The agent's memory on disk: attempts, events not acknowledged yet, purges, and what was taken in.

One SQLite file in the work folder (write-ahead log). Only the loop's thread uses it. A reply is
taken in by one transaction before anything is done about it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.agent.procfs import boot_id
from clusters.agent.records import Phase, Record, Stop, Wanted

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL, attempt INTEGER NOT NULL,
    phase TEXT NOT NULL, wanted TEXT NOT NULL, why TEXT NOT NULL, since REAL NOT NULL,
    scheduler_id TEXT NOT NULL, started_at REAL, finished_at REAL, stop TEXT NOT NULL,
    log_offset INTEGER NOT NULL, verdict TEXT NOT NULL, spec TEXT NOT NULL, report TEXT NOT NULL,
    UNIQUE (run, attempt)
);
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS purges (run TEXT PRIMARY KEY, keep TEXT NOT NULL, freed INTEGER);
CREATE TABLE IF NOT EXISTS replicas (
    replica TEXT PRIMARY KEY, spec TEXT NOT NULL, body TEXT NOT NULL, log_offset INTEGER NOT NULL
);
"""
# Columns that journals of earlier versions lack.
ADDED = {
    "runs": {"gpus": "TEXT NOT NULL DEFAULT '[]'"},
    "purges": {"attempt": "INTEGER NOT NULL DEFAULT 0", "inventory": "TEXT"},
}
COLUMNS = [
    "run",
    "attempt",
    "phase",
    "wanted",
    "why",
    "since",
    "scheduler_id",
    "started_at",
    "finished_at",
    "stop",
    "log_offset",
    "verdict",
    "spec",
    "report",
    "gpus",
]
RESERVE_BYTES = 1024 * 1024
MAX_EVENTS = 50_000  # while the portal is away; the oldest go first
SKIP_AFTER_REBOOT = 1_000_000
REMEMBER_CLOSED_S = 90 * 86_400


class JournalFull(Exception):
    """The disk has no room for the journal, not even after its reserve was given up."""


@dataclass
class TakeIn:
    """The part of a reply that has to be remembered."""

    desired: int = 0
    acknowledged: int = 0
    execute: list[dict[str, Any]] = field(default_factory=list)  # specs
    cancel: dict[tuple[str, int], str] = field(default_factory=dict)  # why
    abandon: dict[tuple[str, int], str] = field(default_factory=dict)
    close: list[tuple[str, int]] = field(default_factory=list)
    told: frozenset[tuple[str, int]] = frozenset()  # whose end stood in the request
    purge: dict[str, tuple[list[str], int]] = field(default_factory=dict)  # kept, newest attempt
    purge_done: list[str] = field(default_factory=list)  # no longer asked for
    settings: dict[str, int] = field(default_factory=dict)


@dataclass
class PurgeOrder:
    """`keep`: patterns that stay; `attempt`: the newest whose files go, 0 for all; `inventory`:
    what is to be deleted, None before it was looked at; `freed`: bytes, None before it is done.
    """

    run: str
    keep: list[str]
    attempt: int
    inventory: dict[str, Any] | None
    freed: int | None


class Journal:
    def __init__(self, work: Path) -> None:
        self.path = work / "journal.sqlite"
        self.reserve = work / "journal.reserve"
        self._db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        # NORMAL: a killed agent loses nothing. A power cut may lose the last moments, which the
        # next exchange mends; SKIP_AFTER_REBOOT keeps numbers of events from being given twice.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self._add_columns()
        self.agent_id = self._identity()
        self.took_in = int(self._meta("took_in", "0"))
        self.settings: dict[str, int] = json.loads(self._meta("settings", "{}"))
        self._acknowledged = int(self._meta("acknowledged", "0"))
        self._seq = self._first_free_number()
        self.keep_reserve()

    def _add_columns(self) -> None:
        for table, columns in ADDED.items():
            known = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            for name, kind in columns.items():
                if name not in known:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")

    def close(self) -> None:
        self._db.close()

    def limit_pages(self, pages: int) -> None:
        """Bound the file's size, as a quota does; beyond it the journal is full."""
        self._db.execute(f"PRAGMA max_page_count = {int(pages)}")

    def keep_reserve(self) -> None:
        """Set room aside that is given up when the disk is full."""
        if not self.reserve.exists():
            with contextlib.suppress(OSError):
                self.reserve.write_bytes(bytes(RESERVE_BYTES))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises JournalFull; nothing is kept then."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._commit()
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and _is_full(error):
                raise JournalFull(str(error)) from None
            raise

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise
            self.reserve.unlink(missing_ok=True)
            if not self._db.in_transaction:
                raise
            self._db.execute("COMMIT")

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        with self._transaction() as db:
            db.execute(statement, values)

    def write(
        self,
        statement: str,
        rows: Iterable[Sequence[Any]],
        events: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Execute a statement for each row, with the events that tell of it. Raises JournalFull."""
        with self._transaction() as db:
            db.executemany(statement, rows)
            self._add(db, events)

    def read(self, query: str) -> list[tuple[Any, ...]]:
        return self._db.execute(query).fetchall()

    # What the agent is

    def _meta(self, key: str, default: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else default

    def _identity(self) -> str:
        self._write("INSERT OR IGNORE INTO meta VALUES ('agent_id', ?)", (str(uuid.uuid4()),))
        return self._meta("agent_id", "")

    def _first_free_number(self) -> int:
        """Return the number before the next event's, with a leap after a start of the machine."""
        newest = self._db.execute("SELECT MAX(seq) FROM events").fetchone()[0] or 0
        seq = max(newest, self._acknowledged, int(self._meta("seq", "0")))
        boot = boot_id()
        if self._meta("boot", boot) != boot:
            seq += SKIP_AFTER_REBOOT
        with self._transaction() as db:
            _set_meta(db, boot=boot, seq=seq)
        return seq

    # Attempts

    def records(self) -> list[Record]:
        """Return every attempt that is not closed, in the order in which they came."""
        rows = self._db.execute(
            f"SELECT {', '.join(COLUMNS)} FROM runs WHERE phase != ? ORDER BY number",  # noqa: S608
            (Phase.CLOSED.value,),
        )
        return [_record(row) for row in rows]

    def save(self, record: Record, *events: Mapping[str, Any]) -> None:
        """Write one attempt, with the events that tell of it. Raises JournalFull."""
        with self._transaction() as db:
            _save(db, record)
            self._add(db, events)

    def read_further(self, record: Record, events: Sequence[Mapping[str, Any]]) -> None:
        """Write log lines together with how far the log was read. Raises JournalFull."""
        with self._transaction() as db:
            db.execute(
                "UPDATE runs SET log_offset = ? WHERE run = ? AND attempt = ?",
                (record.log_offset, record.run, record.attempt),
            )
            self._add(db, events)

    def attempts(self, run: str) -> list[tuple[int, str]]:
        """Return (attempt, verdict) of all attempts of a run that were ever known, newest first."""
        rows = self._db.execute(
            "SELECT attempt, verdict FROM runs WHERE run = ? ORDER BY attempt DESC", (run,)
        )
        return [(row[0], row[1]) for row in rows]

    def take_in(self, reply: TakeIn, records: Iterable[Record]) -> list[Record]:
        """Write a reply and the changed `records` by one transaction; return the new attempts.

        An attempt that was ever known is not new again. Raises JournalFull; nothing is kept then.
        """
        created = []
        with self._transaction() as db:
            for record in records:
                _save(db, record)
            for spec in reply.execute:
                record = Record(str(spec["run"]), int(spec["attempt"]), spec, since=time.time())
                created += [record] if _insert(db, record) else []
            for (run, attempt), why in reply.cancel.items():
                # Cancelled before it was ever told of: never to be executed, but to be confirmed.
                record = Record(run, attempt, {}, Phase.CANCELLED, why=why, since=time.time())
                created += [record] if _insert(db, record) else []
            for run, (keep, attempt) in reply.purge.items():
                db.execute(
                    "INSERT OR IGNORE INTO purges (run, keep, attempt) VALUES (?, ?, ?)",
                    (run, json.dumps(keep), attempt),
                )
            for run in reply.purge_done:
                db.execute("DELETE FROM purges WHERE run = ? AND freed IS NOT NULL", (run,))
            db.execute("DELETE FROM events WHERE seq <= ?", (reply.acknowledged,))
            took_in = max(self.took_in, reply.desired)
            settings = {**self.settings, **reply.settings}
            heard = max(self._acknowledged, reply.acknowledged)
            _set_meta(db, took_in=took_in, settings=json.dumps(settings), acknowledged=heard)
        self.took_in, self.settings, self._acknowledged = took_in, settings, heard
        self._seq = max(self._seq, heard)
        return created

    def forget_closed(self, now: float) -> None:
        self._write(
            "DELETE FROM runs WHERE phase = ? AND since < ?",
            (Phase.CLOSED.value, now - REMEMBER_CLOSED_S),
        )

    # Purges

    def purges(self) -> list[PurgeOrder]:
        """Return what is to be purged, and what was and is not known to the portal yet."""
        rows = self._db.execute("SELECT run, keep, attempt, inventory, freed FROM purges")
        return [
            PurgeOrder(run, json.loads(keep), attempt, json.loads(found) if found else None, freed)
            for run, keep, attempt, found, freed in rows
        ]

    def purge_begins(self, run: str, inventory: Mapping[str, Any]) -> None:
        """Write what will be deleted, before any of it is. Raises JournalFull."""
        self._write("UPDATE purges SET inventory = ? WHERE run = ?", (json.dumps(inventory), run))

    def purged(self, run: str, freed: int) -> None:
        self._write("UPDATE purges SET freed = ? WHERE run = ?", (freed, run))

    # Events

    def add_events(self, *events: Mapping[str, Any]) -> None:
        """Number the events and keep them until they are acknowledged. Raises JournalFull."""
        with self._transaction() as db:
            self._add(db, events)

    def _add(self, db: sqlite3.Connection, events: Iterable[Mapping[str, Any]]) -> None:
        for event in events:
            self._seq += 1
            body = json.dumps({"seq": self._seq, **event}, separators=(",", ":"))
            db.execute("INSERT INTO events VALUES (?, ?)", (self._seq, body))

    def pending_events(self, limit_bytes: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the oldest events up to `limit_bytes` of JSON, and whether there are more."""
        events: list[dict[str, Any]] = []
        size = 0
        for (body,) in self._db.execute("SELECT body FROM events ORDER BY seq"):
            size += len(body)
            if events and size > limit_bytes:
                return events, True
            events.append(json.loads(body))
        return events, False

    def drop_oldest_events(self) -> int:
        """Keep the number of waiting events within bounds; return how many were given up."""
        waiting = self._db.execute("SELECT COUNT(*) FROM events").fetchone()[0]
        excess = waiting - MAX_EVENTS
        if excess <= 0:
            return 0
        oldest = "SELECT seq FROM events ORDER BY seq LIMIT ?"
        self._write(f"DELETE FROM events WHERE seq IN ({oldest})", (excess,))  # noqa: S608
        return excess


def _record(row: Sequence[Any]) -> Record:
    values = dict(zip(COLUMNS, row))
    values["phase"] = Phase(values["phase"])
    values["wanted"] = Wanted(values["wanted"])
    values["stop"] = Stop(values["stop"])
    values["spec"] = json.loads(values["spec"])
    values["report"] = json.loads(values["report"])
    values["gpus"] = tuple(json.loads(values["gpus"]))
    return Record(**values)


def _values(record: Record) -> list[Any]:
    values = {name: getattr(record, name) for name in COLUMNS}
    for name in ("phase", "wanted", "stop"):
        values[name] = values[name].value
    for name in ("spec", "report"):
        values[name] = json.dumps(values[name] if record.phase is not Phase.CLOSED else {})
    values["gpus"] = json.dumps(values["gpus"])
    return list(values.values())


def _insert(db: sqlite3.Connection, record: Record) -> bool:
    marks = ", ".join("?" * len(COLUMNS))
    cursor = db.execute(
        f"INSERT OR IGNORE INTO runs ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608
        _values(record),
    )
    return cursor.rowcount == 1


def _save(db: sqlite3.Connection, record: Record) -> None:
    changes = ", ".join(f"{name} = ?" for name in COLUMNS)
    db.execute(
        f"UPDATE runs SET {changes} WHERE run = ? AND attempt = ?",  # noqa: S608
        [*_values(record), record.run, record.attempt],
    )


def _set_meta(db: sqlite3.Connection, **values: Any) -> None:
    rows = [(key, str(value)) for key, value in values.items()]
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def _is_full(error: sqlite3.OperationalError) -> bool:
    return "full" in str(error) or "disk I/O" in str(error)
