"""Slurm's answers, of several versions: states, reasons, books, limits; cut ones and odd ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Ending, Status
from clusters.agent.schedulers.slurm import Slurm

US = "\x1f"
slurm = Slurm()


def said(out: str = "", err: str = "", code: int | None = 0, problem: str = "") -> Answer:
    return Answer(code, out, err, problem, 0.1)


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


CANCELS = queue(
    ("80", "lab-a-1", "CANCELLED by 0", "0:0", "0", "00:00:00", "", "node1", "1", "1", "1"),
    ("80.batch", "batch", "CANCELLED", "0:0", "0", "00:00:00", "", "node1", "1", "1", "1"),
    ("81", "lab-b-1", "CANCELLED by 0", "0:0", "0", "00:00:00", "", "None assigned", "1", "1", "1"),
    ("82", "lab-c-1", "CANCELLED by 1000", "0:0", "0", "00:00:00", "", "node1", "1", "1", "1"),
    ("82.batch", "batch", "CANCELLED", "0:0", "0", "00:00:00", "", "node1", "1", "1", "1"),
    ("83", "lab-d-1", "CANCELLED", "0:0", "0", "00:00:00", "", "None assigned", "1", "1", "1"),
)  # fmt: skip


def test_what_slurm_itself_cancels_is_told_from_what_people_cancel() -> None:
    books = slurm.parse_accounting(said(CANCELS))
    assert books is not None
    assert {id for id, job in books.items() if job.unasked} == {"80", "83"}


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
