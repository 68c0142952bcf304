"""An agent that is killed at any moment goes on where it was: each attempt runs once and is
reported once.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.procfs import parse_stat
from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, assert_still, beating, wait_for
from tests.clusters.agent.fake_portal import FakePortal

Describe = Callable[..., dict[str, Any]]


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def reported_once(portal: FakePortal, key: tuple[str, int]) -> dict[str, Any]:
    report = portal.report_of(key)
    portal.until(lambda: key in portal.closed)
    assert [(r["run"], r["attempt"]) for r in portal.reports].count(key) == 1
    return report


@pytest.mark.parametrize("step", ["prepare", "judge"])
def test_killed_while_the_plug_in_works(
    agent: AgentProcess, portal: FakePortal, spec: Describe, signals: Path, step: str
) -> None:
    """Preparing and validating are begun anew; the program runs once."""
    (signals / f"hold-{step}").touch()
    agent.start()
    ran = agent.folder / "ran"
    script = f"echo x >>{ran} # signals={signals}"
    key = portal.want(spec(script, parameters={"signals": str(signals)}))
    wait_for(signals / f"in-{step}")
    agent.kill()
    (signals / f"hold-{step}").unlink()
    agent.start()
    assert reported_once(portal, key)["outcome"]["verdict"] == "valid"
    assert lines(ran) == 1


def test_killed_while_the_program_runs_which_is_found_again(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    ran, go = agent.folder / "ran", agent.folder / "go"
    key = portal.want(
        spec(f"echo first; echo x >>{ran}; until [ -e {go} ]; do sleep 0.02; done; echo last")
    )
    wait_for(ran)
    portal.until(lambda: "first" in [e.get("text") for e in portal.events.values()])
    agent.kill()
    agent.start()
    portal.until(lambda: len({request["agent"]["boot"] for request in portal.requests}) == 2)
    assert len({request["agent"]["id"] for request in portal.requests}) == 1
    portal.until(lambda: portal.requests[-1]["runs"][0]["state"] == "running")
    go.touch()
    assert reported_once(portal, key)["outcome"]["verdict"] == "valid"
    assert lines(ran) == 1
    assert portal.texts() == ["first", "last"]


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not-noted"])
def test_killed_and_the_program_ends_meanwhile(
    agent: AgentProcess, portal: FakePortal, spec: Describe, noted: bool
) -> None:
    """Its time counts from its start, also where the kill came before that was noted."""
    agent.start()
    ran = agent.folder / "ran"
    key = portal.want(spec(f"echo x >>{ran}; sleep 0.5; echo done; exit 4"))
    wait_for(ran)
    agent.kill()
    control = agent.folder_of(key[0]).with_name(".1")
    wait_for(control / "exit")
    if not noted:
        with sqlite3.connect(agent.work / "journal.sqlite") as journal:
            journal.execute("UPDATE runs SET phase = 'starting', started_at = NULL")
        journal.close()
    time.sleep(0.3)
    agent.start()
    report = reported_once(portal, key)
    assert report["exit"]["code"] == 4
    assert 0.3 < report["usage"]["elapsed_s"] < 5
    assert lines(ran) == 1


def test_killed_between_end_and_report(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    ran = agent.folder / "ran"
    portal.hold_close = True
    key = portal.want(spec(f"echo x >>{ran}; echo data >kept.dat"))
    portal.report_of(key)
    agent.kill()
    portal.hold_close = False
    agent.start()
    portal.until(lambda: key in portal.closed)
    assert lines(ran) == 1
    portal.until(lambda: not portal.requests[-1]["runs"])


def test_killed_while_the_portal_is_away_and_files_wait(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    ran, go = agent.folder / "ran", agent.folder / "go"
    key = portal.want(
        spec(f"echo x >>{ran}; until [ -e {go} ]; do sleep 0.02; done; echo data >kept.dat")
    )
    wait_for(ran)
    portal.down = True
    go.touch()
    wait_for(agent.folder_of(key[0]) / "kept.dat")
    time.sleep(0.5)
    agent.kill()
    portal.down = False
    agent.start()
    assert reported_once(portal, key)["files"][0]["name"] == "kept.dat"
    assert lines(ran) == 1


def test_killed_again_and_again_at_random_moments(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    ran = agent.folder / "ran"
    keys = [
        portal.want(spec(f"echo $PWD >>{ran}; sleep 0.2; echo data >kept.dat")) for _ in range(8)
    ]
    for pause in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65):
        agent.start()
        time.sleep(pause)
        agent.kill()
    agent.start()
    for key in keys:
        assert reported_once(portal, key)["outcome"]["verdict"] == "valid"
    assert sorted(ran.read_text().split()) == sorted(str(agent.folder_of(run)) for run, _ in keys)


def test_an_intent_on_disk_without_a_start_is_carried_out_once(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    """What a kill leaves between the journal's entry and the start of the program."""
    agent.start()
    ran = agent.folder / "ran"
    portal.until(lambda: portal.requests)
    running = [portal.want(spec("sleep 60")) for _ in range(2)]
    portal.until(lambda: all(portal.states.get(key) == "running" for key in running))
    key = portal.want(spec(f"echo x >>{ran}"))
    portal.until(lambda: portal.states.get(key) == "preparing")
    agent.kill()
    folder = agent.folder_of(key[0])
    folder.mkdir(parents=True)
    folder.with_name(".1").mkdir()
    (folder / "program.sh").write_text(f"echo x >>{ran}")
    with sqlite3.connect(agent.work / "journal.sqlite") as journal:
        journal.execute("UPDATE runs SET phase = 'starting' WHERE run = ?", (key[0],))
    journal.close()
    agent.start()
    assert reported_once(portal, key)["outcome"]["verdict"] == "valid"
    assert lines(ran) == 1
    for other in running:
        portal.tell(other, Verb.CANCEL, why="end")
        assert portal.report_of(other)["state"] == "cancelled"


