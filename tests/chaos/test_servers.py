"""Redis and PostgreSQL are killed in the middle of work and come back, Redis perhaps without its
data.
"""

from __future__ import annotations

import contextlib
import time

from bench.client import Refused
from tests.chaos.lab import Lab, until
from tests.chaos.test_kills import assigned, preparing, queued, running, validating


def test_without_redis_results_are_taken_and_work_is_accepted(lab: Lab) -> None:
    """Exchanges need PostgreSQL alone; what is submitted meanwhile is placed by the beat."""
    held = [running(lab), validating(lab)]
    lab.stack.kill_server("redis")
    for work in held:
        work.release()
    lab.ended_once(*held)
    began = time.monotonic()
    (late,) = lab.submit()
    assert time.monotonic() - began < 30, "a request must not wait long for a lost broker"
    lab.stack.start_servers()
    lab.ended_once(late)


def test_redis_loses_its_data(lab: Lab) -> None:
    """Tasks and marks are gone; the beat asks for the placement again."""
    held, lost = preparing(lab), queued(lab)
    lab.stack.kill_server("redis")
    for file in (lab.stack.home / "redis").glob("appendonly*"):
        file.unlink()
    lab.stack.start_servers()
    lab.go_on("worker")
    held.release()
    lab.ended_once(held, lost)


def test_a_mark_without_its_task_holds_nothing_up(lab: Lab) -> None:
    """Placement was asked for, and the task was lost before a worker took it."""
    lab.stop("worker")
    (work,) = lab.submit()
    with lab.redis() as redis:
        redis.set("labportal:place", 1)
        redis.delete("labportal")
    lab.go_on("worker")
    lab.ended_once(work)


def test_postgresql_is_killed_with_runs_at_every_stage(lab: Lab) -> None:
    works = [preparing(lab), running(lab), validating(lab), assigned(lab)]
    lab.stack.kill_server("postgres")
    lab.go_on("agent-0")
    for work in works:
        work.release()
    until(lambda: "finished" in lab.phases(), "the agent has results and nobody to take them")
    lab.stack.start_servers()
    lab.ended_once(*works)
    lab.ended_once(*lab.submit(count=2))


def test_postgresql_is_killed_while_work_is_submitted_and_goes_through(lab: Lab) -> None:
    """A refused request has changed nothing, an accepted one is carried out."""
    works = lab.submit(count=12, seconds=0.05)
    for _ in range(2):
        lab.stack.kill_server("postgres")
        with contextlib.suppress(Refused):
            lab.submit()
        lab.stack.start_servers()
        works += lab.submit(count=2)
    lab.ended_once(*works)
    asked = lab.ask("SELECT count(*) FROM calculations_calculation WHERE name = 'chaos'")
    assert asked == [(lab.accepted,)]


def test_all_at_once(lab: Lab) -> None:
    works = [running(lab), preparing(lab)]
    for name in ("web", "worker", "beat", "agent-0"):
        lab.kill(name)
    lab.stack.kill_server("redis")
    lab.stack.kill_server("postgres")
    lab.tidy()
    lab.ended_once(*works)
