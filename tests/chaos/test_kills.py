"""Agent, worker and web are killed at each stage of a run; each run ends once, executed once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.chaos.lab import Lab, Work, until

VICTIMS = ("agent-0", "worker", "web")


def queued(lab: Lab) -> Work:
    """Nobody places it: the worker stands still."""
    lab.stop("worker")
    (work,) = lab.submit()
    assert lab.run_state(work) == "queued"
    return work


def assigned(lab: Lab) -> Work:
    """Handed to a cluster whose agent does not hear of it: that stands still."""
    lab.stop("agent-0")
    (work,) = lab.submit()
    lab.reach(work, "assigned")
    return work


def preparing(lab: Lab) -> Work:
    (work,) = lab.submit("prepare")
    until(lambda: work.began("prepare"), lambda: lab.story(work))
    return work


def running(lab: Lab) -> Work:
    (work,) = lab.submit("run")
    lab.reach(work, "running")
    until(lambda: work.began("run"), lambda: lab.story(work))
    return work


def validating(lab: Lab) -> Work:
    (work,) = lab.submit("judge")
    until(lambda: work.began("judge"), lambda: lab.story(work))
    return work


def unreported(lab: Lab) -> Work:
    """The agent has the result, and no way to say so."""
    work = running(lab)
    lab.proxy.close()
    work.release()
    until(lambda: "finished" in lab.phases(), lambda: lab.story(work))
    return work


def unanswered(lab: Lab) -> Work:
    """The portal has stored the result, and the agent does not know."""
    work = running(lab)
    lab.proxy.losing = True
    work.release()
    until(lambda: lab.state(work) == "valid", lambda: lab.story(work))
    assert "finished" in lab.phases()
    return work


STAGES = (queued, assigned, preparing, running, validating, unreported, unanswered)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_and_restarted(lab: Lab, victim: str, stage: Callable[[Lab], Work]) -> None:
    work = stage(lab)
    lab.kill(victim)
    lab.restart(victim)
    lab.tidy()
    lab.ended_once(work)


def test_everything_is_killed_at_once(lab: Lab) -> None:
    works = [running(lab), validating(lab), preparing(lab)]
    for name in ("web", "worker", "beat", "agent-0"):
        lab.kill(name)
    lab.tidy()
    lab.ended_once(*works)


def test_parts_are_killed_again_and_again_while_work_goes_through(lab: Lab) -> None:
    works = lab.submit(count=24, seconds=0.05)
    for _ in range(2):
        for victim in VICTIMS:
            done = sum(lab.state(work) == "valid" for work in works)
            lab.kill(victim)
            lab.restart(victim)
            more = min(done + 2, len(works))
            until(
                lambda more=more: sum(lab.state(w) == "valid" for w in works) >= more,
                lambda: lab.story(next(w for w in works if lab.state(w) != "valid")),
            )
    lab.ended_once(*works)


def test_cancelled_while_the_agent_is_away(lab: Lab) -> None:
    begun = running(lab)
    lab.kill("agent-0")
    assert lab.cancel(begun)
    lab.restart("agent-0")
    lab.ended_once(begun, state="cancelled")


def test_cancelled_before_the_agent_hears_of_it(lab: Lab) -> None:
    lab.proxy.losing = True
    (work,) = lab.submit()
    lab.reach(work, "assigned")
    assert lab.cancel(work)
    lab.proxy.losing = False
    lab.ended_once(work, state="cancelled", executions=0)


def test_cancelled_while_the_agent_stands_still(lab: Lab) -> None:
    """It may have been told of the run, and not yet of the cancel."""
    lab.stop("agent-0")
    (work,) = lab.submit("run")
    lab.reach(work, "assigned")
    assert lab.cancel(work)
    lab.go_on("agent-0")
    lab.reach(work, "cancelled")
    lab.ended_once(work, state="cancelled", executions=work.executions)
    assert work.executions <= 1


def test_cancelled_too_late(lab: Lab) -> None:
    """The agent has the result already, and whichever it recorded first counts."""
    work = unreported(lab)
    assert lab.cancel(work)
    lab.proxy.open = True
    lab.ended_once(work)
