"""Automatic retries while replies get lost and requests come twice: each try is made once."""

from __future__ import annotations

from calculations.states import TERMINAL, CalculationState
from tests.chaos.lab import Lab, Work, until

ATTEMPTS = (
    "SELECT a.number, a.code FROM calculations_attempt a JOIN calculations_run r "
    "ON r.id = a.run_id WHERE r.calculation_id = %s ORDER BY a.number"
)
TRIES = "SELECT automatic_retries, attempt FROM calculations_run WHERE calculation_id = %s"


def ended(lab: Lab, work: Work) -> str:
    until(lambda: lab.state(work) in TERMINAL, lambda: lab.story(work))
    return lab.state(work)


def test_requests_that_come_twice_try_again_once(lab: Lab) -> None:
    lab.proxy.repeating = True
    works = lab.submit(count=3, failures=1, retries=2)
    for work in works:
        assert ended(lab, work) == CalculationState.VALID, lab.story(work)
        assert work.executions == 2, lab.story(work)
        assert lab.ask(ATTEMPTS, work.id) == [(1, "not_yet"), (2, "done")]
        assert lab.ask(TRIES, work.id) == [(1, 2)]


def test_lost_replies_to_the_report_try_again_once(lab: Lab) -> None:
    (work,) = lab.submit("judge", failures=2, retries=2)
    until(lambda: work.began("judge"), lambda: lab.story(work))
    lost = lab.proxy.lost
    lab.proxy.losing = True
    work.release()
    until(lambda: lab.proxy.lost >= lost + 3, "three replies were lost")
    lab.proxy.losing = False
    assert ended(lab, work) == CalculationState.VALID, lab.story(work)
    assert work.executions == 3, lab.story(work)
    codes = [code for _, code in lab.ask(ATTEMPTS, work.id)]
    assert codes == ["not_yet", "not_yet", "done"]


def test_more_failures_than_tries_end_not_valid(lab: Lab) -> None:
    (work,) = lab.submit(failures=5, retries=2)
    assert ended(lab, work) == CalculationState.NOT_VALID, lab.story(work)
    assert work.executions == 3
