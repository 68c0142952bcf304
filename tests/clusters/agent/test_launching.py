"""How programs of several tasks are started: by the site's launcher, else by the scheduler's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import Resources, RunSpec
from calculations.software.launching import launcher
from clusters.agent.config import BadConfig, Config
from clusters.agent.preparation import Preparation
from clusters.agent.schedulers.base import SubmissionRefused
from clusters.agent.schedulers.choice import dialect_of, slots_of
from clusters.agent.staging import Staging
from clusters.agent.workspace import Workspace
from tests.clusters.agent.probe import Probe


class Parallel(Probe):
    mpi = True

    def command(
        self, parameters: Mapping[str, Any], resources: Resources, site: Mapping[str, str]
    ) -> list[str]:
        return [*launcher(site, resources), "program"]


def command(
    work: Path,
    scheduler: str,
    *,
    site: Mapping[str, str] | None = None,
    mpi: bool = True,
    **asked: Any,
) -> Sequence[str]:
    plugin = Parallel()
    plugin.mpi = mpi
    software = {"probe": site} if site is not None else {}
    config = Config("https://portal", "k", work, 1, scheduler=scheduler, software=software)
    workspace = Workspace(work)
    staging = Staging(lambda: None, workspace)  # type: ignore[arg-type, return-value]
    preparation = Preparation(config, workspace, staging, lambda name: plugin)
    spec = RunSpec("r", 1, "probe", {"script": ""}, resources=Resources(**asked))
    return preparation.job(spec).command


def test_several_tasks_start_by_srun_in_slurm(tmp_path: Path) -> None:
    assert command(tmp_path, "slurm", cores=4) == ["srun", "program"]
    assert command(tmp_path, "slurm", cores=4, tasks=2) == ["srun", "program"]


def test_a_single_task_and_threads_need_no_launcher(tmp_path: Path) -> None:
    assert command(tmp_path, "slurm", cores=1) == ["program"]
    assert command(tmp_path, "slurm", cores=4, tasks=1) == ["program"]
    assert command(tmp_path, "slurm", cores=4, mpi=False) == ["program"]


def test_the_sites_own_launcher_comes_first(tmp_path: Path) -> None:
    site = {"launcher": "mpiexec -n {tasks}"}
    assert command(tmp_path, "slurm", site=site, cores=4) == ["mpiexec", "-n", "4", "program"]
    assert command(tmp_path, "slurm", site={"launcher": ""}, cores=4) == ["program"]


def test_plain_processes_have_none(tmp_path: Path) -> None:
    assert command(tmp_path, "process", cores=4) == ["program"]


def test_wrong_options_of_a_scheduler_are_named_and_slots_are_its_jobs(tmp_path: Path) -> None:
    wrong = Config("https://p", "k", tmp_path, 1, scheduler="slurm", scheduler_options={"pol": "1"})
    with pytest.raises(BadConfig, match="'pol' is unknown"):
        dialect_of(wrong)
    right = {"max_jobs": "40"}
    assert (
        slots_of(Config("https://p", "k", tmp_path, 2, scheduler="slurm", scheduler_options=right))
        == 40
    )
    assert slots_of(Config("https://p", "k", tmp_path, 2)) == 2


def test_a_refusal_is_an_outcome_with_the_schedulers_words(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    staging = Staging(lambda: None, workspace)  # type: ignore[arg-type, return-value]
    preparation = Preparation(
        Config("https://p", "k", tmp_path, 1), workspace, staging, lambda name: Parallel()
    )
    why, report = preparation.blame(SubmissionRefused("Invalid qos specification"), "probe")
    assert why == ""
    assert report is not None
    assert report["outcome"]["code"] == "submission_refused"
    assert "Invalid qos specification" in report["outcome"]["message"]
