"""Real Slurm and an agent that is killed at every stage: each job is submitted once, runs once, and
is reported once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, wait_for
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.slurm.conftest import SETTINGS, wait_until
from tests.slurm.site import SlurmSite

Describe = Callable[..., dict[str, Any]]

# Stands before the real sbatch in PATH: `before` and `after` it there may be a pause, in which a
# test kills the agent.
SLOW = """\
#!/bin/sh
pause() {{
    [ -e {folder}/pause-$1 ] || return 0
    : >{folder}/in-$1
    while [ -e {folder}/pause-$1 ]; do sleep 0.05; done
}}
echo x >>{folder}/calls
pause before
{sbatch} "$@" >{folder}/answer.$$
code=$?
pause after
cat {folder}/answer.$$
exit $code
"""


@pytest.fixture
def slow(agent: AgentProcess, tmp_path: Path, site: SlurmSite) -> Path:
    """A folder through which a test halts sbatch."""
    folder = tmp_path / "slow"
    folder.mkdir()
    program = folder / "sbatch"
    sbatch = site.run("sh", "-c", "command -v sbatch").strip()
    program.write_text(SLOW.format(folder=folder, sbatch=sbatch))
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    agent.settings(agent_url(agent), f"{SETTINGS}path = {folder}\n")
    return folder


def agent_url(agent: AgentProcess) -> str:
    return agent.config.read_text().split("url = ", 1)[1].split("\n", 1)[0]


def once(portal: FakePortal, key: tuple[str, int]) -> dict[str, Any]:
    report = portal.report_of(key)
    portal.until(lambda: key in portal.closed)
    assert [(r["run"], r["attempt"]) for r in portal.reports].count(key) == 1
    return report


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_around_the_submission(
    agent: AgentProcess,
    portal: FakePortal,
    task: Describe,
    site: SlurmSite,
    slow: Path,
    moment: str,
) -> None:
    """Before Slurm has heard of it, and after it has taken it but before the id is on disk: sbatch
    goes on without its agent, and the next one submits nothing.
    """
    (slow / f"pause-{moment}").touch()
    before, ran = site.submitted(), agent.folder / "ran"
    agent.start()
    key = portal.want(task(f"echo x >>{ran}"))
    wait_for(slow / f"in-{moment}")
    agent.kill()
    agent.start()
    portal.until(lambda: len({r["agent"]["boot"] for r in portal.requests}) == 2)
    (slow / f"pause-{moment}").unlink()
    assert once(portal, key)["outcome"]["verdict"] == "valid"
    assert lines(ran) == 1
    assert lines(slow / "calls") == 1
    assert site.submitted() == before + 1


def test_killed_after_the_submission_of_an_array(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite, slow: Path
) -> None:
    (slow / "pause-after").touch()
    ran = agent.folder / "ran"
    with portal.lock:
        keys = [portal.want(task(f"echo {n} >>{ran}", group="C-7")) for n in range(4)]
    agent.start()
    wait_for(slow / "in-after")
    agent.kill()
    (slow / "pause-after").unlink()
    agent.start()
    reports = [once(portal, key) for key in keys]
    assert sorted(ran.read_text().split()) == list("0123")
    assert len({report["scheduler_id"].partition("_")[0] for report in reports}) == 1
    assert lines(slow / "calls") == 1


def test_killed_while_the_job_waits_runs_and_ends(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    go, ran, before = agent.folder / "go", agent.folder / "ran", site.submitted()
    agent.start()
    script = f"echo x >>{ran}; until [ -e {go} ]; do sleep 0.1; done; echo end"
    site.run("scontrol", "update", "partition=debug", "state=down")
    try:
        key = portal.want(task(script))
        wait_until(site.queue)
        wait_for(agent.folder_of(key[0]).with_name(".1") / "submitted")
        agent.kill()
    finally:
        site.run("scontrol", "update", "partition=debug", "state=up")
    wait_for(ran)
    agent.start()
    portal.until(lambda: portal.states.get(key) == "running")
    agent.kill()
    go.touch()
    wait_for(agent.folder_of(key[0]).with_name(".1") / "exit", 20)
    agent.start()
    assert once(portal, key)["accounting"]["state"] == "COMPLETED"
    assert portal.texts() == ["end"]
    assert lines(ran) == 1
    assert site.submitted() == before + 1


def test_a_cancel_outlives_a_restart_between_intent_and_submission(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite, slow: Path
) -> None:
    """What was in the queue unknown to the agent is taken out, and never runs."""
    (slow / "pause-after").touch()
    site.run("scontrol", "update", "partition=debug", "state=down")
    try:
        agent.start()
        ran = agent.folder / "ran"
        key = portal.want(task(f"echo x >>{ran}"))
        wait_for(slow / "in-after")
        agent.kill()
        (slow / "pause-after").unlink()
        assert len(site.queue()) == 1
        portal.tell(key, Verb.CANCEL, why="enough")
        agent.start()
        assert once(portal, key)["state"] == "cancelled"
        assert site.is_empty()
    finally:
        site.run("scontrol", "update", "partition=debug", "state=up")
    assert not ran.exists()


def test_killed_again_and_again(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    ran, before = agent.folder / "ran", site.submitted()
    with portal.lock:
        keys = [portal.want(task(f"echo {n} >>{ran}", group=f"C-{n % 3}")) for n in range(6)]
    for pause in (0.4, 0.6, 0.8, 1.0):
        agent.start()
        deadline = os.times().elapsed + pause
        wait_until(lambda until=deadline: os.times().elapsed >= until)
        agent.kill()
    agent.start()
    for key in keys:
        assert once(portal, key)["outcome"]["verdict"] == "valid"
    assert sorted(ran.read_text().split()) == list("012345")
    assert site.submitted() - before == len(keys)
