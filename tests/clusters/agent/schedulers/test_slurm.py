"""Slurm's language: what is asked, and what is read in answers of several versions."""

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
from clusters.agent.schedulers.base import Ending, Job, Status, SubmissionRefused, TryLater
from clusters.agent.schedulers.dialect import Submission, Unclear
from clusters.agent.schedulers.options import Options
from clusters.agent.schedulers.scripts import job_script
from clusters.agent.schedulers.slurm import Slurm

US = "\x1f"
FAILED = "sbatch: error: Batch job submission failed"
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
slurm = Slurm()


def job(folder: Path = Path("/work/1"), **asked: Any) -> Job:
    resources = Resources(**{"tasks": 1, **asked})
    return Job(
        ("r1", 1), folder, folder.with_name(".1"), ("pw.x",), {}, "o.out", resources=resources
    )


def submission(*jobs: Job, output: str = "/work/spool/x.out") -> Submission:
    return Submission("lab-r1-1", "C-1", jobs, Path("/work/spool/x.sh"), Path(output))


def said(out: str = "", err: str = "", code: int | None = 0, problem: str = "") -> Answer:
    return Answer(code, out, err, problem, 0.1)


def asked_of(dialect: Slurm = slurm, **asked: Any) -> list[str]:
    return dialect.submit_arguments(submission(job(**asked)))


# Submitting


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
    assert words[-1] == "/work/spool/x.sh"


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


# Watching


def queue(*rows: tuple[str, ...]) -> str:
    return "".join(US.join(row) + "\n" for row in rows)


def row(
    id: str = "7", state: str = "RUNNING", reason: str = "None", **more: str
) -> tuple[str, ...]:
    fields = {"start": "1795263415", "end": "N/A", "partition": "debug", "nodes": "node1"}
    fields |= {"submitted": "1795263414", "name": "lab-r1-1"} | more
    return (id, state, reason, *fields.values())


def test_one_question_asks_for_all_and_names_a_single_job_twice() -> None:
    assert "--jobs=7,7" in slurm.poll_arguments(["7"])
    assert "--jobs=9,12" in slurm.poll_arguments(["12_4", "9", "12_10"])


@pytest.mark.parametrize(
    ("state", "status", "ending"),
    [
        ("PENDING", Status.PENDING, Ending.NORMAL),
        ("CONFIGURING", Status.PENDING, Ending.NORMAL),
        ("RUNNING", Status.ALIVE, Ending.NORMAL),
        ("COMPLETING", Status.ALIVE, Ending.NORMAL),
        ("SUSPENDED", Status.ALIVE, Ending.NORMAL),
        ("COMPLETED", Status.ENDED, Ending.NORMAL),
        ("FAILED", Status.ENDED, Ending.NORMAL),
        ("CANCELLED", Status.ENDED, Ending.CANCELLED),
        ("TIMEOUT", Status.ENDED, Ending.TIMEOUT),
        ("OUT_OF_MEMORY", Status.ENDED, Ending.OUT_OF_MEMORY),
        ("NODE_FAIL", Status.ENDED, Ending.NODE_FAIL),
        ("BOOT_FAIL", Status.ENDED, Ending.NODE_FAIL),
        ("PREEMPTED", Status.ENDED, Ending.PREEMPTED),
        ("RD", Status.UNKNOWN, Ending.NORMAL),
        ("HIBERNATING", Status.UNKNOWN, Ending.NORMAL),
    ],
)
def test_states(state: str, status: Status, ending: Ending) -> None:
    found = slurm.parse_poll(said(queue(row(state=state))))
    assert found is not None
    assert (found["7"].status, found["7"].ending, found["7"].state) == (status, ending, state)


