"""An agent is away for longer than its leases last, and comes back: each run has one result."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.lab import Lab, Work, open_lab, until

FROZEN, KILLED = "cluster-0", "cluster-1"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with open_lab(clusters=2, LABPORTAL_LEASE_S="10") as lab:
        yield lab


def begun(lab: Lab, cluster: str) -> Work:
    (work,) = lab.submit("run", cluster=cluster)
    lab.reach(work, "running")
    until(lambda: work.began("run"), lambda: lab.story(work))
    return work


def test_leases_end_and_both_agents_come_back(lab: Lab) -> None:
    frozen, killed = begun(lab, FROZEN), begun(lab, KILLED)
    unwanted, ended = begun(lab, KILLED), begun(lab, KILLED)
    lab.stop("agent-0")
    lab.kill("agent-1")
    ended.release()
    assert lab.cancel(unwanted)
    for work in (frozen, killed, ended):
        lab.reach(work, "queued")
    lab.reach(unwanted, "cancelled")

    lab.go_on("agent-0")
    lab.restart("agent-1")
    for work in (frozen, killed):
        until(lambda work=work: work.executions == 2, lambda work=work: lab.story(work))
        work.release()
    lab.ended_once(frozen, killed, ended, executions=2)
    lab.ended_once(unwanted, state="cancelled")
    assert [lab.orphans(work) for work in (frozen, killed, ended)] == [0, 0, 1]
