"""Real Slurm, from submission to report: single jobs, chains, arrays, refusals, cancels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.agent.protocol import Verb
from tests.clusters.agent.conftest import AgentProcess, wait_for
from tests.clusters.agent.fake_portal import FakePortal
from tests.clusters.agent.slurm.conftest import SETTINGS
from tests.slurm.site import SlurmSite

Describe = Callable[..., dict[str, Any]]


def test_a_job_runs_and_is_accounted_for(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    agent.settings(portal.url, SETTINGS.replace("patience_s = 5", "patience_s = 60"))  # of books
    agent.start()
    script = "echo $SLURM_JOB_NUM_NODES $SLURM_NTASKS $PROBE_NEEDS; echo data >kept.dat; sleep 1.2"
    key = portal.want(task(script, resources={"cores": 2}))
    report = portal.report_of(key)
    assert report["outcome"]["verdict"] == "valid"
    assert report["exit"] == {"code": 0, "signal": None, "timed_out": False}
    assert report["files"][0]["name"] == "kept.dat"
    assert portal.texts() == ["1 1 this"]
    books = report["accounting"]
    assert books["kind"] == "slurm"
    assert books["id"] == report["scheduler_id"]
    assert (books["state"], books["exit_code"]) == ("COMPLETED", 0)
    assert books["nodes"].startswith("node")
    assert books["elapsed_s"] >= 1
    assert books["max_rss_mib"] > 0
    assert books["submitted_at"] <= books["started_at"] <= books["finished_at"]
    assert any(line.startswith("sacct:") for line in books["evidence"])


def test_the_portal_hears_of_the_site(
    agent: AgentProcess, portal: FakePortal, site: SlurmSite
) -> None:
    agent.start()
    portal.until(lambda: portal.requests and portal.requests[-1]["capacity"]["scheduler"]["limits"])
    capacity = portal.requests[-1]["capacity"]
    assert capacity["slots"]["total"] == 200
    scheduler = capacity["scheduler"]
    assert (scheduler["kind"], scheduler["answers"], scheduler["problem"]) == ("slurm", True, "")
    assert scheduler["version"].split(".")[0].isdigit()
    partitions = {item["name"]: item for item in scheduler["limits"]["partitions"]}
    debug = partitions["debug"]
    assert debug["default"]
    assert debug["max_walltime_s"] == 3600
    assert (debug["cores_per_node"], debug["memory_per_node_mib"]) == (4, 4000)
    assert debug["gpus_per_node"] == 2
    assert scheduler["limits"]["accounts"] == ["lab", "root"]


def test_nodes_tasks_cores_and_gpus_are_what_was_asked_for(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    """Totals over all nodes; what srun starts has the job's environment and the cores of a task."""
    agent.start()
    script = (
        "echo $SLURM_JOB_NUM_NODES $SLURM_NTASKS $SLURM_CPUS_PER_TASK; "
        "squeue -h -j $SLURM_JOB_ID -o %b; "
        "srun sh -c 'echo $SLURM_CPUS_PER_TASK $PROBE_NEEDS'"
    )
    asked = {"nodes": 2, "tasks": 4, "cores": 8, "memory_mib": 800, "gpus": 2, "gpu_type": "h200"}
    report = portal.report_of(portal.want(task(script, resources=asked)), 30)
    assert report["outcome"]["verdict"] == "valid"
    asked_for, gpus, *tasks = portal.texts()
    assert asked_for == "2 4 2"
    assert gpus.endswith("gpu:h200:1")  # on each node
    assert tasks == ["2 this"] * 4
    assert report["accounting"]["nodes"] == "node[1-2]"


