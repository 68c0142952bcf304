"""Real Slurm when things break: memory, nodes, preemption, other people, a silent controller."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, wait_for
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.slurm.conftest import SETTINGS, wait_until
from tests.slurm.site import SlurmSite

Describe = Callable[..., dict[str, Any]]
HOG = "python3 -c 'import time; hog = bytearray(300 * 2**20); time.sleep(30)'"


def submit(
    agent: AgentProcess, portal: FakePortal, run: dict[str, Any]
) -> tuple[tuple[str, int], str]:
    """Have it running; return its key and its id in Slurm."""
    key = portal.want(run)
    portal.until(lambda: portal.states.get(key) == "running")
    wait_for(agent.folder_of(key[0]) / "mark", 20)
    entry = next(e for e in portal.requests[-1]["runs"] if e["run"] == key[0])
    return key, entry["scheduler_id"]


def test_too_much_memory_ends_a_job_by_slurms_own_limit(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    """Without control groups Slurm measures, kills (OverMemoryKill) and books a failed launch: that
    it was the memory is read from what it has written into the job's output. The queue
    alone does not know what a job used; with polls as quick as here, three answers of books that
    are late do not mean that they know nothing of it.
    """
    url = agent.config.read_text().split("url = ", 1)[1].split("\n", 1)[0]
    agent.settings(url, SETTINGS.replace("patience_s = 5", "patience_s = 40\nmisses = 80"))
    agent.start()
    key = portal.want(task(f"{HOG} || echo ended", resources={"memory_mib": 60}))
    report = portal.report_of(key)
    assert report["outcome"]["code"] == "out_of_memory"
    assert report["outcome"]["remedy"]
    assert (report["accounting"]["max_rss_mib"] or 0) > 60, report["accounting"]
    assert any("exceeded memory limit" in line for line in report["outcome"]["evidence"])


def test_somebody_else_cancels_the_job(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    _, job = submit(agent, portal, task("echo x >mark; sleep 60"))
    site.run("scancel", job)
    report = portal.until(lambda: portal.reports and portal.reports[-1])
    assert (report["state"], report["outcome"]["code"]) == ("finished", "cancelled_outside")
    assert report["accounting"]["state"].startswith("CANCELLED")


def test_a_program_that_does_not_heed_its_end_is_killed_by_slurm(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    script = "trap '' TERM; echo x >mark; while :; do sleep 0.1; done"
    key, _ = submit(agent, portal, task(script))
    portal.tell(key, Verb.CANCEL, why="enough")
    assert portal.report_of(key)["state"] == "cancelled"
    assert site.is_empty()


def test_a_job_that_makes_room_for_another_is_lost_for_a_next_attempt(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    all_cores = {"cores": 8, "nodes": 2, "tasks": 2}
    key, _ = submit(agent, portal, task("echo x >mark; sleep 60", resources=all_cores))
    site.run("sbatch", "-p", "urgent", "-N2", "-n8", "-o", "/dev/null", "--wrap", "sleep 60")
    report = portal.report_of(key)
    assert report["state"] == "lost"
    assert "make room" in report["why"]
    assert report["accounting"]["state"] == "PREEMPTED"


def test_a_node_that_fails_makes_the_attempt_lost(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    key, job = submit(agent, portal, task("echo x >mark; sleep 60"))
    node = site.run("squeue", "-h", "-j", job, "-o", "%N").strip()
    site.kill(node)
    try:
        site.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        report = portal.report_of(key)
        assert report["state"] == "lost"
        assert f"a node failed on {node}" in report["why"]
        assert report["accounting"]["state"] == "NODE_FAIL"
    finally:
        site.start_node(node)
        site.run("scontrol", "update", f"nodename={node}", "state=resume")
        wait_until(lambda: site.idle() == site.nodes)


def test_a_job_that_slurm_starts_twice_runs_once(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    """An operator may allow a requeue and order it."""
    agent.start()
    ran = agent.folder / "ran"
    key, job = submit(agent, portal, task(f"echo x >>{ran}; echo x >mark; sleep 60"))
    site.run("scontrol", "update", f"jobid={job}", "requeue=1")
    site.run("scontrol", "requeue", job)
    report = portal.report_of(key)
    assert ran.read_text() == "x\n"
    assert report["state"] == "lost"
    assert "back into the queue" in report["why"]
    assert site.is_empty()


@pytest.fixture
def silent(site: SlurmSite) -> Iterator[Callable[[bool], None]]:
    """Halt the controller, and let it go on."""
    controller = site.parts["slurmctld"]

    def halt(quiet: bool) -> None:
        os.kill(controller.pid, signal.SIGSTOP if quiet else signal.SIGCONT)

    yield halt
    halt(False)


def test_nothing_is_concluded_while_the_controller_is_silent(
    agent: AgentProcess,
    portal: FakePortal,
    task: Describe,
    silent: Callable[[bool], None],
    site: SlurmSite,
) -> None:
    """A job that runs goes on; one that comes meanwhile is submitted once."""
    url = agent.config.read_text().split("url = ", 1)[1].split("\n", 1)[0]
    agent.settings(url, f"{SETTINGS}timeout_s = 1\n")
    agent.start()
    go, ran = agent.folder / "go", agent.folder / "ran"
    key, _ = submit(agent, portal, task(f"echo x >mark; until [ -e {go} ]; do sleep 0.1; done"))
    before = site.submitted()
    silent(True)
    other = portal.want(task(f"echo x >>{ran}"))

    def unsure() -> bool:
        request = portal.requests[-1]
        entries = {entry["run"]: entry for entry in request["runs"]}
        waits = (entries.get(other[0], {}).get("pending") or {}).get("reason")
        silence = not request["capacity"]["scheduler"]["answers"]
        return silence and waits == "NotSubmitted" and "unknown_since" in entries[key[0]]

    portal.until(unsure)
    assert portal.states[key] == "running"
    assert portal.states[other] == "preparing"
    silent(False)
    assert portal.report_of(other)["outcome"]["verdict"] == "valid"
    assert ran.read_text() == "x\n"
    go.touch()
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    portal.until(lambda: portal.requests[-1]["capacity"]["scheduler"]["answers"])
    assert site.submitted() == before + 1


def test_a_controller_that_is_started_again_keeps_its_jobs(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    go = agent.folder / "go"
    key, _ = submit(agent, portal, task(f"echo x >mark; until [ -e {go} ]; do sleep 0.1; done"))
    site.kill("slurmctld", signal.SIGTERM)
    portal.until(lambda: not portal.requests[-1]["capacity"]["scheduler"]["answers"])
    go.touch()
    site.start_controller()
    assert portal.report_of(key)["accounting"]["state"] == "COMPLETED"


def test_a_site_without_books_tells_by_its_controller(
    tmp_path: Path, portal: FakePortal, task: Describe, site_without_books: SlurmSite
) -> None:
    agent = AgentProcess(tmp_path, portal, SETTINGS, site_without_books.environment)
    agent.start()
    try:
        good, bad = portal.want(task("sleep 1.2")), portal.want(task("exit 3"))
        report = portal.report_of(good)
        assert report["outcome"]["verdict"] == "valid"
        assert report["accounting"]["state"] == "COMPLETED"
        assert report["accounting"]["nodes"].startswith("node")
        assert any(line.startswith("scontrol") for line in report["accounting"]["evidence"])
        report = portal.report_of(bad)
        assert report["exit"]["code"] == 3
        assert report["accounting"]["exit_code"] == 3
    finally:
        agent.kill()
