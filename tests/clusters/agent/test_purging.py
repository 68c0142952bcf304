"""What is deleted is listed with sizes and digests first; neither a kill nor a later attempt makes
the list wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calculations.software.canonical import results_sha256
from clusters.agent import workspace as agent_workspace
from clusters.agent.journal import Journal, TakeIn
from clusters.agent.workspace import Workspace
from tests.clusters.agent.conftest import AgentProcess
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path / "work")
    found.open()
    return found


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_tombstone_names_each_file_with_size_and_digest(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("printf abc >a.dat; mkdir sub; printf de >sub/b.dat; printf k >c.XV"))
    portal.report_of(key)
    portal.want_purged(key[0], ["*.XV"], attempt=1)
    portal.until(lambda: key[0] in portal.tombstones)
    tombstone = portal.tombstones[key[0]]
    files = {file["name"]: file for file in tombstone["files"]}
    assert files["a.dat"] == {"attempt": 1, "name": "a.dat", "size": 3, "sha256": digest(b"abc")}
    assert files["sub/b.dat"]["sha256"] == digest(b"de")
    assert "c.XV" not in files
    assert tombstone["count"] == len(files)
    assert tombstone["bytes"] == sum(file["size"] for file in files.values())
    assert tombstone["freed_bytes"] > 0
    assert tombstone["kept_bytes"] > 0
    assert (agent.folder_of(key[0]) / "c.XV").exists()
    assert not (agent.folder_of(key[0]) / "a.dat").exists()


def test_a_kill_between_the_list_and_the_end_loses_neither(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("printf abc >a.dat; printf de >b.dat"))
    portal.report_of(key)
    portal.until(lambda: not portal.requests[-1]["runs"])
    agent.kill()
    workspace = Workspace(agent.work)
    journal = Journal(agent.work)
    journal.take_in(TakeIn(purge={key[0]: ([], 1)}), [])
    journal.purge_begins(key[0], workspace.inventory(key[0], []).to_json())
    journal.close()
    (agent.folder_of(key[0]) / "a.dat").unlink()  # so far it came
    portal.want_purged(key[0], [], attempt=1)
    agent.start()
    portal.until(lambda: key[0] in portal.tombstones)
    names = {file["name"] for file in portal.tombstones[key[0]]["files"]}
    assert {"a.dat", "b.dat"} <= names
    assert not workspace.run_folder(key[0]).exists()


def test_a_journal_of_an_earlier_version_is_understood(tmp_path: Path) -> None:
    import sqlite3

    old = sqlite3.connect(tmp_path / "journal.sqlite")
    old.execute("CREATE TABLE purges (run TEXT PRIMARY KEY, keep TEXT NOT NULL, freed INTEGER)")
    old.execute("INSERT INTO purges VALUES ('r', '[]', NULL)")
    old.commit()
    old.close()
    journal = Journal(tmp_path)
    (order,) = journal.purges()
    assert (order.run, order.attempt, order.inventory, order.freed) == ("r", 0, None, None)
    journal.close()


def test_a_later_attempt_keeps_its_files(workspace: Workspace) -> None:
    for attempt in (1, 2, 10):
        workspace.write(workspace.make("run", attempt), "a.dat", b"x")
    inventory = workspace.inventory("run", [], attempt=2)
    assert sorted(file["attempt"] for file in inventory.files) == [1, 2]
    workspace.purge("run", [], attempt=2)
    assert not workspace.folder("run", 1).exists()
    assert not workspace.control("run", 2).exists()
    assert (workspace.folder("run", 10) / "a.dat").exists()
    assert workspace.control("run", 10).exists()


def test_the_list_is_cut_but_counts_all(workspace: Workspace, monkeypatch: Any) -> None:
    monkeypatch.setattr(agent_workspace, "MOST_NAMED", 3)
    folder = workspace.make("run", 1)
    for number in range(7):
        workspace.write(folder, f"{number}.dat", b"12345")
    inventory = workspace.inventory("run", [])
    assert (len(inventory.files), inventory.count, inventory.bytes) == (3, 7, 35)


def test_links_are_neither_followed_nor_listed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = workspace.make("run", 1)
    (folder / "link").symlink_to(tmp_path / "secret")
    assert workspace.inventory("run", []).files == []
    workspace.purge("run", [])
    assert (tmp_path / "secret").exists()
    assert not workspace.run_folder("run").exists()


def test_a_report_tells_what_the_run_takes_and_the_digest_of_its_results(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(spec("head -c 100000 /dev/zero | tr '\\0' x >big.dat")))
    assert report["disk_bytes"] >= 100_000
    assert report["results_sha256"] == results_sha256(report["results"])
    assert report["not_finite"] == []


def test_many_tombstones_are_told_in_portions(workspace: Workspace, tmp_path: Path) -> None:
    from clusters.agent.purging import Purging

    journal = Journal(tmp_path)
    journal.take_in(TakeIn(purge={f"r{number}": ([], 0) for number in range(5)}), [])
    inventory = workspace.inventory("r0", []).to_json() | {"files": [{"name": "x" * 1000}]}
    for number in range(5):
        journal.purge_begins(f"r{number}", inventory)
        journal.purged(f"r{number}", 1)

    class Nobody:
        records: dict[Any, Any] = {}

    purging = Purging(Nobody(), None, journal, workspace)  # type: ignore[arg-type]
    purging.advance()
    entries, more = purging.report(3000)
    assert (len(entries), more) == (2, True)
    entries, more = purging.report(10)
    assert (len(entries), more) == (1, True)
    assert len(purging.report(10**6)[0]) == 5
    journal.close()
