"""Schedulers go wrong: they refuse, hang, answer partly, wrongly or late, lose jobs, take them and
say that they did not.
"""

from __future__ import annotations

import time
from typing import Any

from tests.chaos.book import PATIENCE_S, Work, until
from tests.chaos.lab import Lab
from tests.chaos.parts import Play
from tests.chaos.stages import run

ASK = ["squeue", "sacct", "qstat"]
SUBMIT = ["sbatch", "qsub"]
STOP = ["scancel", "qdel"]
SAVED_S = 6.0  # slurmctld writes down new jobs within five seconds


def ends(
    lab: Lab,
    *works: Work,
    state: str = "valid",
    most: int = 1,
    seconds: float = PATIENCE_S,
) -> None:
    """Each ends once with this state, after at most so many executions."""
    lab.ended(*works, seconds=seconds)
    for work in works:
        assert lab.state(work) == state, lab.story(work)
        assert work.executions <= most, lab.story(work)
    lab.closed(*works)


def _hits(lab: Lab) -> int:
    return sum(fault["hits"] for fault in lab.here.site.faults)


def at_submission(kind: str, *, times: int = 2, most: int = 1, **details: Any) -> Play:
    """The submitting program goes wrong while three runs are submitted."""

    def play(lab: Lab) -> None:
        lab.here.site.fault(kind, programs=SUBMIT, times=times, **details)
        works = lab.submit(count=3)
        until(lambda: _hits(lab) >= 1, lambda: lab.story(works[0]))
        ends(lab, *works, most=most)

    return play


def at_question(kind: str, *, times: int = 4, **details: Any) -> Play:
    """The programs that tell of jobs go wrong while one runs and another ends."""

    def play(lab: Lab) -> None:
        held, (ending,) = run(lab), lab.submit(seconds=0.5)
        lab.here.site.fault(kind, programs=ASK, times=times, **details)
        until(lambda: _hits(lab) >= 2, lambda: lab.story(held))
        held.release()
        ends(lab, held, ending)

    return play


def of_job(kind: str, *, state: str = "valid", most: int = 2, **details: Any) -> Play:
    """What a scheduler does to one job. Where that is no end of the run, it is tried again."""

    def play(lab: Lab) -> None:
        lab.here.site.fault(kind, times=1, **details)
        (work,) = lab.submit(seconds=1.5)
        ends(lab, work, state=state, most=most)

    return play


def of_waiting_job(lab: Lab) -> None:
    """Jobs wait; the agent is killed meanwhile and finds them again."""
    lab.here.site.fault("slow", seconds=3)
    works = lab.submit(count=2)
    until(lambda: len(lab.here.site.jobs()) > 0 and lab.phases() == {"submitted"}, "they wait")
    lab.kill("agent")
    lab.restart("agent")
    ends(lab, *works)


def cancelled_while_it_waits(lab: Lab) -> None:
    lab.here.site.fault("stall")
    (work,) = lab.submit()
    until(lambda: lab.phases() == {"submitted"}, lambda: lab.story(work))
    lab.here.site.fault("hang", programs=STOP, times=1, seconds=7)
    assert lab.cancel(work)
    ends(lab, work, state="cancelled", most=0)


def agent_killed_in_submission(lab: Lab) -> None:
    """The submitting program has been started and has not answered when the agent is killed."""
    lab.here.site.fault("submit_hang", programs=SUBMIT, times=1, seconds=3)
    (work,) = lab.submit()
    until(lambda: _hits(lab) == 1, lambda: lab.story(work))
    time.sleep(0.3)
    lab.kill("agent")
    lab.restart("agent")
    ends(lab, work)
    assert lab.submitted(work) == 1, lab.story(work)


def agent_away_when_it_ends(lab: Lab) -> None:
    works = [run(lab), run(lab)]
    lab.kill("agent")
    for work in works:
        work.release()
    lab.here.site.until(lambda jobs: not any(job.active for job in jobs))
    lab.restart("agent")
    ends(lab, *works)


def agent_still_when_it_ends(lab: Lab) -> None:
    work = run(lab)
    lab.stop("agent")
    work.release()
    lab.here.site.until(lambda jobs: not any(job.active for job in jobs))
    lab.go_on("agent")
    ends(lab, work)


def everything_at_once(lab: Lab) -> None:
    """Many runs while each program goes wrong now and then."""
    for kind in ("time_out", "partial", "garbage", "locale"):
        lab.here.site.fault(kind, programs=ASK, chance=0.15)
    lab.here.site.fault("submit_error", programs=SUBMIT, chance=0.2)
    lab.here.site.fault("time_out", programs=SUBMIT, chance=0.2)
    works = lab.submit(count=10, seconds=0.2)
    time.sleep(6)
    lab.here.site.heal()
    ends(lab, *works, most=2)


# A real Slurm


def controller_killed(lab: Lab) -> None:
    """slurmctld is gone while jobs run, end and are submitted; it has written down what runs."""
    works = [run(lab), run(lab)]
    site = lab.here.site
    time.sleep(SAVED_S)
    site.kill("slurmctld")
    works[0].release()
    works += lab.submit()
    time.sleep(3)
    site.start_controller()
    works[1].release()
    ends(lab, *works)


def node_killed(lab: Lab) -> None:
    """The daemon of each node is killed; its jobs go on or are lost, and the run ends once."""
    work = run(lab)
    site = lab.here.site
    for name in ("node1", "node2"):
        site.kill(name)
    work.release()
    for name in ("node1", "node2"):
        site.start_node(name)
    ends(lab, work, most=2)


def node_taken_away(lab: Lab) -> None:
    """An operator says that the node is down: NODE_FAIL, and the run is tried again."""
    work = run(lab)
    site = lab.here.site
    (node,) = site.run("squeue", "-h", "-t", "R", "-o", "%N").split()
    site.run("scontrol", "update", f"nodename={node}", "state=down", "reason=chaos")
    until(lambda: work.executions == 2, lambda: lab.story(work))
    site.works("scontrol", "update", f"nodename={node}", "state=resume")  # or it is back by itself
    work.release()
    ends(lab, work, most=2)


def slurm_agent_killed(lab: Lab) -> None:
    works = [run(lab), run(lab)]
    lab.kill("agent")
    works[0].release()
    works += lab.submit(count=2)
    time.sleep(1)
    lab.restart("agent")
    works[1].release()
    ends(lab, *works)


def books_away(lab: Lab) -> None:
    """slurmdbd stands still: nothing is concluded without it, and nothing is lost."""
    work = run(lab)
    books = lab.here.site.parts["slurmdbd"]
    books.send_signal(19)
    work.release()
    (later,) = lab.submit()
    time.sleep(4)
    books.send_signal(18)
    ends(lab, work, later)
