"""A full disk costs the run that met it, never the agent, and says how much is free."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from calculations.software.base import Software
from clusters.agent import config
from clusters.agent.agent import Agent
from clusters.agent.journal import Journal, JournalFull, TakeIn
from clusters.agent.records import Phase
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import PATIENCE_S, FakePortal
from tests.clusters.agent.probe import Probe

Describe = Callable[..., dict[str, Any]]


def probe(name: str) -> Software:
    return Probe()


@contextmanager
def running(process: AgentProcess, change: Callable[[Agent], None]) -> Iterator[Agent]:
    """An agent in a thread of this process, with one of its parts changed."""
    agents: list[Agent] = []
    ready = threading.Event()

    def work() -> None:
        agent = Agent(config.load(process.config), software=probe)
        change(agent)
        agents.append(agent)
        ready.set()
        agent.run()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE_S)
    yield agents[0]
    agents[0].stop()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_no_room_while_a_folder_is_made_ready(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    full = threading.Event()
    full.set()

    def fill(agent: Agent) -> None:
        create = agent.workspace.create

        def limited(folder: Path, name: str) -> BinaryIO:
            if full.is_set():
                raise OSError(errno.ENOSPC, "No space left on device")
            return create(folder, name)

        agent.workspace.create = limited  # type: ignore[method-assign]

    with running(agent, fill):
        report = portal.report_of(portal.want(spec("true")))
        assert report["state"] == "lost"
        assert report["why"].startswith("disk full on ")
        assert "MiB free" in report["why"]
        full.clear()
        assert portal.report_of(portal.want(spec("true")))["outcome"]["verdict"] == "valid"


def test_nothing_is_begun_below_the_least_free_space(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.settings(portal.url, "minimum_free_mib = 1000000000")
    agent.start()
    report = portal.report_of(portal.want(spec("true")))
    assert report["state"] == "lost"
    assert "disk full on" in report["why"]


def limit_pages(journal: Journal, more: int) -> None:
    """Let the journal's file grow by a few pages only."""
    with sqlite3.connect(journal.path) as other:
        pages = other.execute("PRAGMA page_count").fetchone()[0]
    other.close()
    journal.limit_pages(pages + more)


def test_no_room_for_the_journal(agent: AgentProcess, portal: FakePortal, spec: Describe) -> None:
    with running(agent, lambda agent: limit_pages(agent.journal, 4)) as inside:
        large = spec("true", parameters={"signals": "", "padding": "x" * 200_000})
        report = portal.report_of(portal.want(large))
        assert report["state"] == "lost"
        assert "disk full on" in report["why"]
        inside.loop.post(lambda: inside.journal.limit_pages(1_000_000))
        key = portal.want(spec("true"))
        assert portal.report_of(key)["outcome"]["verdict"] == "valid"


def test_a_reply_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    limit_pages(journal, 2)
    reply = TakeIn(desired=9, execute=[{"run": "r", "attempt": 1, "padding": "x" * 100_000}])
    with pytest.raises(JournalFull):
        journal.take_in(reply, [])
    assert journal.took_in == 0
    assert journal.records() == []
    journal.limit_pages(1_000_000)
    (record,) = journal.take_in(reply, [])
    assert record.phase is Phase.QUEUED
    assert journal.took_in == 9
    journal.close()


def test_an_attempt_is_created_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    reply = TakeIn(desired=1, execute=[{"run": "r", "attempt": 1}])
    (record,) = journal.take_in(reply, [])
    assert journal.take_in(reply, []) == []
    record.phase = Phase.CLOSED
    journal.save(record)
    assert journal.take_in(reply, []) == []
    assert journal.records() == []
    journal.close()


def test_numbers_of_events_are_never_given_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.add_events({"text": "a"}, {"text": "b"})
    assert [event["seq"] for event in journal.pending_events(10_000)[0]] == [1, 2]
    journal.take_in(TakeIn(acknowledged=2), [])
    journal.take_in(TakeIn(acknowledged=1), [])  # a reply that was overtaken
    journal.close()
    again = Journal(tmp_path)
    again.add_events({"text": "c"})
    assert [event["seq"] for event in again.pending_events(10_000)[0]] == [3]
    again.close()