def test_a_job_that_waits_says_why_and_until_when() -> None:
    waits = row(state="PENDING", reason="Resources", start="1795263999", nodes="")
    found = slurm.parse_poll(said(queue(waits)))["7"]  # type: ignore[index]
    assert found.reason == "Resources"
    assert "free" in found.text
    assert (found.expected_start, found.started_at) == (1795263999.0, None)
    assert (found.partition, found.submitted_at, found.refused) == ("debug", 1795263414.0, "")
    other = slurm.parse_poll(said(queue(row(state="PENDING", reason="NewReason", start="N/A"))))
    assert other["7"].text == "the scheduler says NewReason"  # type: ignore[index]
    assert other["7"].expected_start is None  # type: ignore[index]


@pytest.mark.parametrize(
    "reason",
    ["PartitionTimeLimit", "PartitionConfig", "AccountNotAllowed", "QOSMaxWallDurationPerJobLimit",
     "QOSMaxMemoryPerJob", "BadConstraints", "InvalidQOS", "AssocMaxCpuPerJobLimit",
     "Job's account not permitted to use this partition (closed allows nobody not lab)"],
)  # fmt: skip
def test_what_would_wait_for_ever_is_refused_with_slurms_word(reason: str) -> None:
    found = slurm.parse_poll(said(queue(row(state="PENDING", reason=reason))))
    assert reason in found["7"].refused  # type: ignore[index]


@pytest.mark.parametrize(
    "reason",
    ["Resources", "Priority", "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "Dependency",
     "ReqNodeNotAvail, UnavailableNodes:node[1-9]", "PartitionDown", "Licenses"],
)  # fmt: skip
def test_what_comes_by_waiting_is_waited_for(reason: str) -> None:
    found = slurm.parse_poll(said(queue(row(state="PENDING", reason=reason))))
    assert found["7"].refused == ""  # type: ignore[index]
    assert found["7"].text  # type: ignore[index]


def test_a_launch_that_failed_and_is_held_is_the_nodes_fault() -> None:
    held = row(state="PENDING", reason="launch failed requeued held")
    found = slurm.parse_poll(said(queue(held)))["7"]  # type: ignore[index]
    assert (found.status, found.ending) == (Status.ENDED, Ending.NODE_FAIL)


@pytest.mark.parametrize(
    "answer",
    [
        said(
            err="slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
            code=1,
        ),
        said(err="slurm_load_jobs error: Socket timed out on send/recv operation", code=1),
        said(queue(row()), code=None, problem="squeue gave no answer within 30 s"),
        said(queue(row()), problem="squeue said more than 8 bytes"),
        said(code=127),
    ],
)
def test_no_answer_is_no_empty_answer(answer: Answer) -> None:
    assert slurm.parse_poll(answer) is None
    assert slurm.parse_accounting(answer) is None
    assert slurm.parse_lookup(answer) is None
    assert slurm.parse_history(answer) is None


def test_ids_that_the_controller_knows_no_longer_are_an_answer() -> None:
    assert (
        slurm.parse_poll(said(err="slurm_load_jobs error: Invalid job id specified", code=1)) == {}
    )


def test_cut_and_odd_lines_are_passed_over() -> None:
    whole = queue(row("7"), row("8"))
    odd = "squeue: a warning\n" + US.join(["9", "RUNNING"]) + "\n"
    assert set(slurm.parse_poll(said(odd + whole[:-4])) or ()) == {"7"}
    assert set(slurm.parse_poll(said(odd + whole)) or ()) == {"7", "8"}


@given(st.text())
def test_any_text_is_read_without_harm(text: str) -> None:
    for answer in (said(text), said(text + "\n"), said(text.replace("a", US) + "\n", text, 1)):
        slurm.parse_poll(answer)
        slurm.parse_accounting(answer)
        slurm.parse_spare_accounting(answer)
        slurm.parse_lookup(answer)
        slurm.parse_history(answer)
        slurm.parse_limits([answer, answer])
        slurm.parse_occupancy([answer, answer])
        slurm.parse_version(answer)
        slurm.ending_in(text)


# The books

