"""Whole lives of runs at fake sites, whose schedulers lie, hang, forget and break: one execution
each, one report each, and nothing that is lost without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.agent.protocol import Verb
from clusters.rehearsal.site import Site
from clusters.rehearsal.state import Job
from tests.clusters.agent.conftest import AgentProcess, wait_for
from tests.clusters.agent.fake_portal import PATIENCE_S, FakePortal

Describe = Callable[..., dict[str, Any]]
BOTH = pytest.mark.parametrize("site", ["pbs", "torque"], indirect=True)
SETTINGS = """scheduler = {kind}
[scheduler]
path = {path}
poll_s = 0.3
misses = 3
missing_s = 1.5
submit_pause_s = 0.5
patience_s = 2
timeout_s = 5
"""


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site", getattr(request, "param", "pbs"))
    yield site
    site.close()


@pytest.fixture
def agent(tmp_path: Path, portal: FakePortal, site: Site) -> Iterator[AgentProcess]:
    kind = "slurm" if site.kind == "slurm" else "pbs"
    agent = AgentProcess(tmp_path, portal, SETTINGS.format(kind=kind, path=site.programs))
    yield agent
    if agent.process is not None and agent.process.poll() is None:
        agent.kill()


@pytest.fixture
def task(spec: Describe) -> Describe:
    """Describe a run that leaves a mark per execution in its folder."""

    def describe(script: str = "true", **details: Any) -> dict[str, Any]:
        asked = {"memory_mib": 100, **details.pop("resources", {})}
        return spec(f"echo x >>ran; {script}", resources=asked, **details)

    return describe


def executions(agent: AgentProcess, key: tuple[str, int]) -> int:
    ran = agent.folder_of(*key) / "ran"
    return len(ran.read_text().splitlines()) if ran.exists() else 0


def running(site: Site, seconds: float = PATIENCE_S) -> Job:
    def first(jobs: list[Job]) -> Job | None:
        alive = (job for job in jobs if job.state == "RUNNING" and len(job.runner.split()) > 2)
        return next(alive, None)

    return site.until(first, seconds)


@BOTH
def test_a_run_goes_through_the_queue_and_its_books_are_kept(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    agent.start()
    key = portal.want(task("echo one; exit 3", resources={"cores": 2, "walltime_s": 90}))
    report = portal.report_of(key)
    assert report["exit"]["code"] == 3
    books = report["accounting"]
    assert books["kind"] == "pbs"
    assert books["nodes"] == "node1"
    assert books["evidence"][0].startswith(f"qstat of job {books['id']}: job_state = ")
    (job,) = site.jobs()
    assert job.request["walltime_s"] == 90
    assert job.request["cores"] == 2
    assert job.request["variables"] == f"LABPORTAL_JOB=lab-{key[0]}-1"
    assert executions(agent, key) == 1
    assert portal.texts() == ["one"]


def test_a_chain_carries_files_from_run_to_run(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    agent.start()
    first = portal.want(task("echo density >state.dm"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["state*"]}
    report = portal.report_of(portal.want(task("cat state.dm", carry=carry)))
    assert report["outcome"]["verdict"] == "valid"


@BOTH
def test_independent_runs_of_a_calculation_are_one_array(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    site.fault("stall")
    agent.start()
    keys = [portal.want(task(f"exit {number}", group="C-7")) for number in range(6)]
    site.until(lambda jobs: len(jobs) == 6)
    site.heal()
    codes = [portal.report_of(key)["exit"]["code"] for key in keys]
    assert codes == list(range(6)), "each task did the work of its own run"
    assert len({job.number for job in site.jobs()}) < 6
    assert [executions(agent, key) for key in keys] == [1] * 6


def test_why_a_run_waits_is_told(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    site.configure(nodes=1, cores=1)
    agent.start()
    first = portal.want(task("while [ ! -e go ]; do sleep 0.05; done"))
    job = running(site)
    second = portal.want(task())

    def pending() -> dict[str, Any] | None:
        entries = [run for request in portal.requests[-3:] for run in request["runs"]]
        found = [run for run in entries if run["run"] == second[0] and run.get("pending")]
        return found[-1]["pending"] if found and found[-1]["pending"]["reason"] else None

    said = portal.until(pending)
    assert said["text"] == "too few cores are free"
    assert said["partition"] == "debug"
    (agent.folder_of(*first) / "go").touch()
    assert portal.report_of(second)["outcome"]["verdict"] == "valid"
    assert job.number


@pytest.mark.parametrize("moment", ["waits", "runs"])
def test_a_cancelled_run_leaves_the_queue(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site, moment: str
) -> None:
    if moment == "waits":
        site.fault("stall")
    agent.start()
    key = portal.want(task("sleep 60"))
    site.until(lambda jobs: jobs)
    if moment == "runs":
        wait_for(agent.folder_of(*key) / "ran")
    portal.tell(key, Verb.CANCEL, why="asked by Ada L.")
    report = portal.report_of(key)
    assert report["state"] == "cancelled"
    site.until(lambda jobs: not any(job.active for job in jobs))
    assert executions(agent, key) == (0 if moment == "waits" else 1)


@pytest.mark.parametrize(
    ("how", "state", "code"),
    [
        ("timeout", "finished", "walltime"),
        ("oom", "finished", "out_of_memory"),
        ("cancelled", "finished", "cancelled_outside"),
        ("node_fail", "lost", ""),
        ("preempt", "lost", ""),
    ],
)
def test_an_end_by_the_scheduler_has_a_name(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site,
    how: str, state: str, code: str,
) -> None:  # fmt: skip
    agent.start()
    key = portal.want(task("sleep 60; true"))
    wait_for(agent.folder_of(*key) / "ran")
    site.end(running(site), how)
    report = portal.report_of(key)
    assert report["state"] == state
    if code:
        assert report["outcome"]["code"] == code
    else:
        assert "the scheduler says" in report["why"]
    assert executions(agent, key) == 1


def test_the_site_s_own_words_are_shown_where_it_refuses(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    agent.start()
    report = portal.report_of(portal.want(task(resources={"partition": "none"})))
    assert report["outcome"]["code"] == "submission_refused"
    assert "Unknown queue" in str(report["outcome"])
    report = portal.report_of(portal.want(task(resources={"cores": 4000})))
    assert report["outcome"]["code"] == "submission_refused"
    assert site.jobs() == []


def test_a_job_that_is_lost_without_a_word_is_given_up_in_time(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    agent.start()
    key = portal.want(task("sleep 60"))
    wait_for(agent.folder_of(*key) / "ran")
    site.end(running(site), "lose")
    report = portal.report_of(key)
    assert report["state"] == "lost"
    assert "knows job" in report["why"]


@pytest.mark.parametrize(
    ("kind", "details"),
    [
        ("forget", {"share": 1}),
        ("time_out", {}),
        ("garbage", {}),
        ("cut", {}),
        ("empty", {}),
        ("strange_state", {}),
        ("locale", {}),
        ("refuse", {"text": "qstat: cannot connect to server x (errno=111)"}),
    ],
)
def test_wrong_answers_about_a_running_job_conclude_nothing(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site,
    kind: str, details: dict[str, Any],
) -> None:  # fmt: skip
    agent.start()
    key = portal.want(task("while [ ! -e go ]; do sleep 0.05; done"))
    wait_for(agent.folder_of(*key) / "ran")
    site.fault(kind, programs=["qstat"], times=2, **details)
    portal.until(lambda: site.faults[0]["hits"] >= 2)
    site.heal()
    assert portal.states[key] in ("preparing", "running")
    (agent.folder_of(*key) / "go").touch()
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    assert executions(agent, key) == 1


@pytest.mark.parametrize("kind", ["submit_error", "submit_hang", "empty"])
def test_what_was_submitted_without_a_proper_answer_is_found_and_runs_once(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site, kind: str
) -> None:
    details = {"seconds": 30} if kind == "submit_hang" else {}
    site.fault(kind, programs=["qsub"], times=1, **details)
    agent.start()
    key = portal.want(task())
    report = portal.report_of(key)
    assert report["outcome"]["verdict"] == "valid"
    assert len(site.jobs()) == 1, "it was looked up before anything was submitted again"
    assert executions(agent, key) == 1


@BOTH
def test_a_killed_agent_takes_its_jobs_up_again(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    agent.start()
    first = portal.want(task("while [ ! -e go ]; do sleep 0.05; done"))
    wait_for(agent.folder_of(*first) / "ran")
    agent.kill()
    (agent.folder_of(*first) / "go").touch()
    site.until(lambda jobs: not jobs[0].active)
    agent.start()
    assert portal.report_of(first)["outcome"]["verdict"] == "valid"
    assert len(site.jobs()) == 1
    assert executions(agent, first) == 1


def test_an_agent_that_is_killed_while_it_submits_submits_once(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: Site
) -> None:
    site.fault("submit_hang", programs=["qsub"], times=1, seconds=3)
    agent.start()
    key = portal.want(task())
    site.until(lambda jobs: jobs)
    agent.kill()
    agent.start()
    assert portal.report_of(key)["outcome"]["verdict"] == "valid"
    assert len(site.jobs()) == 1
    assert executions(agent, key) == 1


@BOTH
def test_what_the_site_allows_and_how_busy_it_is_reaches_the_portal(
    agent: AgentProcess, portal: FakePortal, site: Site
) -> None:
    agent.start()

    def told() -> dict[str, Any] | None:
        newest = portal.requests[-1]["capacity"]["scheduler"] if portal.requests else {}
        return newest if newest.get("limits") else None

    said = portal.until(told)
    assert said["version"].startswith("PBS 23" if site.kind == "pbs" else "Torque 6")
    assert [queue["name"] for queue in said["limits"]["partitions"]] == ["debug", "long"]
    assert said["limits"]["partitions"][0]["max_walltime_s"] == 3600
    assert said["answers"] is True
