"""What a fake site does wrong, and how often: a list in `faults.json`, set by tests and admins.

A fault names the programs that it hits (none: all), how many calls or jobs (none: all until it is
healed), and its details. Each hit is counted in the file, under a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from clusters.rehearsal.state import read_json, write_json

#: Of programs: what they answer. The texts are what an admin reads.
OF_PROGRAMS = {
    "refuse": "answers with an error and does nothing (details: text, code)",
    "time_out": "says that the scheduler does not answer",
    "hang": "does not answer for a while (details: seconds)",
    "submit_error": "takes the job, and answers with an error",
    "submit_hang": "takes the job, and does not answer for a while (details: seconds)",
    "forget": "leaves jobs out of its answer (details: share, 1 is all)",
    "partial": "leaves the second half of its answer out",
    "cut": "ends its answer in the middle of a line",
    "garbage": "answers with bytes that are no text",
    "locale": "speaks German, with commas in numbers",
    "strange_state": "calls the states of jobs by letters that nobody knows",
    "empty": "answers with nothing at all, successfully",
}
#: Of jobs: how they end. Details: after_s, the seconds after the start.
OF_JOBS = {
    "node_fail": "the node of a job breaks",
    "oom": "a job is killed for its memory",
    "timeout": "a job is killed for its walltime",
    "preempt": "a job makes room for another one",
    "cancelled": "somebody else cancels a job",
    "requeue": "a job is put back into the queue and starts again",
    "lose": "a job is killed, and neither queue nor accounting has heard of it",
    "lose_sight": "a job goes on, and neither queue nor accounting has heard of it",
}
#: Of the queue: whether jobs start.
OF_QUEUE = {
    "slow": "jobs start late (details: seconds after the submission)",
    "stall": "no job starts",
}
KINDS = {**OF_PROGRAMS, **OF_JOBS, **OF_QUEUE}
LASTING = frozenset(OF_QUEUE)


def add(folder: str, kind: str, **details: Any) -> None:
    """Raises ValueError for a kind that is unknown."""
    if kind not in KINDS:
        raise ValueError(f"fault {kind!r} is unknown; known are {', '.join(KINDS)}")
    with _locked(folder):
        faults = read_json(f"{folder}/faults.json", [])
        write_json(f"{folder}/faults.json", [*faults, {"kind": kind, "hits": 0, **details}])


def clear(folder: str) -> None:
    with _locked(folder):
        write_json(f"{folder}/faults.json", [])


def known(folder: str) -> list[dict[str, Any]]:
    return read_json(f"{folder}/faults.json", [])


def take(folder: str, program: str, kinds: dict[str, str]) -> list[dict[str, Any]]:
    """Return the faults that hit this call of a program (or this job) and count them."""
    if not any(fault["kind"] in kinds for fault in known(folder)):
        return []
    with _locked(folder):
        faults = known(folder)
        hits = [fault for fault in faults if _hits(fault, program, kinds)]
        for fault in hits:
            fault["hits"] += 1
        if hits:
            write_json(f"{folder}/faults.json", faults)
    return hits


def _hits(fault: dict[str, Any], program: str, kinds: dict[str, str]) -> bool:
    programs, times = fault.get("programs"), fault.get("times")
    if fault["kind"] not in kinds or (programs and program not in programs):
        return False
    if fault["kind"] not in LASTING and times is not None and fault["hits"] >= times:
        return False
    return chance(fault.get("chance", 1.0))


def chance(share: float) -> bool:
    return int.from_bytes(os.urandom(2), "big") < share * 65536


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    with open(f"{folder}/faults.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