def test_an_attempt_that_was_closed_is_never_executed_again(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    ran = agent.folder / "ran"
    key = portal.want(spec(f"echo x >>{ran}"))
    portal.until(lambda: key in portal.closed)
    agent.kill()
    agent.start()
    portal.until(lambda: not portal.requests[-1]["runs"])
    with portal.lock:
        portal.closed.discard(key)  # a reply that comes late says "execute" once more
    other = portal.want(spec("true"))
    portal.report_of(other)
    time.sleep(0.2)
    assert lines(ran) == 1
    with portal.lock:
        portal.closed.add(key)


def test_a_cancel_outlives_a_restart(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key = portal.want(spec("trap '' TERM; echo x >mark; while :; do sleep 0.05; done"))
    wait_for(agent.folder_of(key[0]) / "mark")
    portal.tell(key, Verb.CANCEL, why="enough")
    time.sleep(0.2)
    agent.kill()
    portal.verbs.clear()
    agent.start()
    assert reported_once(portal, key)["state"] == "cancelled"


def test_a_killed_wrapper_without_marker_makes_the_attempt_lost(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key, beat = beating(agent, portal, spec)
    started = (agent.folder_of(key[0]).with_name(".1") / "started").read_text()
    stat = parse_stat(started.partition(" ")[2])
    assert stat is not None
    os.kill(stat.pid, signal.SIGKILL)
    report = portal.report_of(key)
    assert report["state"] == "lost"
    assert "without an exit marker" in report["why"]
    assert_still(beat)


@pytest.mark.parametrize("change", ["start", "boot"])
def test_a_recycled_process_number_is_not_taken_for_the_program(
    agent: AgentProcess, portal: FakePortal, spec: Describe, change: str
) -> None:
    """A live process bears the number, but began at another time, or in another boot."""
    agent.start()
    key = portal.want(spec("echo x >mark; sleep 60"))
    wait_for(agent.folder_of(key[0]) / "mark")
    portal.until(lambda: portal.states.get(key) == "running")
    agent.kill()
    marker = agent.folder_of(key[0]).with_name(".1") / "started"
    boot, _, rest = marker.read_text().partition(" ")
    stat = parse_stat(rest)
    assert stat is not None
    if change == "boot":
        boot = "another-boot"
    else:
        rest = rest.replace(f" {stat.start} ", f" {stat.start - 100} ")
    marker.write_text(f"{boot} {rest}")
    agent.start()
    assert portal.report_of(key)["state"] == "lost"
    os.kill(stat.pid, 0)  # it was left alone
    os.killpg(stat.pid, signal.SIGKILL)


def test_sigterm_ends_the_agent_and_leaves_programs_running(
    agent: AgentProcess, portal: FakePortal, spec: Describe
) -> None:
    agent.start()
    key, beat = beating(agent, portal, spec)
    agent.terminate()
    assert agent.process is not None
    assert agent.process.returncode == 0
    size = beat.stat().st_size
    portal.until(lambda: beat.stat().st_size > size)
    agent.start()
    portal.tell(key, Verb.CANCEL, why="end")
    assert portal.report_of(key)["state"] == "cancelled"


def test_a_lost_work_folder_makes_a_new_agent(agent: AgentProcess, portal: FakePortal) -> None:
    agent.start()
    portal.until(lambda: portal.requests)
    agent.kill()
    for path in agent.work.glob("journal.sqlite*"):
        path.unlink()
    agent.start()
    portal.until(lambda: len({request["agent"]["id"] for request in portal.requests}) == 2)
