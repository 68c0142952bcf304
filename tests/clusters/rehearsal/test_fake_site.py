"""A fake site runs what is submitted, answers as real schedulers do, and breaks as it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clusters.rehearsal.faults import KINDS, OF_JOBS
from clusters.rehearsal.running import ENDINGS
from clusters.rehearsal.site import Site
from clusters.rehearsal.state import Job

ROOT = Path(__file__).resolve().parents[3]
KINDS_OF_SITE = ("slurm", "pbs", "torque")


def over(jobs: list[Job]) -> bool:
    return bool(jobs) and not any(job.active for job in jobs)


def submit(site: Site, run: Callable, *words: str) -> str:
    program = ["sbatch", "--parsable"] if site.kind == "slurm" else ["qsub"]
    done = run(*program, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_no_program_of_a_site_needs_django() -> None:
    code = "import sys, clusters.rehearsal.site\nprint('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("kind", KINDS_OF_SITE)
def test_a_script_runs_with_its_arguments_and_leaves_its_exit_code(
    kind: str, make_site: Callable, call: Callable, script: Callable, tmp_path: Path
) -> None:
    site = make_site(kind)
    path = script(f'echo "ran $1" >"{tmp_path}/ran"; exit 3')
    submit(site, call(site), *(["--", path, "x y"] if kind == "slurm" else [path]))
    (job,) = site.until(lambda jobs: jobs if over(jobs) else None)
    assert (job.state, job.code) == ("FAILED", 3)
    assert (tmp_path / "ran").read_text() == ("ran x y\n" if kind == "slurm" else "ran \n")


def test_no_more_run_at_once_than_there_are_cores(
    make_site: Callable, call: Callable, script: Callable, tmp_path: Path
) -> None:
    site = make_site(nodes=1, cores=2)
    hold = tmp_path / "hold"
    hold.touch()
    path = script(f'while [ -e "{hold}" ]; do sleep 0.02; done')
    run = call(site)
    submit(site, run, "--array=0-4", path)
    number = site.jobs()[0].number
    lines = run("squeue", "-h", "-o", "%i %T %r").stdout.splitlines()
    assert lines == [
        f"{number}_0 RUNNING None",
        f"{number}_1 RUNNING None",
        f"{number}_[2-4] PENDING Resources",
    ]
    hold.unlink()
    site.until(over)
    assert {job.state for job in site.jobs()} == {"COMPLETED"}
    assert run("squeue", "-h").stdout == ""


@pytest.mark.parametrize("how", [how for how in OF_JOBS if how not in ("requeue", "lose_sight")])
def test_a_job_ends_in_every_way_in_which_jobs_do(
    how: str, make_site: Callable, call: Callable, script: Callable
) -> None:
    site = make_site()
    site.fault(how, times=1, after_s=0.05)
    run = call(site)
    number = submit(site, run, script("sleep 60"))
    site.until(over)
    line = run("sacct", "-nPX", "-j", number, "-o", "State").stdout.strip()
    assert line.partition(" ")[0] == ("" if how == "lose" else ENDINGS[how])


def test_a_job_that_is_put_back_starts_again(
    make_site: Callable, call: Callable, script: Callable, tmp_path: Path
) -> None:
    site, ran, go = make_site(), tmp_path / "ran", tmp_path / "go"
    site.fault("requeue", times=1, after_s=0.05)  # maybe before the job has said a word
    text = f'echo "$SLURM_RESTART_COUNT" >>"{ran}"; until [ -e "{go}" ]; do sleep 0.02; done'
    submit(site, call(site), script(text))

    def began(count: str) -> bool:
        return ran.exists() and count in ran.read_text().splitlines()

    (job,) = site.until(lambda jobs: jobs if began("1") else None)
    site.end(job, "requeue")  # by hand, once it is known to have begun
    (job,) = site.until(lambda jobs: jobs if began("2") else None)
    assert (job.state, job.starts) == ("RUNNING", 3)
    go.touch()
    site.until(over)
    (job,) = site.jobs()
    assert (job.state, job.starts) == ("COMPLETED", 3)
    assert ran.read_text().splitlines()[-2:] == ["1", "2"]


@pytest.mark.parametrize("kind", KINDS_OF_SITE)
def test_a_cancelled_job_is_asked_to_end_first(
    kind: str, make_site: Callable, call: Callable, script: Callable, tmp_path: Path
) -> None:
    site = make_site(kind)
    run = call(site)
    path = script(f'trap "echo asked >{tmp_path}/asked; exit 7" TERM\nsleep 60 & wait')
    name = submit(site, run, path)
    site.until(lambda jobs: len(jobs[0].runner.split()) == 3)
    run("scancel" if kind == "slurm" else "qdel", name)
    site.until(over)
    assert site.jobs()[0].state == "CANCELLED"


def test_a_site_whose_runner_is_killed_has_a_failed_node(
    make_site: Callable, call: Callable, script: Callable
) -> None:
    site = make_site()
    submit(site, call(site), script("sleep 60"))
    runner = site.until(lambda jobs: jobs[0].runner)
    os.kill(int(runner.split()[0]), signal.SIGKILL)
    site.until(over)
    assert site.jobs()[0].state == "NODE_FAIL"


@pytest.mark.parametrize(
    ("fault", "details", "code", "out"),
    [
        ("refuse", {"text": "sbatch: error: not today"}, 1, ""),
        ("time_out", {}, 1, ""),
        ("submit_error", {}, 1, ""),
        ("empty", {}, 0, ""),
    ],
)
def test_what_a_submission_answers_by_fault(
    fault: str, details: dict, code: int, out: str,
    make_site: Callable, call: Callable, script: Callable,
) -> None:  # fmt: skip
    site = make_site()
    site.fault(fault, times=1, **details)
    run = call(site)
    done = run("sbatch", "--parsable", script("true"))
    assert (done.returncode, done.stdout) == (code, out)
    assert details.get("text", "") in done.stderr
    assert len(site.jobs()) == (1 if fault in ("submit_error", "empty") else 0)
    assert run("sbatch", "--parsable", script("true")).returncode == 0, "only once"


@pytest.mark.parametrize("fault", ["forget", "partial", "cut", "garbage", "strange_state"])
def test_what_the_queue_answers_by_fault(
    fault: str, make_site: Callable, call: Callable, script: Callable
) -> None:
    site = make_site()
    site.fault(fault, programs=["squeue"], **({"share": 1} if fault == "forget" else {}))
    path = script("sleep 60")
    run = call(site)
    names = [submit(site, run, path) for _ in range(2)]
    whole = f"{names[0]} RUNNING\n{names[1]} RUNNING\n"
    environment = {**os.environ, "PATH": site.path}
    words = ["squeue", "-h", "-o", "%i %T"]
    said = subprocess.run(words, env=environment, capture_output=True).stdout
    assert said != whole.encode()
    site.heal()
    assert run("squeue", "-h", "-o", "%i %T").stdout == whole


def test_a_site_refuses_in_the_scheduler_s_words(
    make_site: Callable, call: Callable, script: Callable
) -> None:
    slurm, pbs = make_site(), make_site("pbs")
    path, run = script("true"), call(slurm)
    assert "Invalid partition name specified" in run("sbatch", "-p", "none", path).stderr
    assert "Invalid account" in run("sbatch", "-A", "none", path).stderr
    assert "Invalid qos" in run("sbatch", "-q", "none", path).stderr
    assert "node configuration is not available" in run("sbatch", "-n", "99", path).stderr
    run = call(pbs)
    assert run("qsub", "-q", "none", path).stderr == "qsub: Unknown queue\n"
    limits = "qsub: Job exceeds queue and/or server resource limits\n"
    assert run("qsub", "-l", "select=1:ncpus=99", path).stderr == limits
    assert run("qstat", "77").returncode == 153


def test_every_fault_has_a_description_and_an_unknown_one_is_refused(make_site: Callable) -> None:
    assert all(KINDS.values())
    with pytest.raises(ValueError, match="'fire' is unknown"):
        make_site().fault("fire")


def test_a_slow_queue_lets_jobs_wait(make_site: Callable, call: Callable, script: Callable) -> None:
    site = make_site()
    site.fault("stall")
    submit(site, call(site), script("true"))
    assert site.jobs()[0].state == "PENDING"
    site.heal()
    site.until(over)
