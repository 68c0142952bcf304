"""Carriers break: SSH connections in the middle of an exchange, the node of a queue, its broker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from bench.sites import Site
from tests.chaos.book import until
from tests.chaos.lab import Lab
from tests.chaos.scheduling import ends
from tests.chaos.stages import run

# SSH


def connection_cut(lab: Lab) -> None:
    """Every connection breaks in the middle of a session, three times."""
    works = [run(lab), *lab.submit(count=3, seconds=0.2)]
    for _ in range(3):
        lab.here.restart()
        time.sleep(0.7)
    works[0].release()
    _again(lab)
    ends(lab, *works)


def connection_cut_at_upload(lab: Lab) -> None:
    works = lab.submit(count=2, keep=3_000_000)
    time.sleep(1.0)
    lab.here.restart()
    _again(lab)
    ends(lab, *works)


def host_away(lab: Lab) -> None:
    """Nobody answers at the host for a while; what runs there goes on."""
    work = run(lab)
    lab.here.site.stop()
    work.release()
    (later,) = lab.submit()
    time.sleep(4)
    lab.here.site.start()
    _again(lab)
    ends(lab, work, later)


def remote_agent_killed(lab: Lab) -> None:
    """The agent over there is killed in the middle of its session; programs go on."""
    works = [run(lab), *lab.submit(count=2, seconds=0.2)]
    for _ in range(2):
        for process in agents_of(lab, lab.here):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(1)
    works[0].release()
    _again(lab)
    ends(lab, *works)


def carriers_killed(lab: Lab) -> None:
    """The portal's worker that carries exchanges is killed in the middle of them: its session is
    believed to go on until it expires, and leases may end by then.
    """
    works = [run(lab), *lab.submit(count=3, seconds=0.2)]
    for _ in range(2):
        lab.kill("carriers")
        lab.restart("carriers")
        time.sleep(1)
    works[0].release()
    _again(lab)
    ends(lab, *works, most=2, seconds=180)


def carriers_still(lab: Lab) -> None:
    work = run(lab)
    lab.stop("carriers")
    work.release()
    (later,) = lab.submit()
    time.sleep(2)
    lab.go_on("carriers")
    _again(lab)
    ends(lab, work, later)


def _again(lab: Lab) -> None:
    """An operator asks for another try at once; by itself that comes 20 s x 2^n later."""
    lab.let_in()


def agents_of(lab: Lab, site: Site) -> Iterator[int]:
    """Processes of the agent file in the work folder of a site that is signed in to."""
    mark = f"{lab.stack.work(site.number)}/labportal-agent.pyz".encode()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark in (entry / "cmdline").read_bytes().split(b"\0"):
                yield int(entry.name)


# Queue


def node_killed(lab: Lab) -> None:
    works = [run(lab), *lab.submit("judge"), *lab.submit(count=2)]
    lab.begins(works[1], "judge")
    lab.kill("agent")
    lab.restart("agent")
    for work in works:
        work.release()
    ends(lab, *works)


def node_still(lab: Lab) -> None:
    work = run(lab)
    lab.stop("agent")
    work.release()
    time.sleep(2)
    lab.go_on("agent")
    ends(lab, work, *lab.submit())


def node_twice(lab: Lab) -> None:
    """Two nodes take from one queue with one key: one of them works."""
    work = run(lab)
    lab.stack.start_node(lab.here.number, slots=4, name="node-second")
    works = lab.submit(count=4, seconds=0.1)
    time.sleep(3)
    work.release()
    lab.stack.kill("node-second")
    ends(lab, work, *works)


def broker_lost(lab: Lab) -> None:
    """The broker is killed in the middle of exchanges, and loses what waited in it."""
    works = [run(lab), *lab.submit(count=3, seconds=0.2)]
    lab.kill("redis")
    works[0].release()
    time.sleep(1)
    for file in (lab.stack.home / "redis").glob("appendonly*"):
        file.unlink()
    lab.restart("redis")
    ends(lab, *works)


def broker_still(lab: Lab) -> None:
    work = run(lab)
    lab.stop("redis")
    work.release()
    time.sleep(3)
    lab.go_on("redis")
    ends(lab, work, *lab.submit(count=2))


def portal_of_queue_killed(lab: Lab) -> None:
    """Who answers nodes is killed in the middle of answers, again and again."""
    works = lab.submit(count=8, seconds=0.2)
    for _ in range(2):
        for part in ("worker", "carriers"):
            lab.kill(part)
            lab.restart(part)
            until(lambda: lab.alive("worker") and lab.alive("carriers"), "they are there")
        time.sleep(1)
    ends(lab, *works)
