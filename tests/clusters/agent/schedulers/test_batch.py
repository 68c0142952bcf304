"""What is concluded of batch jobs: from their marks, the queue, the books, and from silence."""

from __future__ import annotations

import pytest

from clusters.agent.commands import Answer
from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import Ending, Status
from tests.clusters.agent.schedulers.scripted import (
    HUNG,
    SILENT,
    MakeJob,
    Site,
    begin,
    end,
    started,
)


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


def test_books_that_have_not_heard_yet_are_given_their_time(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    end(one, 0)
    site.jobs["1"]["state"] = "COMPLETED"
    site.pass_s(50)
    assert stands().status is Status.ALIVE
    site.books["1"] = "COMPLETED"
    site.pass_s(3)
    assert (stands().status, stands().exit_code) == (Status.ENDED, 0)
    assert stands().cpu_s == 8.0


def test_what_the_books_never_hear_of_ends_all_the_same(site: Site, job: MakeJob) -> None:
    one = job()
    stands = started(site, one)
    end(one, 0)
    site.jobs["1"]["state"] = "COMPLETED"
    site.pass_s(70)
    assert (stands().status, stands().exit_code) == (Status.ENDED, 0)


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
    ("state", "status", "ending"),
    [
        ("CANCELLED by 1000", Status.ENDED, Ending.CANCELLED),
        ("CANCELLED", Status.VANISHED, Ending.NORMAL),  # by a controller that lost its state
    ],
)
def test_a_job_that_ended_before_it_began_was_cancelled_or_is_lost(
    site: Site, job: MakeJob, state: str, status: Status, ending: Ending
) -> None:
    stands = started(site, job())
    del site.jobs["1"]
    site.books["1"], site.elapsed = state, "0"
    site.pass_s(80)
    assert (stands().status, stands().ending) == (status, ending)
    assert status is Status.ENDED or "never began its work" in stands().why


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


@pytest.mark.parametrize("code", [None, 137, 143])
@pytest.mark.parametrize(
    ("began", "status"), [("9999999999", Status.VANISHED), ("2", Status.ENDED)]
)
def test_a_job_that_began_before_a_controller_without_memory_started_it_is_lost(
    site: Site, job: MakeJob, code: int | None, began: str, status: Status
) -> None:
    one = job()
    stands = started(site, one)
    begin(one)
    if code is not None:
        end(one, code)
    del site.jobs["1"]
    site.books["1"], site.elapsed, site.began = "CANCELLED", "0", began
    site.pass_s(80)
    assert stands().status is status
    if status is Status.ENDED:
        assert stands().ending is Ending.CANCELLED
    else:
        assert "the scheduler says CANCELLED" in stands().why


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


# The site


def test_the_site_is_surveyed_and_its_limits_are_remembered_for_agents_that_come_for_a_moment(
    site: Site,
) -> None:
    site.scheduler.survey()
    about = site.scheduler.about()
    assert (about["version"], about["limits"]["partitions"][0]["name"]) == ("22.05.8", "debug")
    assert site.scheduler.site()["cores"] == {"idle": 4, "allocated": 0, "total": 4}  # type: ignore[index]
    asked = site.count("sacctmgr")
    other = site.agent()
    other.survey()
    assert other.about()["limits"] == about["limits"]
    assert site.count("sacctmgr") == asked
    site.now += 601
    site.agent().survey()
    assert site.count("sacctmgr") == asked + 1


def test_silence_is_noticed_without_any_job(site: Site) -> None:
    site.instead["sinfo"] = SILENT
    site.scheduler.survey()
    assert not site.scheduler.about()["answers"]
    assert "Unable to contact" in site.scheduler.about()["problem"]
    del site.instead["sinfo"]
    site.now += 61
    site.scheduler.survey()
    assert site.scheduler.about()["answers"]


def test_an_agent_that_comes_for_a_moment_stays_until_the_queue_has_been_asked(
    site: Site, job: MakeJob
) -> None:
    one = job()
    site.scheduler.start(one)
    visitor = site.scheduler = site.agent()
    assert not visitor.settling()
    visitor.watch(one)
    assert visitor.settling()
    site.pass_s(1)
    assert not visitor.settling()
    end(one)
    site.books["1"] = "RUNNING"
    site.pass_s(1)
    assert visitor.settling()
    site.books["1"] = "COMPLETED"
    site.pass_s(2)
    assert not visitor.settling()
