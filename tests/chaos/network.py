"""What lies between agent and portal fails: messages get lost, come late, twice, cut, or in another
order.
"""

from __future__ import annotations

from tests.chaos.book import until
from tests.chaos.lab import Lab
from tests.chaos.stages import run


def replies_lost(lab: Lab) -> None:
    lab.proxy.faults.losing = True
    works = lab.submit(count=4)
    lost = lab.proxy.lost
    until(lambda: lab.proxy.lost >= lost + 3, "three replies were lost")
    lab.proxy.mend()
    lab.ended_once(*works)


def every_second_reply_lost(lab: Lab) -> None:
    works = lab.submit(count=4, seconds=0.1)
    for _ in range(4):
        lost, passed = lab.proxy.lost, lab.proxy.passed
        lab.proxy.faults.losing = True
        until(lambda lost=lost: lab.proxy.lost > lost, "a reply was lost")
        lab.proxy.mend()
        until(lambda passed=passed: lab.proxy.passed > passed, "a reply passed")
    lab.ended_once(*works)


def replies_late(lab: Lab) -> None:
    lab.proxy.faults.delay_s = 0.5
    lab.ended_once(*lab.submit(count=4))


def requests_twice(lab: Lab) -> None:
    """Two exchanges of one agent at once; the answer to one of them is heard by nobody."""
    lab.proxy.faults.repeating = True
    works = lab.submit(count=6)
    lab.ended_once(*works)
    assert [lab.orphans(work) for work in works] == [0] * 6


def requests_again_later(lab: Lab) -> None:
    """What an agent said some exchanges ago arrives once more, after newer ones."""
    lab.proxy.faults.echo_after = 3
    works = lab.submit(count=6, seconds=0.1)
    lab.ended_once(*works)
    assert [lab.orphans(work) for work in works] == [0] * 6


def requests_overtake(lab: Lab) -> None:
    lab.proxy.faults.overtaking = True
    lab.ended_once(*lab.submit(count=6, seconds=0.1))


def requests_cut(lab: Lab) -> None:
    work = run(lab)
    lost = lab.proxy.lost
    lab.proxy.faults.cut_requests = True
    work.release()
    until(lambda: lab.proxy.lost >= lost + 2, "two requests were cut")
    assert lab.state(work) == "running"
    lab.proxy.mend()
    lab.ended_once(work)


def replies_cut(lab: Lab) -> None:
    lab.proxy.faults.cut_replies = True
    lost = lab.proxy.lost
    works = lab.submit(count=3)
    until(lambda: lab.proxy.lost >= lost + 3, "three replies were cut")
    lab.proxy.mend()
    lab.ended_once(*works)


def connections_break(lab: Lab) -> None:
    works = lab.submit(count=6, seconds=0.1)
    for _ in range(4):
        passed = lab.proxy.passed
        lab.proxy.cut()
        until(lambda passed=passed: lab.proxy.passed > passed, "the agent speaks again")
    lab.ended_once(*works)


def file_cut(lab: Lab) -> None:
    """A file breaks off on its way to the portal, again and again."""
    lab.proxy.faults.hold = b"/files/kept.txt"
    (work,) = lab.submit(keep=300_000)
    for _ in range(2):
        held = lab.proxy.held
        until(lambda held=held: lab.proxy.held > held, lambda: lab.story(work))
        lab.proxy.cut()
    lab.proxy.mend()
    lab.ended_once(work)
    sizes = lab.ask(
        "SELECT f.size FROM calculations_outputfile f JOIN calculations_run r ON r.id = f.run_id "
        "WHERE r.calculation_id = %s",
        work.id,
    )
    assert sizes == [(300_000,)]


def late_by_minutes(lab: Lab) -> None:
    """All that an agent says waits for longer than its leases last, and arrives then."""
    held = run(lab)
    lab.proxy.faults.stalled = True
    held.release()
    lab.reach(held, "queued")
    lab.proxy.mend()
    lab.ended(held)
    lab.closed(held)
    assert lab.state(held) == "valid", lab.story(held)
    assert held.executions <= 2, lab.story(held)


def replies_late_by_minutes(lab: Lab) -> None:
    """The portal hears the agent, and the agent the portal as late as it waits for an answer."""
    lab.proxy.faults.delay_s = 4.0
    works = lab.submit(count=2)
    lab.ended_once(*works)


def retried_requests_twice(lab: Lab) -> None:
    """Automatic retries while requests come twice: each try is made once."""
    lab.proxy.faults.repeating = True
    works = lab.submit(count=3, failures=1, retries=2)
    lab.ended(*works)
    for work in works:
        assert (lab.state(work), work.executions) == ("valid", 2), lab.story(work)
        assert lab.ask(ATTEMPTS, work.id) == [(1, "not_yet"), (2, "done")]
        assert lab.ask(TRIES, work.id) == [(1, 2)]


def retried_replies_lost(lab: Lab) -> None:
    (work,) = lab.submit("judge", failures=2, retries=2)
    lab.begins(work, "judge")
    lost = lab.proxy.lost
    lab.proxy.faults.losing = True
    work.release()
    until(lambda: lab.proxy.lost >= lost + 3, "three replies were lost")
    lab.proxy.mend()
    lab.ended(work)
    assert (lab.state(work), work.executions) == ("valid", 3), lab.story(work)
    codes = [code for _, code in lab.ask(ATTEMPTS, work.id)]
    assert codes == ["not_yet", "not_yet", "done"]


def retried_in_vain(lab: Lab) -> None:
    (work,) = lab.submit(failures=5, retries=2)
    lab.ended(work)
    assert (lab.state(work), work.executions) == ("not_valid", 3), lab.story(work)


ATTEMPTS = (
    "SELECT a.number, a.code FROM calculations_attempt a JOIN calculations_run r "
    "ON r.id = a.run_id WHERE r.calculation_id = %s ORDER BY a.number"
)
TRIES = "SELECT automatic_retries, attempt FROM calculations_run WHERE calculation_id = %s"