BOOKED = queue(
    ("12_3", "lab-array-x", "FAILED", "2:0", "61", "01:02:03.500", "", "node[1-2]",
     "1795263414", "1795263415", "1795263476"),
    ("12_3.batch", "batch", "FAILED", "2:0", "61", "00:01.000", "4448K", "node1", "1", "1", "1"),
    ("12_3.0", "pw.x", "COMPLETED", "0:0", "60", "1-00:00:00", "1.5G", "node[1-2]", "1", "1", "1"),
    ("13", "lab-r2-1", "CANCELLED by 1000", "0:15", "0", "00:00:00", "", "None assigned",
     "1795263414", "Unknown", "2026-11-21T12:16:56"),
    ("14", "lab-r3-1", "RUNNING", "0:0", "5", "00:00:00", "", "node1", "1795263414", "1795263415",
     "Unknown"),
    ("15", "lab-r4-1", "FAILED", "0:9", "5", "00:00:00", "", "node1", "1", "1", "2"),
    ("15.batch", "batch", "OUT_OF_MEMORY", "0:125", "5", "00:00", "900M", "node1", "1", "1", "2"),
)  # fmt: skip


def test_the_books_tell_time_memory_and_how_it_ended() -> None:
    books = slurm.parse_accounting(said(BOOKED))
    assert books is not None
    task = books["12_3"]
    assert (task.state, task.ended, task.exit_code, task.signal) == ("FAILED", True, 2, None)
    assert (task.elapsed_s, task.cpu_s, task.max_rss_mib) == (61.0, 3723.5, 1536.0)
    assert (task.nodes, task.name) == ("node[1-2]", "lab-array-x")
    assert (task.submitted_at, task.finished_at) == (1795263414.0, 1795263476.0)
    assert len(task.evidence) == 3
    cancelled = books["13"]
    assert (cancelled.ending, cancelled.exit_code, cancelled.signal) == (Ending.CANCELLED, 143, 15)
    assert (cancelled.nodes, cancelled.started_at) == ("", None)
    assert cancelled.finished_at is not None
    assert not books["14"].ended
    assert books["15"].ending is Ending.OUT_OF_MEMORY
    assert set(books) == {"12_3", "13", "14", "15"}


def test_a_site_without_books_is_asked_by_its_controller() -> None:
    refused = said(err="Slurm accounting storage is disabled", code=1)
    assert slurm.parse_accounting(refused) is None
    assert slurm.spare_accounting_arguments(["7"]) == ["scontrol", "show", "job", "-o", "7"]
    assert slurm.spare_accounting_arguments(["7", "8"]) == ["scontrol", "show", "job", "-o"]
    text = (
        "JobId=7 JobName=lab-r1-1 UserId=root(0) JobState=FAILED Reason=NonZeroExitCode "
        "ExitCode=3:0 SubmitTime=1795263414 StartTime=1795263415 EndTime=1795263476 "
        "NodeList=node1 Command=a b\n"
        "JobId=9 ArrayJobId=8 ArrayTaskId=1 JobName=x JobState=TIMEOUT ExitCode=0:15\n"
        "JobId=10 ArrayJobId=8 ArrayTaskId=2-9 JobName=x JobState=PENDING\n"
        "something else\n"
    )
    books = slurm.parse_spare_accounting(said(text))
    assert books is not None
    assert (books["7"].exit_code, books["7"].elapsed_s, books["7"].nodes) == (3, 61.0, "node1")
    assert (books["8_1"].ending, books["8_1"].exit_code) == (Ending.TIMEOUT, 143)
    assert not books["10"].ended
    gone = said(err="slurm_load_jobs error: Invalid job id specified", code=1)
    assert slurm.parse_spare_accounting(gone) == {}


