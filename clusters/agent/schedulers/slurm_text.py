"""Reads what Slurm's programs print: lines of fields set apart by a character that no name holds.

Lines that are cut or have another number of fields are passed over, never guessed at. Pure; used by
`slurm.py` alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from clusters.agent.commands import Answer
from clusters.agent.schedulers.base import Ending, Status
from clusters.agent.schedulers.dialect import Accounting, Found, JobState
from clusters.agent.schedulers.slurm_words import (
    LAUNCH_FAILED,
    hopeless,
    reason_words,
    status_of,
)

MARK = "\x1f"
UNKNOWN_ID = re.compile(r"invalid job id", re.IGNORECASE)
MEMORY = re.compile(r"([\d.]+)([KMGTP]?)n?c?$")
MIB = {"": 2**-20, "K": 2**-10, "M": 1.0, "G": 2.0**10, "T": 2.0**20, "P": 2.0**30}
GPUS = re.compile(r"(?:^|,)gpu(?::[^:,()]+)*?:(\d+)")


def complaint(answer: Answer) -> str:
    """Slurm's own words, without the program's name before each line."""
    lines = [re.sub(r"^\w+: (error|fatal): ", "", line.strip()) for line in answer.err.splitlines()]
    return "; ".join(line for line in lines if line)[:500] or answer.words


def knows_none(answer: Answer) -> bool:
    return answer.code is not None and not answer.problem and bool(UNKNOWN_ID.search(answer.err))


def rows(text: str, count: int, mark: str = MARK) -> Iterator[list[str]]:
    """Yield whole lines with that many fields."""
    for line in text.split("\n")[:-1]:
        fields = [field.strip() for field in line.split(mark)]
        if len(fields) == count and fields[0]:
            yield fields


def queued(fields: Sequence[str]) -> JobState:
    _, state, reason, start, end, partition, nodes, submitted, name = fields
    status, ending = status_of(state)
    waits = status is Status.PENDING
    if waits and LAUNCH_FAILED.search(reason):
        status, ending, waits = Status.ENDED, Ending.NODE_FAIL, False
    return JobState(
        status,
        state,
        name,
        reason=reason,
        text=reason_words(reason) if waits else "",
        refused=hopeless(reason) if waits else "",
        partition=partition.rstrip("*"),
        expected_start=_moment(start) if waits else None,
        ending=ending,
        nodes=_nodes(nodes),
        submitted_at=_moment(submitted),
        started_at=None if waits else _moment(start),
        finished_at=_moment(end) if status is Status.ENDED else None,
    )


def booked(fields: Sequence[str], steps: Sequence[Sequence[str]]) -> Accounting:
    _, name, state, code, elapsed, cpu, _, nodes, submitted, start, end = fields
    status, ending = status_of(state)
    killed = any(status_of(step[2])[1] is Ending.OUT_OF_MEMORY for step in steps)
    if killed and not state.startswith("COMPLETED"):
        ending = Ending.OUT_OF_MEMORY
    exit_code, signal = _exit(code)
    used = [found for step in steps if (found := _mib(step[6])) is not None]
    shown = [fields, *steps]
    return Accounting(
        state,
        status is Status.ENDED,
        name,
        ending,
        exit_code,
        signal,
        _nodes(nodes),
        _number(elapsed),
        _seconds(cpu),
        max(used) if used else None,
        _moment(submitted),
        _moment(start),
        _moment(end),
        tuple(f"sacct: {' '.join(field for field in line[:8] if field)}" for line in shown[:6]),
        unasked=_unasked(state, steps),
    )


def _unasked(state: str, steps: Sequence[Sequence[str]]) -> bool:
    """Of a person's cancel sacct says "CANCELLED by 1000". As root cancel slurmd and slurmctld too,
    what cannot be launched: such a job has a step, which one that waits has not.
    """
    return state == "CANCELLED" or (state == "CANCELLED by 0" and bool(steps))


def shown(line: str) -> tuple[str, Accounting] | None:
    """Read one job as `scontrol show job -o` has it."""
    words = dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
    if "JobId" not in words or "JobState" not in words:
        return None
    task = words.get("ArrayTaskId", "")
    id = f"{words.get('ArrayJobId', '')}_{task}" if task.isdigit() else words["JobId"]
    status, ending = status_of(words["JobState"])
    exit_code, signal = _exit(words.get("ExitCode", ""))
    start, end = _moment(words.get("StartTime", "")), _moment(words.get("EndTime", ""))
    shown = [f"{key}={words[key]}" for key in ("JobState", "Reason", "ExitCode") if key in words]
    return id, Accounting(
        words["JobState"],
        status is Status.ENDED,
        words.get("JobName", ""),
        ending,
        exit_code,
        signal,
        _nodes(words.get("NodeList", "")),
        end - start if start is not None and end is not None else None,
        None,
        None,
        _moment(words.get("SubmitTime", "")),
        start,
        end,
        (f"scontrol show job {id}: {' '.join(shown)}",),
    )


def ids_by_name(rows: Iterable[Sequence[str]]) -> Found:
    found: dict[str, list[str]] = {}
    for id, name in rows:
        ids = found.setdefault(name, [])
        if id not in ids:
            ids.append(id)
    return {name: sorted(ids, key=lambda id: (len(id), id)) for name, ids in found.items()}


def add_partition(partitions: dict[str, dict[str, Any]], fields: Sequence[str]) -> None:
    """Take in one group of like nodes; a partition can do what its largest node can."""
    name, state, time_limit, sizes, cores, memory, gres = fields
    if state != "up":
        return
    most = sizes.rpartition("-")[2]
    found = partitions.setdefault(
        name.rstrip("*"),
        {
            "name": name.rstrip("*"),
            "max_walltime_s": _seconds(time_limit),
            "max_nodes": int(most) if most.isdigit() else None,
            "cores_per_node": 0,
            "memory_per_node_mib": 0,
            "gpus_per_node": 0,
            "default": name.endswith("*"),
        },
    )
    gpus = sum(int(count) for count in GPUS.findall(gres))
    for key, value in (("cores", cores), ("memory", memory), ("gpus", str(gpus))):
        field = f"{key}_per_node_mib" if key == "memory" else f"{key}_per_node"
        digits = re.match(r"\d+", value)
        found[field] = max(found[field], int(digits[0]) if digits else 0)


def kind_of_node(state: str) -> str:
    word = state.lower()
    if word.startswith("idle") and word.rstrip("~#%@") == "idle":
        return "idle"
    if word.startswith(("alloc", "comp")):
        return "allocated"
    return "mixed" if word.startswith("mix") else "down"


def _nodes(text: str) -> str:
    return "" if text in ("(null)", "None assigned", "None") else text


def _exit(text: str) -> tuple[int | None, int | None]:
    """Read `code:signal`, and return the code as a shell gives it, and the signal."""
    code, _, signal = text.partition(":")
    if not code.isdigit() or not (signal or "0").isdigit():
        return None, None
    number = int(signal or "0")
    return (128 + number, number) if number else (int(code), None)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seconds(text: str) -> float | None:
    """Read [days-]hours:minutes:seconds, cut from the left, with fractions; None for `infinite`."""
    days, _, clock = text.rpartition("-")
    try:
        total = 0.0
        for part in clock.split(":"):
            total = total * 60 + float(part)
        return total + 86_400 * int(days or "0")
    except ValueError:
        return None


def _mib(text: str) -> float | None:
    found = MEMORY.match(text)
    try:
        return round(float(found[1]) * MIB[found[2]], 2) if found else None
    except ValueError:
        return None


def _moment(text: str) -> float | None:
    """Read seconds since 1970, or local time as older sites print it; None for N/A, Unknown."""
    if text.isdigit():
        return float(text) or None
    try:
        return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    except (ValueError, OverflowError):
        return None
