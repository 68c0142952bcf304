"""What lies between agent and portal fails: replies get lost, come late, requests come twice; one
side stands still.
"""

from __future__ import annotations

from tests.chaos.lab import Lab, until
from tests.chaos.test_kills import running


def test_replies_get_lost(lab: Lab) -> None:
    lab.proxy.losing = True
    works = lab.submit(count=4)
    lost = lab.proxy.lost
    until(lambda: lab.proxy.lost >= lost + 3, "three replies were lost")
    lab.proxy.losing = False
    lab.ended_once(*works)


def test_every_second_reply_gets_lost(lab: Lab) -> None:
    works = lab.submit(count=4, seconds=0.1)
    for _ in range(4):
        lost, passed = lab.proxy.lost, lab.proxy.passed
        lab.proxy.losing = True
        until(lambda lost=lost: lab.proxy.lost > lost, "a reply was lost")
        lab.proxy.losing = False
        until(lambda passed=passed: lab.proxy.passed > passed, "a reply passed")
    lab.ended_once(*works)


def test_replies_come_late(lab: Lab) -> None:
    lab.proxy.delay_s = 0.5
    lab.ended_once(*lab.submit(count=4))


def test_requests_come_twice_at_the_same_time(lab: Lab) -> None:
    """Two exchanges of one agent at once; the answer to one of them is heard by nobody."""
    lab.proxy.repeating = True
    works = lab.submit(count=6)
    lab.ended_once(*works)
    assert [lab.orphans(work) for work in works] == [0] * 6


def test_connections_break_again_and_again(lab: Lab) -> None:
    works = lab.submit(count=6, seconds=0.1)
    for _ in range(4):
        passed = lab.proxy.passed
        lab.proxy.cut()
        until(lambda passed=passed: lab.proxy.passed > passed, "the agent speaks again")
    lab.ended_once(*works)


def test_the_portal_stands_still(lab: Lab) -> None:
    held, (waiting,) = running(lab), lab.submit("prepare")
    lab.stop("web")
    held.release()
    until(lambda: "finished" in lab.phases(), lambda: lab.story(held))
    lab.go_on("web")
    waiting.release()
    lab.ended_once(held, waiting)


def test_the_agent_stands_still_and_programs_end_meanwhile(lab: Lab) -> None:
    works = [running(lab), running(lab)]
    lab.stop("agent-0")
    ended = lab.exits()
    for work in works:
        work.release()
    until(lambda: lab.exits() == ended + 2, lambda: lab.story(works[0]))
    lab.go_on("agent-0")
    lab.ended_once(*works)


def test_no_worker_for_a_while(lab: Lab) -> None:
    lab.kill("worker")
    works = lab.submit(count=3)
    assert {lab.run_state(work) for work in works} == {"queued"}
    lab.restart("worker")
    lab.ended_once(*works)
