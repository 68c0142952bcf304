"""Real qsub, qstat and qdel: those that come with Slurm, on a real Slurm."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, wait_for
from tests.clusters.agent.fake_portal import FakePortal
from tests.slurm.site import SlurmSite

Describe = Callable[..., dict[str, Any]]
SETTINGS = (
    "scheduler = pbs\n[scheduler]\npoll_s = 0.5\n"
    "missing_s = 2\nsubmit_pause_s = 0.5\npatience_s = 1\n"
)

pytestmark = pytest.mark.skipif(
    not shutil.which("qsub"), reason="slurm-wlm-torque is not installed"
)


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal, site: SlurmSite) -> Iterator[AgentProcess]:
    agent = AgentProcess(tmp_path, portal, SETTINGS, site.environment)
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        agent.kill()
    queue = site.queue()
    if queue:
        site.run("scancel", *queue)


def test_runs_of_a_calculation_go_through_qsub_one_by_one(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    keys = [portal.want(task(f"exit {code}", group="C-1")) for code in (0, 3)]
    reports = [portal.report_of(key) for key in keys]
    assert [report["exit"]["code"] for report in reports] == [0, 3]
    assert {report["accounting"]["kind"] for report in reports} == {"pbs"}
    ids = [report["scheduler_id"] for report in reports]
    assert all(id.isdigit() for id in ids), "tasks of an array could not be followed here"
    names = site.run("squeue", "-h", "-t", "all", "-o", "%j", f"--jobs={','.join(ids)}")
    assert all(len(name) == 15 and name.startswith("lab-") for name in names.split())


def test_a_run_is_cancelled_by_qdel(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    key = portal.want(task("touch here; sleep 60"))
    wait_for(agent.folder_of(*key) / "here", 30)
    portal.tell(key, Verb.CANCEL, why="asked by Ada L.")
    assert portal.report_of(key)["state"] == "cancelled"
    assert site.is_empty()


def test_a_queue_that_is_not_there_is_refused_in_slurm_s_words(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    agent.start()
    report = portal.report_of(portal.want(task(resources={"partition": "none"})), 30)
    assert report["outcome"]["code"] == "submission_refused"
    assert "Invalid partition name specified" in str(report["outcome"])


def test_a_killed_agent_finds_its_job_again(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    key = portal.want(task("touch here; while [ ! -e go ]; do sleep 0.1; done"))
    wait_for(agent.folder_of(*key) / "here", 30)
    submitted = site.submitted()
    agent.kill()
    (agent.folder_of(*key) / "go").touch()
    agent.start()
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    assert site.submitted() == submitted


def test_the_portal_hears_whose_pbs_it_is(agent: AgentProcess, portal: FakePortal) -> None:
    agent.start()
    portal.until(lambda: portal.requests and portal.requests[-1]["capacity"]["scheduler"]["limits"])
    said = portal.requests[-1]["capacity"]["scheduler"]
    assert said["version"] == "Slurm's wrappers for PBS"
    queues = {queue["name"]: queue for queue in said["limits"]["partitions"]}
    assert queues["debug"]["cores_per_node"] == 4
    assert queues["debug"]["max_walltime_s"] is None, "the wrappers do not tell"
