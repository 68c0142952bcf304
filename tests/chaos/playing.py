"""What a scenario is, in which labs they are played, and what has to hold after each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.chaos.audit import Tally, audit
from tests.chaos.lab import Lab, open_lab

COMMON, BRIEF = "common", "brief"


@dataclass(frozen=True)
class Scenario:
    name: str
    breaks: str
    stage: str
    play: Callable[[Lab], None]
    site: str = "process"
    short: bool = False
    lab: str = COMMON

    @property
    def id(self) -> str:
        return f"{self.site}: {self.name}".replace(" ", "-")


#: What each lab has. In the brief one leases last 10 s instead of 300 s, so that all that follows
#: from their end comes 30 times as early: what is delayed by 12 s there is delayed by 6 minutes.
LABS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    COMMON: (
        ("process", "small disk", "fake-slurm", "fake-pbs", "slurm", "ssh", "queue", "models"),
        {"LABPORTAL_LEASE_S": "60"},
    ),
    BRIEF: (("process", "process"), {"LABPORTAL_LEASE_S": "10"}),
}


def open_lab_of(name: str) -> AbstractContextManager[Lab]:
    kinds, environment = LABS[name]
    return open_lab(*kinds, **environment)


def play(scenario: Scenario, lab: Lab) -> Tally:
    """Play it and count what became of its runs; whatever it broke is whole afterwards.

    Raises AssertionError, and Absent where this machine lacks what the site needs.
    """
    lab.begin()
    lab.at(scenario.site)
    scenario.play(lab)
    tally = audit(lab, lab.works)
    assert not tally.wrong, tally.wrong
    lab.tidy()
    return tally