def test_a_chain_carries_its_files_on(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    agent.start()
    first = portal.want(task("echo 41 >state.txt"))
    portal.report_of(first)
    carry = {"run": first[0], "patterns": ["state*"]}
    second = portal.want(task("echo $(($(cat state.txt) + 1))", carry=carry))
    assert portal.report_of(second)["outcome"]["verdict"] == "valid"
    assert portal.texts() == ["42"]


def test_runs_of_one_calculation_become_one_array(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    """Each with a script and an environment of its own; names that trouble shells do no harm."""
    with portal.lock:
        keys = [
            portal.want(
                task(f"echo \"it's {number}\" '$HOME'; exit {number % 2}", group="C-1 'ö\n")
            )
            for number in range(6)
        ]
    agent.start()
    reports = [portal.report_of(key) for key in keys]
    arrays = {report["scheduler_id"].partition("_")[0] for report in reports}
    assert len(arrays) == 1
    assert sorted(r["scheduler_id"].partition("_")[2] for r in reports) == list("012345")
    assert [report["exit"]["code"] for report in reports] == [0, 1, 0, 1, 0, 1]
    assert sorted(portal.texts()) == [f"it's {number} $HOME" for number in range(6)]
    assert {report["accounting"]["state"] for report in reports} == {"COMPLETED", "FAILED"}


def test_one_task_of_an_array_is_cancelled_and_the_others_go_on(
    agent: AgentProcess, portal: FakePortal, task: Describe
) -> None:
    go = agent.folder / "go"
    with portal.lock:
        keys = [
            portal.want(task(f"echo x >mark; until [ -e {go} ]; do sleep 0.1; done", group="C-1"))
            for _ in range(3)
        ]
    agent.start()
    for run, _ in keys:
        wait_for(agent.folder_of(run) / "mark", 20)
    portal.tell(keys[1], Verb.CANCEL, why="enough")
    assert portal.report_of(keys[1])["state"] == "cancelled"
    go.touch()
    for key in (keys[0], keys[2]):
        assert portal.report_of(key)["outcome"]["verdict"] == "valid"


def test_a_job_is_cancelled_while_it_waits(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    fill = portal.want(task("sleep 60", resources={"cores": 8, "nodes": 2, "tasks": 2}))
    portal.until(lambda: portal.states.get(fill) == "running")
    key = portal.want(task("true", resources={"cores": 8, "nodes": 2, "tasks": 2}))

    def pending() -> Any:
        entries = {entry["run"]: entry for entry in portal.requests[-1]["runs"]}
        found = entries.get(key[0], {}).get("pending") or {}
        return found if found.get("reason") in ("Resources", "Priority") else None

    waits = portal.until(pending)
    assert waits["partition"] == "debug"
    assert waits["text"]
    portal.tell(key, Verb.CANCEL, why="no longer wanted")
    assert portal.report_of(key)["state"] == "cancelled"
    assert not any((agent.folder_of(key[0])).glob("probe.out"))
    portal.tell(fill, Verb.CANCEL, why="end")
    assert portal.report_of(fill)["state"] == "cancelled"
    assert site.is_empty()


def test_the_schedulers_own_words_stand_in_a_refusal(
    agent: AgentProcess, portal: FakePortal, task: Describe, site: SlurmSite
) -> None:
    agent.start()
    cases = {
        "Invalid account": {"account": "nope"},
        "invalid partition specified: nope": {"partition": "nope"},
        "Invalid qos specification": {"qos": "nope"},
        "Requested node configuration is not available": {"memory_mib": 900_000},
        "not permitted to use this partition": {"partition": "closed"},
        # PartitionConfig at first, and PartitionTimeLimit once it was looked at again.
        "would let the job wait for ever: Partition": {"walltime_s": 100 * 3600},
        "'no such thing' is no account": {"account": "no such thing"},
    }
    keys = {words: portal.want(task(resources=asked)) for words, asked in cases.items()}
    for words, key in keys.items():
        outcome = portal.report_of(key)["outcome"]
        assert (outcome["verdict"], outcome["code"]) == ("failed", "submission_refused")
        assert words in outcome["message"]
        assert outcome["remedy"]
    assert site.is_empty()