@pytest.mark.parametrize(
    ("line", "ending"),
    [
        ("slurmstepd: error: StepId=2.batch exceeded memory limit (9 > 5), being killed",
         Ending.OUT_OF_MEMORY),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=2.batch", Ending.OUT_OF_MEMORY),
        ("slurmstepd: error: Exceeded job memory limit", Ending.OUT_OF_MEMORY),
        ("slurmstepd: error: *** JOB 3 ON n CANCELLED AT 2026-11-21T12:45:02 DUE TO TIME LIMIT ***",
         Ending.TIMEOUT),
        ("slurmstepd: error: *** JOB 3 ON n CANCELLED AT 2026-11-21T12:45:02 ***", Ending.NORMAL),
        ("", Ending.NORMAL),
    ],
)  # fmt: skip
def test_what_slurm_writes_into_the_output(line: str, ending: Ending) -> None:
    assert slurm.ending_in(f"before\n{line}\n") is ending


# Finding again, and the site


def test_jobs_are_found_again_by_name_each_id_once() -> None:
    text = queue(("12", "lab-array-x"), ("12", "lab-array-x"), ("9", "lab-r1-1"), ("8", "lab-r1-1"))
    assert slurm.parse_lookup(said(text)) == {"lab-array-x": ["12"], "lab-r1-1": ["8", "9"]}
    text = queue(("12_3", "lab-array-x"), ("12_[4-9]", "lab-array-x"))
    assert slurm.parse_history(said(text)) == {"lab-array-x": ["12"]}
    assert "--name=a,b" in slurm.lookup_arguments(["a", "b"])


def test_the_sites_limits_are_those_of_its_largest_nodes() -> None:
    nodes = queue(
        ("debug*", "up", "1:00:00", "1-infinite", "4", "4000", "(null)"),
        ("debug*", "up", "1:00:00", "1-infinite", "64+", "256000+", "gpu:h200:2(S:0-1),gpu:a100:4"),
        ("long", "up", "7-00:00:00", "1-8", "4", "4000", "gpu:2"),
        ("free", "up", "infinite", "1-infinite", "4", "4000", "(null)"),
        ("old", "down", "1:00:00", "1-infinite", "4", "4000", "(null)"),
    )
    limits = slurm.parse_limits([said(nodes), said("lab|normal,high|normal\nother|normal|\n")])
    assert limits is not None
    debug, long, free = limits["partitions"]
    assert debug == {
        "name": "debug", "max_walltime_s": 3600.0, "max_nodes": None, "cores_per_node": 64,
        "memory_per_node_mib": 256000, "gpus_per_node": 6, "default": True,
    }  # fmt: skip
    assert (long["max_walltime_s"], long["max_nodes"], long["gpus_per_node"]) == (604800.0, 8, 2)
    assert free["max_walltime_s"] is None
    assert (limits["accounts"], limits["qos"]) == (["lab", "other"], ["high", "normal"])
    without_books = slurm.parse_limits([said(nodes), said(err="disabled", code=1)])
    assert without_books["accounts"] == []  # type: ignore[index]
    assert slurm.parse_limits([said(code=1), said()]) is None


def test_each_node_counts_once() -> None:
    nodes = queue(
        ("n1", "idle", "0/4/0/4"), ("n1", "idle", "0/4/0/4"), ("n2", "mixed", "2/2/0/4"),
        ("n3", "allocated", "4/0/0/4"), ("n4", "down*", "0/0/4/4"), ("n5", "idle~", "0/4/0/4"),
        ("n6", "draining", "1/0/3/4"),
    )  # fmt: skip
    found = slurm.parse_occupancy([said(nodes), said("Jobs pending:   7\nJobs running:   3\n")])
    assert found == {
        "nodes": {"idle": 2, "allocated": 1, "mixed": 1, "down": 2},
        "cores": {"idle": 10, "allocated": 7, "total": 24},
        "jobs": {"running": 3, "pending": 7},
    }


@pytest.mark.parametrize(
    ("out", "version"),
    [("slurm 22.05.8\n", "22.05.8"), ("slurm-wlm 24.11.0-0rc1\n", "24.11.0-0rc1")],
)
def test_versions(out: str, version: str) -> None:
    assert slurm.parse_version(said(out)) == version


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
