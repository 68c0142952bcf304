"""An agent is away for longer than its leases last, and comes back: each run has one result.

Played in a lab whose leases last 10 s instead of 300 s.
"""

from __future__ import annotations

from bench.sites import Site
from tests.chaos.audit import adopt_one
from tests.chaos.book import Work, until
from tests.chaos.lab import Lab


def begun(lab: Lab, site: Site) -> Work:
    (work,) = lab.submit("run", cluster=site.cluster)
    lab.reach(work, "running")
    lab.begins(work, "run")
    return work


def killed_and_still(lab: Lab) -> None:
    """One agent is killed and one stands still; programs end meanwhile or go on."""
    frozen_site, killed_site = lab.here, lab.site("process", 1)
    frozen, killed = begun(lab, frozen_site), begun(lab, killed_site)
    unwanted, ended = begun(lab, killed_site), begun(lab, killed_site)
    lab.stop(frozen_site.agent)
    lab.kill(killed_site.agent)
    ended.release()
    assert lab.cancel(unwanted)
    for work in (frozen, killed, ended):
        lab.reach(work, "queued")
    lab.reach(unwanted, "cancelled")

    lab.go_on(frozen_site.agent)
    lab.restart(killed_site.agent)
    for work in (frozen, killed):
        until(lambda work=work: work.executions == 2, lambda work=work: lab.story(work))
        work.release()
    lab.ended_once(frozen, killed, ended, executions=2)
    lab.ended_once(unwanted, state="cancelled")
    assert [lab.orphans(work) for work in (frozen, killed, ended)] == [0, 0, 1]


def late_result_adopted(lab: Lab) -> None:
    """Cancelled while its agent was away; the result that comes after all is kept, and adopted."""
    work = begun(lab, lab.here)
    lab.stop("agent")
    assert lab.cancel(work)
    lab.reach(work, "cancelled")
    work.release()
    until(lambda: len(list(lab.stack.work(lab.here.number).glob(f"**/{_run(lab, work)}/**/exit"))),
          lambda: lab.story(work))  # fmt: skip
    lab.go_on("agent")
    until(lambda: lab.orphans(work) == 1, lambda: lab.story(work))
    assert adopt_one(lab, work) == "valid"
    assert (lab.state(work), work.executions) == ("valid", 1), lab.story(work)
    assert lab.count("result", work) == 1


def lost_too_often(lab: Lab) -> None:
    """Each lease ends unheard until the run is given up; its first result is adopted then."""
    work = begun(lab, lab.here)
    lab.ask("UPDATE calculations_run SET losses = 3 WHERE calculation_id = %s", work.id)
    lab.stop("agent")
    lab.reach(work, "failed")
    work.release()
    lab.go_on("agent")
    until(lambda: lab.orphans(work) == 1, lambda: lab.story(work))
    assert adopt_one(lab, work) == "valid"
    assert lab.state(work) == "valid"


def stale_agent_speaks_late(lab: Lab) -> None:
    """What an agent said before its leases ended arrives after the next attempt has begun."""
    work = begun(lab, lab.here)
    lab.proxy.faults.stalled = True
    lab.reach(work, "queued")
    lab.proxy.mend()
    until(lambda: work.executions == 2, lambda: lab.story(work))
    work.release()
    lab.ended_once(work, executions=2)


def disk_lost(lab: Lab) -> None:
    """An agent starts with an empty folder: its leases end at once, its runs begin anew."""
    work = begun(lab, lab.here)
    lab.kill("agent")
    folder = lab.stack.work(lab.here.number)
    folder.rename(folder.with_name(f"lost-{folder.name}"))
    lab.restart("agent")
    until(lambda: work.executions == 2, lambda: lab.story(work), 60)
    work.release()
    lab.ended_once(work, executions=2)


def _run(lab: Lab, work: Work) -> str:
    (run,) = lab.runs_of([work])
    return run
