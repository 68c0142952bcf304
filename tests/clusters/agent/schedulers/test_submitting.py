"""Each job is brought into the queue once, whoever is killed when; what is unclear is looked up."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Sequence
from typing import Any

import pytest

from clusters.agent.commands import Answer
from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import (
    Ending,
    Job,
    Status,
    SubmissionRefused,
    TryLater,
    Unanswered,
)
from clusters.agent.schedulers.scripts import (
    INTENT,
    SUBMITTED,
    read_note,
    read_tries,
    write_tries,
)
from tests.clusters.agent.schedulers.scripted import HUNG, SILENT, MakeJob, Site, end, started


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
    site.now += 20
    assert site.scheduler.start(one) == "1"
    assert site.count("sbatch") == 2


def never_answered(site: Site, job: MakeJob) -> tuple[Job, list[float]]:
    """Submit until it is given up; return the job and when it was submitted."""
    one, moments = job(), []
    site.instead["sbatch"] = SILENT
    for _ in range(200):
        submitted = site.count("sbatch")
        try:
            site.scheduler.start(one)
        except TryLater:
            moments += [site.now] * (site.count("sbatch") - submitted)
        except Unanswered as error:
            assert "no answer to 5 submissions" in str(error)
            return one, moments
        site.now += 5
    raise AssertionError("it was never given up")


def test_a_submission_that_nobody_answers_is_given_up_after_five_tries(
    site: Site, job: MakeJob
) -> None:
    one, moments = never_answered(site, job)
    pauses = [later - sooner for sooner, later in itertools.pairwise(moments)]
    assert pauses == [25, 45, 85, 165]  # the first look takes place 5 s later
    assert site.scheduler.withdraw(one) == ""
    assert marks.has_begun(one.control)  # whatever appears in the queue now runs nothing


def test_tries_are_counted_by_whoever_makes_them(site: Site, job: MakeJob) -> None:
    one = job()
    site.instead["sbatch"] = SILENT
    for tries in range(1, 4):
        site.scheduler = site.agent()
        for _ in range(2):  # looked up, and submitted
            with pytest.raises(TryLater):
                site.scheduler.start(one)
            site.now += 100
        assert read_tries(one.control) == tries


def test_nothing_is_given_up_while_the_queue_cannot_be_asked(site: Site, job: MakeJob) -> None:
    one = job()
    site.instead["sbatch"] = SILENT
    with pytest.raises(TryLater):
        site.scheduler.start(one)
    write_tries(one.control, 5)
    site.instead["squeue"] = SILENT
    for _ in range(5):
        site.now += 1000
        with pytest.raises(TryLater, match="does not say"):
            site.scheduler.start(one)
    assert not marks.has_begun(one.control)


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
