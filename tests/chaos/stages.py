"""Runs brought to each stage of their life and held there, at the site where a scenario plays."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos.book import Work, until
from tests.chaos.lab import Lab


def submit(lab: Lab) -> Work:
    """Nobody places it: the worker stands still."""
    lab.stop("worker")
    (work,) = lab.submit()
    assert lab.run_state(work) == "queued"
    return work


def placed(lab: Lab) -> Work:
    """Handed to a cluster whose agent does not hear of it: that stands still."""
    lab.stop("agent")
    (work,) = lab.submit()
    lab.reach(work, "assigned")
    return work


def prepare(lab: Lab) -> Work:
    (work,) = lab.submit("prepare")
    lab.begins(work, "prepare")
    return work


def run(lab: Lab) -> Work:
    (work,) = lab.submit("run")
    lab.reach(work, "running")
    lab.begins(work, "run")
    return work


def judge(lab: Lab) -> Work:
    (work,) = lab.submit("judge")
    lab.begins(work, "judge")
    return work


def upload(lab: Lab) -> Work:
    """A file is on its way to the portal and does not arrive yet."""
    lab.proxy.faults.hold = b"/files/kept.txt"
    held = lab.proxy.held
    (work,) = lab.submit(keep=300_000)
    until(lambda: lab.proxy.held > held, lambda: lab.story(work))
    return work


def report(lab: Lab) -> Work:
    """The agent has the result, and no way to say so."""
    work = run(lab)
    lab.proxy.close()
    work.release()
    until(lambda: "finished" in lab.phases(), lambda: lab.story(work))
    return work


def close(lab: Lab) -> Work:
    """The portal has stored the result, and the agent does not know."""
    work = run(lab)
    lab.proxy.faults.losing = True
    work.release()
    until(lambda: lab.state(work) == "valid", lambda: lab.story(work))
    assert "finished" in lab.phases()
    return work


STAGES: dict[str, Callable[[Lab], Work]] = {
    stage.__name__: stage for stage in (submit, placed, prepare, run, judge, upload, report, close)
}
