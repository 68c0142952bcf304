"""Parts are killed or stand still, one or all, once or again and again."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from bench.client import Refused
from tests.chaos.book import Work, until
from tests.chaos.lab import Lab
from tests.chaos.stages import STAGES, judge, prepare, run

Play = Callable[[Lab], None]

EVERYTHING = ("web", "worker", "beat", "agent")
STILL_S = 1.5


def killed(part: str, stage: str) -> Play:
    """kill -9, and started again at once."""

    def play(lab: Lab) -> None:
        work = STAGES[stage](lab)
        lab.kill(part)
        lab.restart(part)
        lab.tidy()
        lab.ended_once(work)

    return play


def still(part: str, stage: str) -> Play:
    """SIGSTOP, and SIGCONT a moment later; what it hinders goes on meanwhile."""

    def play(lab: Lab) -> None:
        work = STAGES[stage](lab)
        lab.stop(part)
        work.release()
        time.sleep(STILL_S)
        lab.go_on(part)
        lab.tidy()
        lab.ended_once(work)
        lab.ended_once(*lab.submit())

    return play


def all_killed(lab: Lab) -> None:
    works = [run(lab), judge(lab), prepare(lab)]
    for name in EVERYTHING:
        lab.kill(name)
    lab.tidy()
    lab.ended_once(*works)


def all_and_servers_killed(lab: Lab) -> None:
    works = [run(lab), prepare(lab)]
    for name in (*EVERYTHING, "redis", "postgres"):
        lab.kill(name)
    lab.tidy()
    lab.ended_once(*works)


def killed_again_and_again(lab: Lab) -> None:
    works = lab.submit(count=24, seconds=0.05)
    for _ in range(2):
        for victim in ("agent", "worker", "web"):
            done = _valid(lab, works)
            lab.kill(victim)
            lab.restart(victim)
            more = min(done + 2, len(works))
            until(
                lambda more=more: _valid(lab, works) >= more,
                lambda: lab.story(next(w for w in works if lab.state(w) != "valid")),
            )
    lab.ended_once(*works)


def _valid(lab: Lab, works: list[Work]) -> int:
    return sum(lab.state(work) == "valid" for work in works)


def portal_still_and_ends(lab: Lab) -> None:
    held, (waiting,) = run(lab), lab.submit("prepare")
    lab.stop("web")
    held.release()
    until(lambda: "finished" in lab.phases(), lambda: lab.story(held))
    lab.go_on("web")
    waiting.release()
    lab.ended_once(held, waiting)


def agent_still_and_ends(lab: Lab) -> None:
    works = [run(lab), run(lab)]
    lab.stop("agent")
    ended = lab.exits()
    for work in works:
        work.release()
    until(lambda: lab.exits() == ended + 2, lambda: lab.story(works[0]))
    lab.go_on("agent")
    lab.ended_once(*works)


def no_worker(lab: Lab) -> None:
    lab.kill("worker")
    works = lab.submit(count=3)
    assert {lab.run_state(work) for work in works} == {"queued"}
    lab.restart("worker")
    lab.ended_once(*works)


# Cancelled meanwhile


def cancelled_agent_away(lab: Lab) -> None:
    begun = run(lab)
    lab.kill("agent")
    assert lab.cancel(begun)
    lab.restart("agent")
    lab.ended_once(begun, state="cancelled")


def cancelled_unheard(lab: Lab) -> None:
    lab.proxy.faults.losing = True
    (work,) = lab.submit()
    lab.reach(work, "assigned")
    assert lab.cancel(work)
    lab.proxy.mend()
    lab.ended_once(work, state="cancelled", executions=0)


def cancelled_agent_still(lab: Lab) -> None:
    """It may have been told of the run, and not yet of the cancel."""
    lab.stop("agent")
    (work,) = lab.submit("run")
    lab.reach(work, "assigned")
    assert lab.cancel(work)
    lab.go_on("agent")
    lab.reach(work, "cancelled")
    lab.ended_once(work, state="cancelled", executions=work.executions)
    assert work.executions <= 1


def cancelled_too_late(lab: Lab) -> None:
    """The agent has the result already, and whichever it recorded first counts."""
    work = STAGES["report"](lab)
    assert lab.cancel(work)
    lab.proxy.mend()
    lab.ended_once(work)


# Servers


def redis_away(lab: Lab) -> None:
    """Exchanges need PostgreSQL alone; what is submitted meanwhile is placed by the beat."""
    held = [run(lab), judge(lab)]
    lab.kill("redis")
    for work in held:
        work.release()
    lab.ended_once(*held)
    began = time.monotonic()
    (late,) = lab.submit()
    assert time.monotonic() - began < 10, "a request must not wait long for a lost broker"
    lab.restart("redis")
    lab.ended_once(late)


def redis_emptied(lab: Lab) -> None:
    """Tasks and marks are gone; the beat asks for the placement again."""
    held, lost = prepare(lab), STAGES["submit"](lab)
    lab.kill("redis")
    for file in (lab.stack.home / "redis").glob("appendonly*"):
        file.unlink()
    lab.restart("redis")
    lab.go_on("worker")
    held.release()
    lab.ended_once(held, lost)


def task_lost(lab: Lab) -> None:
    """Placement was asked for, and the task was lost before a worker took it."""
    lab.stop("worker")
    (work,) = lab.submit()
    with lab.redis() as redis:
        redis.set("labportal:place", 1)
        redis.delete("labportal")
    lab.go_on("worker")
    lab.ended_once(work)


def postgres_killed_everywhere(lab: Lab) -> None:
    works = [prepare(lab), run(lab), judge(lab), STAGES["placed"](lab)]
    lab.kill("postgres")
    lab.go_on("agent")
    for work in works:
        work.release()
    until(lambda: "finished" in lab.phases(), "the agent has results and nobody to take them")
    lab.restart("postgres")
    lab.ended_once(*works)
    lab.ended_once(*lab.submit(count=2))


def postgres_killed_again(lab: Lab) -> None:
    """A refused request has changed nothing, an accepted one is carried out."""
    before = lab.accepted - _asked(lab)
    works = lab.submit(count=12, seconds=0.05)
    for _ in range(2):
        lab.kill("postgres")
        with contextlib.suppress(Refused):
            lab.submit()
        lab.restart("postgres")
        works += lab.submit(count=2)
    lab.ended_once(*works)
    assert lab.accepted - _asked(lab) == before


def _asked(lab: Lab) -> int:
    asked = "SELECT count(*) FROM calculations_calculation WHERE name = 'chaos'"
    return lab.ask(asked)[0][0]
