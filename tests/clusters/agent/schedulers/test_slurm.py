"""Slurm's language: what is asked of it, and what it says to a submission."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculations.software.base import Resources
from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Job, SubmissionRefused, TryLater
from clusters.agent.schedulers.dialect import Submission, Unclear
from clusters.agent.schedulers.options import Options
from clusters.agent.schedulers.scripts import job_script
from clusters.agent.schedulers.slurm import Slurm

US = "\x1f"
FAILED = "sbatch: error: Batch job submission failed"
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
slurm = Slurm()


def job(folder: Path = Path("/scratch/1"), **asked: Any) -> Job:
    resources = Resources(**{"tasks": 1, **asked})
    return Job(
        ("r1", 1), folder, folder.with_name(".1"), ("pw.x",), {}, "o.out", resources=resources
    )


def submission(*jobs: Job, output: str = "/scratch/spool/x.out") -> Submission:
    return Submission("lab-r1-1", "C-1", jobs, Path("/scratch/spool/x.sh"), Path(output))


def said(out: str = "", err: str = "", code: int | None = 0, problem: str = "") -> Answer:
    return Answer(code, out, err, problem, 0.1)


def asked_of(dialect: Slurm = slurm, **asked: Any) -> list[str]:
    return dialect.submit_arguments(submission(job(**asked)))


def test_totals_become_what_slurm_wants_for_each_node_and_task() -> None:
    words = asked_of(
        nodes=2, tasks=6, cores=12, memory_mib=5001, gpus=4, gpu_type="h200", walltime_s=3661,
        licences=("matlab:1", "gauss"), exclusive=True, partition="long", account="lab", qos="high",
    )  # fmt: skip
    for word in (
        "--nodes=2", "--ntasks=6", "--cpus-per-task=2", "--mem=2501M", "--time=62",
        "--gres=gpu:h200:2", "--licenses=matlab:1,gauss", "--exclusive", "--partition=long",
        "--account=lab", "--qos=high", "--export=NIL", "--no-requeue", "--parsable",
    ):  # fmt: skip
        assert word in words
    assert words[0] == "sbatch"
    assert words[-1] == "/scratch/spool/x.sh"


def test_the_sites_options_stand_where_the_run_says_nothing() -> None:
    options = Options.read(
        {"partition": "debug", "account": "lab", "extra": "--constraint='a&b'\n-v"}
    )
    words = asked_of(Slurm(options), account="own")
    assert "--partition=debug" in words
    assert "--account=own" in words
    assert words[-3:-1] == ["--constraint=a&b", "-v"]
    assert not any(word.startswith(("--gres", "--exclusive", "--qos")) for word in words)


@pytest.mark.parametrize("value", ["a b", "x;y", "ö", "a\nb", "$(x)"])
def test_what_is_no_name_is_refused_before_slurm_sees_it(value: str) -> None:
    with pytest.raises(SubmissionRefused, match="is no partition"):
        asked_of(partition=value)


def test_an_array_has_one_output_for_each_task_and_signs_in_paths_are_kept() -> None:
    jobs = [job(Path(f"/w/{n}")) for n in range(3)]
    words = slurm.submit_arguments(submission(*jobs, output="/w/100%j/x.out"))
    assert "--array=0-2" in words
    assert "--output=/w/100%%j/x.out.%a" in words


def test_an_arrays_script_hands_over_to_the_script_of_its_task(tmp_path: Path) -> None:
    jobs = []
    for n in range(3):
        folder = tmp_path / f'it\'s a "földer" $HOME\n{n}' / "1"
        one = job(folder)
        one.control.mkdir(parents=True)
        (one.control / "job.sh").write_text(f"echo task {n}")
        jobs.append(one)
    script = tmp_path / "array.sh"
    script.write_text(slurm.script(submission(*jobs)))
    for n in range(3):
        done = subprocess.run(
            ["sh", script], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(n)}, capture_output=True
        )
        assert done.stdout.decode() == f"task {n}\n"
    done = subprocess.run(["sh", script], env={"SLURM_ARRAY_TASK_ID": "9"}, capture_output=True)
    assert done.returncode == 126


@given(
    words=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_every_word_reaches_the_program_as_it_is(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], value: str
) -> None:
    folder = tmp_path_factory.mktemp("job") / "1"
    folder.mkdir()
    folder.with_name(".1").mkdir()
    program = ["printf", "%s\\0", *words]
    environment = {"PATH": os.environ["PATH"], "WORDS": value, "SLURM_JOB_ID": "7", "a b": "no"}
    one = Job(("r", 1), folder, folder.with_name(".1"), program, environment, "out.txt")
    subprocess.run(["sh", "-c", job_script(one, prelude=slurm.prelude)], check=True, env={})
    written = (folder / "out.txt").read_bytes().decode()
    assert written.split("\0")[:-1] == (words or [""])
    assert (folder.with_name(".1") / "exit").read_text() == "exit 0\n"


def test_a_job_sees_the_agents_environment_without_what_is_the_agents_own(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    (tmp_path / ".1").mkdir()
    environment = {
        "PATH": os.environ["PATH"], "MODULEPATH": "it's\nhere", "CUDA_VISIBLE_DEVICES": "0",
        "SLURM_NTASKS": "9", "TMPDIR": "/scratch", "BASH_FUNC_x%%": "() { :; }",
    }  # fmt: skip
    one = Job(("r", 1), folder, tmp_path / ".1", ["env", "-0"], environment, "out.txt")
    setup = tmp_path / "set up.sh"
    setup.write_text("export FROM_SETUP=yes\n")
    text = job_script(one, setup=str(setup), prelude=slurm.prelude)
    subprocess.run(["sh", "-c", text], check=True, env={"SLURM_EXPORT_ENV": "NIL"})
    lines = dict(line.split("=", 1) for line in (folder / "out.txt").read_text().split("\0")[:-1])
    assert lines["MODULEPATH"] == "it's\nhere"
    assert lines["FROM_SETUP"] == "yes"
    assert lines["SRUN_CPUS_PER_TASK"] == "1"
    assert not {"CUDA_VISIBLE_DEVICES", "SLURM_NTASKS", "TMPDIR", "SLURM_EXPORT_ENV"} & set(lines)


@pytest.mark.parametrize("out", ["4711\n", "4711;tesla\n", "a plug-in says hello\n4711;tesla\n"])
def test_the_id_is_read_of_what_sbatch_prints(out: str) -> None:
    assert slurm.parse_submit(said(out, "sbatch: lua: welcome")) == "4711"


def test_an_id_counts_though_sbatch_hung_after_it() -> None:
    assert slurm.parse_submit(said("4711\n", code=None, problem="no answer within 30 s")) == "4711"


@pytest.mark.parametrize(
    "err",
    [
        f"{FAILED}: Invalid account or account/partition combination specified",
        "sbatch: error: invalid partition specified: nope\n"
        "sbatch: error: Batch job submission failed: Invalid partition name specified",
        "sbatch: error: Memory specification can not be satisfied\n"
        "sbatch: error: Batch job submission failed: Requested node configuration is not available",
        "sbatch: error: Batch job submission failed: Invalid qos specification",
        f"sbatch: error: QOSMaxWallDurationPerJobLimit\n{FAILED}: {POLICY}",
        f"{FAILED}: {POLICY}",
        "sbatch: error: Invalid generic resource (gres) specification",
        "sbatch: unrecognized option '--nope'\nsbatch: error: Try \"sbatch --help\"",
    ],
)
def test_a_refusal_is_told_in_slurms_words(err: str) -> None:
    with pytest.raises(SubmissionRefused) as refused:
        slurm.parse_submit(said(err=err, code=1))
    last = err.splitlines()[-1].rpartition("error: ")[2]
    assert last in str(refused.value)
    assert "sbatch: error" not in str(refused.value)


@pytest.mark.parametrize(
    "err",
    [
        f"sbatch: error: AssocMaxSubmitJobLimit\n{FAILED}: {POLICY}",
        f"sbatch: error: QOSMaxSubmitJobPerUserLimit\n{FAILED}: {POLICY}",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
    ],
)
def test_too_many_jobs_are_tried_later(err: str) -> None:
    with pytest.raises(TryLater):
        slurm.parse_submit(said(err=err, code=1))


@pytest.mark.parametrize(
    "answer",
    [
        said(code=None, problem="sbatch gave no answer within 30 s"),
        said(err=f"{FAILED}: Socket timed out on send/recv operation", code=1),
        said(err=f"{FAILED}: Unable to contact slurm controller (connect failure)", code=1),
        said(err=f"{FAILED}: Zero Bytes were transmitted or received", code=1),
        said(err="slurm_persist_conn_open_without_init: failed to open", code=1),
        said("Submitted\n"),
        said(""),
        said(code=-9, problem="sbatch was ended by signal 9"),
    ],
)  # fmt: skip
def test_where_nobody_knows_it_is_said(answer: Answer) -> None:
    with pytest.raises(Unclear):
        slurm.parse_submit(answer)


def test_an_absent_sbatch_has_certainly_submitted_nothing() -> None:
    with pytest.raises(TryLater, match="not installed"):
        slurm.parse_submit(Answer(None, "", "", "sbatch is not installed here"))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"poll_s": "often"}, r"poll_s = 'often' is no number"),
        ({"max_jobs": "0"}, "max_jobs"),
        ({"misses": "2.5"}, "misses"),
        ({"extra": "rm -rf"}, "must begin with an option"),
        ({"extra": "--x='"}, "cannot be read"),
        ({"partitoin": "x"}, "'partitoin' is unknown; there are account"),
        ({"setup": "a\nb"}, "must be one line"),
    ],
)
def test_wrong_settings_are_named(section: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options.read(section)
