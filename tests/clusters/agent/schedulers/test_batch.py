"""What is concluded of batch jobs, and that each is submitted once: a scheduler that answers by a
script, and a clock that the test turns.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from calculations.software.base import Resources
from clusters.agent.commands import Answer
from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import (
    Ending,
    Job,
    Standing,
    Status,
    SubmissionRefused,
    TryLater,
)
from clusters.agent.schedulers.batch import BatchScheduler
from clusters.agent.schedulers.options import Options
from clusters.agent.schedulers.scripts import INTENT, SUBMITTED, read_note
from clusters.agent.schedulers.slurm import Slurm

US = "\x1f"
SILENT = Answer(1, "", "slurm_load_jobs error: Unable to contact slurm controller", "", 0.1)
HUNG = Answer(None, "", "", "gave no answer within 30 s", 30.0)


class Site:
    """Slurm by script: jobs with their states; each program may be told to answer otherwise."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.calls: list[list[str]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.books: dict[str, str] = {}  # state by id
        self.instead: dict[str, Answer] = {}
        self.numbers = itertools.count(1)
        self.keeps_books = True
        self.folder = folder
        self.scheduler = self.agent()

    def agent(self, **options: Any) -> BatchScheduler:
        """Another process of the agent, which remembers nothing."""
        dialect = Slurm(Options(poll_s=10, missing_s=60, patience_s=60, misses=3, **options))
        return BatchScheduler(
            dialect, self.folder / "spool", call=self.call, clock=lambda: self.now,
            wall=lambda: 5000.0 + self.now,
        )  # fmt: skip

    def call(self, arguments: Sequence[str], **_: Any) -> Answer:
        self.calls.append(list(arguments))
        program = arguments[0]
        found = self.instead.get(program)
        if program == "sbatch" and (found is None or found is HUNG):
            id = self._take(arguments)
            return found or Answer(0, f"{id}\n", "", "", 0.1)
        if found is not None:
            return found
        return getattr(self, f"_{program}", lambda _: Answer(0, "", "", "", 0.1))(arguments)

    def _take(self, arguments: Sequence[str]) -> str:
        options = dict(a.split("=", 1) for a in arguments if a.startswith("--") and "=" in a)
        id, name = str(next(self.numbers)), options["--job-name"]
        ids = [id]
        if "--array" in options:
            ids = [f"{id}_{n}" for n in range(int(options["--array"].split("-")[1]) + 1)]
        self.jobs.update({one: {"state": "PENDING", "name": name} for one in ids})
        return id

    def _squeue(self, arguments: Sequence[str]) -> Answer:
        names = next((a[7:].split(",") for a in arguments if a.startswith("--name=")), None)
        lines = []
        for id, job in self.jobs.items():
            if names is None:
                fields = [id, job["state"], job.get("reason", "None"), "N/A", "N/A", "debug"]
                lines.append(US.join([*fields, "node1", "N/A", job["name"]]))
            elif job["name"] in names:
                lines.append(US.join([id.partition("_")[0], job["name"]]))
        return Answer(0, "".join(line + "\n" for line in lines), "", "", 0.1)

    def _sacct(self, arguments: Sequence[str]) -> Answer:
        if not self.keeps_books:
            return Answer(1, "", "Slurm accounting storage is disabled", "", 0.1)
        if any(a.startswith("--name=") for a in arguments):
            return Answer(0, "", "", "", 0.1)
        rows = [
            US.join([id, "", state, "0:0", "9", "00:08.000", "", "node1", "1", "2", "3"]) + "\n"
            for id, state in self.books.items()
        ]
        return Answer(0, "".join(rows), "", "", 0.1)

    def _scancel(self, arguments: Sequence[str]) -> Answer:
        for id in arguments[2:]:
            if id in self.jobs:
                self.jobs[id]["state"] = self.books[id] = "CANCELLED"
        return Answer(0, "", "", "", 0.1)

    def count(self, program: str) -> int:
        return sum(arguments[0] == program for arguments in self.calls)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, with the polls that fall into it."""
        for _ in range(round(seconds)):
            self.now += 1
            self.scheduler.poll()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    numbers = itertools.count(1)

    def make(group: str = "", **asked: Any) -> Job:
        run = f"run{next(numbers)}"
        folder, control = tmp_path / run / "1", tmp_path / run / ".1"
        folder.mkdir(parents=True)
        control.mkdir()
        resources = Resources(tasks=1, **asked)
        return Job((run, 1), folder, control, ["true"], {}, "out", resources=resources, group=group)

    return make


MakeJob = Callable[..., Job]


def begin(job: Job) -> None:
    (job.control / "started").write_text("boot 1 (sh) R\n")


def end(job: Job, code: int = 0) -> None:
    begin(job)
    (job.control / "times").write_text("0m1.500s 0m0.500s\n0m0s 0m0s\n")
    (job.control / "exit").write_text(f"exit {code}\n")


def started(site: Site, job: Job) -> Callable[[], Standing]:
    site.scheduler.start(job)
    return lambda: site.scheduler.find(job)


# Watching


def test_a_job_waits_runs_and_ends(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    site.jobs["1"]["reason"] = "Priority"
    site.pass_s(1)
    assert (stands().status, stands().scheduler_id) == (Status.PENDING, "1")
    assert stands().pending["reason"] == "Priority"  # type: ignore[index]
    site.jobs["1"]["state"] = "RUNNING"
    site.pass_s(10)
    assert stands().status is Status.ALIVE
    end(one, 3)
    site.jobs["1"]["state"] = site.books["1"] = "FAILED"
    site.pass_s(3)
    assert (stands().status, stands().exit_code) == (Status.ENDED, 3)
    assert stands().ending is Ending.NORMAL
    assert stands().accounting["state"] == "FAILED"
    assert stands().cpu_s == 8.0


def test_marks_are_seen_between_two_questions(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    site.pass_s(1)
    asked = site.count("squeue")
    begin(one)
    site.pass_s(1)
    assert stands().status is Status.ALIVE
    assert site.count("squeue") == asked


def test_the_queue_is_asked_once_for_all_and_not_more_often_than_allowed(
    site: Site, job: MakeJob
) -> None:
    for _ in range(5):
        site.scheduler.start(job())
    site.pass_s(60)
    assert site.count("squeue") == 6


def test_a_clock_that_is_set_changes_nothing(site: Site, job: MakeJob) -> None:
    started(site, job())
    site.pass_s(5)
    site.scheduler.wall = lambda: -1e9
    site.pass_s(20)
    assert site.count("squeue") == 3


def test_nothing_is_concluded_from_silence(site: Site, job: MakeJob) -> None:
    stands = started(site, job())
    site.jobs["1"]["state"] = "RUNNING"
    site.pass_s(1)
    for silence in (SILENT, HUNG, Answer(0, "", "", "squeue said more than 8 bytes", 1.0)):
        site.instead["squeue"] = silence
        site.pass_s(300)
        assert stands().status is Status.ALIVE
        assert stands().unknown_since == 6001.0
        about = site.scheduler.about()
        assert not about["answers"]
        assert about["problem"]
        assert about["since"]
    del site.instead["squeue"]
    site.pass_s(10)
    assert stands().unknown_since is None
    assert site.scheduler.about()["answers"]


def test_a_job_that_is_missing_once_or_twice_is_unknown_and_comes_back(
    site: Site, job: MakeJob
) -> None:
    stands = started(site, job())
    site.jobs["1"]["state"] = "RUNNING"
    site.pass_s(1)
    hidden = site.jobs.pop("1")
    site.pass_s(20)
    assert stands().status is Status.ALIVE
    assert stands().unknown_since is not None
    site.jobs["1"] = hidden
    site.pass_s(10)
    assert (stands().status, stands().unknown_since) == (Status.ALIVE, None)


def test_three_answers_without_it_over_a_minute_and_no_books_end_it(
    site: Site, job: MakeJob
) -> None:
    stands = started(site, job())
    site.jobs["1"]["state"] = "RUNNING"
    site.pass_s(1)
    del site.jobs["1"]
    site.pass_s(60)
    assert stands().status is Status.ALIVE
    site.pass_s(20)
    assert stands().status is Status.VANISHED
    assert "knows job 1 no longer" in stands().why
    assert ["scancel", "--quiet", "1"] in site.calls  # should it be there after all


def test_a_forgotten_job_that_the_books_still_call_running_is_given_longer(
    site: Site, job: MakeJob
) -> None:
    stands = started(site, job())
    site.books["1"] = "RUNNING"
    site.pass_s(1)
    del site.jobs["1"]
    site.pass_s(300)
    assert stands().status is Status.PENDING
    site.pass_s(400)
    assert stands().status is Status.VANISHED


def test_a_forgotten_job_is_ended_by_the_books(site: Site, job: MakeJob) -> None:
    stands = started(site, job())
    site.pass_s(1)
    del site.jobs["1"]
    site.books["1"] = "TIMEOUT"
    site.pass_s(13)
    assert (stands().status, stands().ending) == (Status.ENDED, Ending.TIMEOUT)


def test_a_number_that_was_given_again_is_another_job(site: Site, job: MakeJob) -> None:
    stands = started(site, job())
    site.jobs["1"] = {"state": "COMPLETED", "name": "somebody else's"}
    site.pass_s(20)
    assert stands().status is Status.PENDING
    assert stands().unknown_since is not None


def test_misses_are_remembered_by_agents_that_stay_for_a_moment(site: Site, job: MakeJob) -> None:
    one = job()
    started(site, one)
    del site.jobs["1"]
    for _ in range(4):
        site.scheduler = site.agent()
        site.scheduler.watch(one)
        site.pass_s(1)
        site.now += 30
    assert site.scheduler.find(one).status is Status.VANISHED


@pytest.mark.parametrize("state", ["HIBERNATING", "RD", "???"])
def test_an_unknown_state_keeps_the_last_one(
    site: Site, job: MakeJob, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    stands = started(site, job())
    site.jobs["1"]["state"] = "RUNNING"
    site.pass_s(1)
    site.jobs["1"]["state"] = state
    site.pass_s(100)
    assert (stands().status, stands().unknown_since) == (Status.ALIVE, None)
    assert caplog.text.count(f"state '{state}' is unknown") == 1


@pytest.mark.parametrize(
    ("state", "code", "ending"),
    [
        ("TIMEOUT", None, Ending.TIMEOUT),
        ("TIMEOUT", 143, Ending.TIMEOUT),
        ("TIMEOUT", 0, Ending.NORMAL),  # it was done in its last moment
        ("OUT_OF_MEMORY", 137, Ending.OUT_OF_MEMORY),
        ("NODE_FAIL", None, Ending.NODE_FAIL),
        ("PREEMPTED", 143, Ending.PREEMPTED),
        ("CANCELLED", None, Ending.CANCELLED),
        ("CANCELLED", 0, Ending.NORMAL),
        ("COMPLETED", 0, Ending.NORMAL),
    ],
)
def test_endings(site: Site, job: MakeJob, state: str, code: int | None, ending: Ending) -> None:
    one = job()
    stands = started(site, one)
    begin(one)
    site.pass_s(1)
    if code is not None:
        end(one, code)
    site.jobs["1"]["state"] = site.books["1"] = state
    site.pass_s(13)
    assert (stands().status, stands().ending) == (Status.ENDED, ending)
    assert stands().accounting["state"] == state
    if ending in (Ending.NODE_FAIL, Ending.PREEMPTED):
        assert f"the scheduler says {state} of job 1" in stands().why


def test_the_books_are_waited_for_but_not_for_ever(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    site.books["1"] = "RUNNING"
    end(one)
    site.pass_s(50)
    assert stands().status is Status.ALIVE
    site.pass_s(20)
    assert (stands().status, stands().exit_code) == (Status.ENDED, 0)


def test_an_end_without_a_marker_is_no_result(site: Site, job: MakeJob) -> None:
    one, two = job(), job()
    stands, other = started(site, one), started(site, two)
    begin(two)
    for id in ("1", "2"):
        site.jobs[id]["state"] = site.books[id] = "FAILED"
    site.pass_s(5)
    assert stands().status is Status.ALIVE  # a shared disk may show it late
    site.pass_s(80)
    assert (stands().status, other().status) == (Status.VANISHED, Status.VANISHED)
    assert "never began its work" in stands().why
    assert "without an exit marker" in other().why


def test_a_job_that_is_put_back_into_the_queue_is_over_and_taken_out(
    site: Site, job: MakeJob
) -> None:
    one = job()
    stands = started(site, one)
    site.jobs["1"]["state"] = "RUNNING"
    end(one, 143)
    site.jobs["1"]["state"] = "PENDING"
    site.pass_s(25)
    assert (stands().status, stands().ending) == (Status.ENDED, Ending.PREEMPTED)
    assert "back into the queue" in stands().why
    assert site.jobs["1"]["state"] == "CANCELLED"


def test_what_waits_for_ever_is_taken_out_and_can_never_begin(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    site.jobs["1"]["reason"] = "PartitionTimeLimit"
    site.pass_s(1)
    assert (stands().status, stands().ending) == (Status.ENDED, Ending.REFUSED)
    assert "PartitionTimeLimit" in stands().why
    assert site.jobs["1"]["state"] == "CANCELLED"
    assert not marks.fence(one.control)


# Submitting


def test_alike_jobs_of_one_calculation_become_arrays(site: Site, job: MakeJob) -> None:
    jobs = [job("C-1"), job("C-2"), job("C-1"), job("C-1", cores=2), job(""), job("")]
    ids = site.scheduler.start_many(jobs)
    assert [ids[one.key] for one in jobs] == ["1_0", "2", "1_1", "3", "4", "5"]
    assert site.count("sbatch") == 5


def test_arrays_are_no_longer_than_the_site_allows(site: Site, job: MakeJob) -> None:
    ids = site.agent(array_max=2).start_many([job("C-1") for _ in range(5)])
    assert sorted(map(str, ids.values())) == ["1_0", "1_1", "2_0", "2_1", "3"]


def test_the_intent_is_on_disk_before_the_scheduler_hears_of_it(site: Site, job: MakeJob) -> None:
    one, seen = job(), []

    def call(arguments: Sequence[str], **details: Any) -> Answer:
        if arguments[0] == "sbatch":
            seen.append((read_note(one.control, INTENT), read_note(one.control, SUBMITTED)))
        return site.call(arguments, **details)

    site.scheduler._call = call
    site.scheduler.start(one)
    (intent, submitted), = seen  # fmt: skip
    assert intent is not None and intent.name == one.name
    assert submitted is None
    assert read_note(one.control, SUBMITTED).id == "1"  # type: ignore[union-attr]


@pytest.mark.parametrize("group", ["", "C-1"])
def test_killed_before_the_id_was_saved(site: Site, job: MakeJob, group: str) -> None:
    jobs = [job(group) for _ in range(3)]
    first = site.scheduler.start_many(jobs)
    for one in jobs:
        (one.control / SUBMITTED).unlink()
    site.scheduler = site.agent()
    assert all(site.scheduler.find(one).status is Status.ABSENT for one in jobs)
    assert site.scheduler.start_many(jobs) == first
    assert site.count("sbatch") == (1 if group else 3)
    assert all(site.scheduler.find(one).status is Status.PENDING for one in jobs)


def test_a_submission_without_an_answer_is_looked_up_and_found(site: Site, job: MakeJob) -> None:
    one = job()
    site.instead["sbatch"] = HUNG
    with pytest.raises(TryLater, match="nobody knows whether it was submitted"):
        site.scheduler.start(one)
    del site.instead["sbatch"]
    assert site.scheduler.start(one) == "1"
    assert site.count("sbatch") == 1


def test_one_that_never_arrived_is_submitted_again_after_a_second_look(
    site: Site, job: MakeJob
) -> None:
    one = job()
    site.instead["sbatch"] = SILENT
    for _ in range(2):
        with pytest.raises(TryLater):
            site.scheduler.start(one)
    del site.instead["sbatch"]
    with pytest.raises(TryLater, match="looked up again"):
        site.scheduler.start(one)
    site.now += 10
    assert site.scheduler.start(one) == "1"
    assert site.count("sbatch") == 2


def test_nothing_is_submitted_while_nobody_says_whether_it_was(site: Site, job: MakeJob) -> None:
    one = job()
    site.instead.update(sbatch=SILENT, squeue=SILENT)
    for _ in range(5):
        with pytest.raises(TryLater):
            site.scheduler.start(one)
        site.now += 100
    assert site.count("sbatch") == 1


def test_nothing_is_submitted_while_an_earlier_agents_command_is_under_way(
    site: Site, job: MakeJob
) -> None:
    one = job()
    site.instead["sbatch"] = SILENT
    with pytest.raises(TryLater):
        site.scheduler.start(one)
    del site.instead["sbatch"]
    held = os.open(site.folder / "spool" / f"{one.name}.lock", os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    site.scheduler = site.agent()
    for _ in range(3):
        with pytest.raises(TryLater, match="still under way"):
            site.scheduler.start(one)
        site.now += 60
    assert site.count("sbatch") == 1
    os.close(held)


def test_of_two_submissions_one_is_ended(site: Site, job: MakeJob) -> None:
    one = job()
    site.scheduler.start(one)
    site.jobs["2"] = {"state": "PENDING", "name": one.name}
    (one.control / SUBMITTED).unlink()
    assert site.agent().start(one) == "1"
    assert site.jobs["2"]["state"] == "CANCELLED"


def test_a_job_that_began_and_was_forgotten_is_not_submitted_again(
    site: Site, job: MakeJob
) -> None:
    one = job()
    site.scheduler.start(one)
    (one.control / SUBMITTED).unlink()
    site.jobs.clear()
    end(one, 5)
    site.scheduler = site.agent()
    assert site.scheduler.start(one) == ""
    site.pass_s(80)
    assert (site.scheduler.find(one).status, site.scheduler.find(one).exit_code) == (
        Status.ENDED,
        5,
    )
    assert site.count("sbatch") == 1


def test_a_refusal_leaves_nothing_behind(site: Site, job: MakeJob) -> None:
    one = job()
    site.instead["sbatch"] = Answer(1, "", "sbatch: error: Invalid account", "", 0.1)
    with pytest.raises(SubmissionRefused, match="Invalid account"):
        site.scheduler.start(one)
    assert read_note(one.control, INTENT) is None
    assert list((site.folder / "spool").iterdir()) == []


def test_a_withdrawn_job_is_taken_out_of_the_queue_and_never_begins(
    site: Site, job: MakeJob
) -> None:
    known, unknown, never = job(), job(), job()
    site.scheduler.start(known)
    site.instead["sbatch"] = HUNG
    with pytest.raises(TryLater):
        site.scheduler.start(unknown)
    assert site.scheduler.withdraw(unknown) == "2"
    assert site.scheduler.withdraw(never) == ""
    assert site.jobs["2"]["state"] == "CANCELLED"
    for one in (unknown, never):
        assert marks.has_begun(one.control)
    site.pass_s(15)
    assert site.scheduler.find(unknown).ending is Ending.CANCELLED
    assert site.jobs["1"]["state"] == "PENDING"


def test_a_withdrawal_is_not_confirmed_while_nobody_answers(site: Site, job: MakeJob) -> None:
    one = job()
    site.instead.update(sbatch=SILENT, squeue=SILENT)
    with pytest.raises(TryLater):
        site.scheduler.start(one)
    with pytest.raises(TryLater):
        site.scheduler.withdraw(one)
    assert marks.has_begun(one.control)


def test_a_stopped_job_is_over_once_the_scheduler_says_so(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    site.instead["scancel"] = SILENT
    site.scheduler.stop(one, force=False)
    site.pass_s(30)
    assert stands().status is Status.PENDING
    del site.instead["scancel"]
    site.scheduler.stop(one, force=True)
    site.pass_s(15)
    assert (stands().status, stands().ending) == (Status.ENDED, Ending.CANCELLED)


def test_a_scheduler_that_is_absent_is_said_to_be(site: Site, job: MakeJob) -> None:
    absent = Answer(None, "", "", "sbatch is not installed here, or not in the agent's PATH")
    site.instead.update(sbatch=absent, squeue=absent, sacct=absent)
    one = job()
    with pytest.raises(TryLater, match="not installed"):
        site.scheduler.start(one)
    assert read_note(one.control, INTENT) is None
