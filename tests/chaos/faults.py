"""What a storm does to a lab, each for a moment, and mended at once or by the next look."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.chaos.carriers import agents_of
from tests.chaos.lab import Lab
from tests.chaos.proxy import Faults

Fault = Callable[[Lab, random.Random], AbstractContextManager[None]]

FAKE = ("fake-slurm", "fake-pbs")
SUBMIT, ASK = ["sbatch", "qsub"], ["squeue", "sacct", "qstat"]
SERVERS = ("postgres", "redis")
OF_NETWORK: dict[str, dict[str, object]] = {
    "replies lost": {"losing": True},
    "requests twice": {"repeating": True},
    "requests again later": {"echo_after": 3},
    "requests in another order": {"overtaking": True},
    "requests truncated": {"cut_requests": True},
    "replies truncated": {"cut_replies": True},
    "replies 1 s late": {"delay_s": 1.0},
    "requests wait": {"stalled": True},
}
OF_ANSWERS = (
    *("time_out", "hang", "partial", "cut", "garbage", "empty", "locale", "forget"),
    "strange_state",
)
OF_SUBMISSION = ("time_out", "submit_error", "submit_hang", "hang", "garbage", "empty")
OF_JOBS = ("node_fail", "preempt", "requeue", "lose")


def storm_faults(lab: Lab) -> dict[str, Fault]:
    """All that may happen to this lab, by name."""
    found: dict[str, Fault] = {}
    for part in (*lab.parts, *SERVERS):
        found[f"kill -9 of {part}"] = _killed(part)
        found[f"SIGSTOP of {part}"] = _still(part)
    for name, faults in OF_NETWORK.items():
        found[name] = _network(Faults(**faults))  # type: ignore[arg-type]
    found["connections cut"] = _cut
    for kind in FAKE:
        found |= {f"{kind}: {name}, asked": _program(kind, name, ASK) for name in OF_ANSWERS}
        found |= {f"{kind}: {name}, submit": _program(kind, name, SUBMIT) for name in OF_SUBMISSION}
        found |= {f"{kind}: {name}": _program(kind, name, None) for name in OF_JOBS}
    if "slurm-0" in lab.sites:
        found["slurm: kill -9 of slurmctld"] = _slurm("slurmctld")
        found["slurm: kill -9 of slurmd1"] = _slurm("node1")
    if "ssh-0" in lab.sites:
        found["ssh: connections cut"] = _ssh_cut
        found["ssh: kill -9 of agent"] = _ssh_agent
    return found


def _killed(part: str) -> Fault:
    @contextmanager
    def fault(lab: Lab, chance: random.Random) -> Iterator[None]:
        lab.kill(part)
        time.sleep(chance.uniform(0, 1.0))
        lab.restart(part)
        yield

    return fault


def _still(part: str) -> Fault:
    @contextmanager
    def fault(lab: Lab, chance: random.Random) -> Iterator[None]:
        lab.stop(part)
        try:
            time.sleep(chance.uniform(0.2, 2.0))
            yield
        finally:
            lab.go_on(part)

    return fault


def _network(faults: Faults) -> Fault:
    @contextmanager
    def fault(lab: Lab, chance: random.Random) -> Iterator[None]:
        lab.proxy.faults = faults
        try:
            time.sleep(chance.uniform(0.5, 2.5))
            yield
        finally:
            lab.proxy.mend()

    return fault


@contextmanager
def _cut(lab: Lab, chance: random.Random) -> Iterator[None]:
    lab.proxy.cut()
    yield


def _program(kind: str, name: str, programs: list[str] | None) -> Fault:
    """Some of the next calls or jobs go wrong, however long that takes."""

    @contextmanager
    def fault(lab: Lab, chance: random.Random) -> Iterator[None]:
        site = lab.sites[f"{kind}-0"].site
        details = {"seconds": 6, "share": 1.0} if programs else {"after_s": 0.2}
        if programs:
            details["programs"] = programs
        site.fault(name, times=chance.randint(1, 2), **details)
        yield

    return fault


def _slurm(part: str) -> Fault:
    @contextmanager
    def fault(lab: Lab, chance: random.Random) -> Iterator[None]:
        site = lab.sites["slurm-0"]
        site.site.kill(part)
        time.sleep(chance.uniform(0, 1.5))
        site.heal()
        yield

    return fault


@contextmanager
def _ssh_cut(lab: Lab, chance: random.Random) -> Iterator[None]:
    lab.sites["ssh-0"].restart()
    yield


@contextmanager
def _ssh_agent(lab: Lab, chance: random.Random) -> Iterator[None]:
    for process in agents_of(lab, lab.sites["ssh-0"]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    yield
