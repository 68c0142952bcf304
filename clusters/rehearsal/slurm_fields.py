"""How Slurm's programs print jobs and nodes: fields by letter and by name, formats, times."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import Any

from clusters.rehearsal.options import hhmmss
from clusters.rehearsal.running import raw_id
from clusters.rehearsal.state import Job

SHORT = {
    "PENDING": "PD",
    "RUNNING": "R",
    "COMPLETED": "CD",
    "FAILED": "F",
    "CANCELLED": "CA",
    "TIMEOUT": "TO",
    "OUT_OF_MEMORY": "OOM",
    "NODE_FAIL": "NF",
    "PREEMPTED": "PR",
}
Field = Callable[[Job], Any]


def job_id(job: Job) -> str:
    return f"{job.number}_{job.element}" if job.in_array else str(job.number)


def moment(at: float | None, missing: str = "N/A") -> str:
    if at is None:
        return missing
    asked = os.environ.get("SLURM_TIME_FORMAT", "")
    form = asked if asked not in ("", "standard") else "%Y-%m-%dT%H:%M:%S"
    return time.strftime(form, time.localtime(at))


def duration(seconds: float) -> str:
    """D-HH:MM:SS without the leading parts that are zero, as squeue does."""
    whole = max(0, int(seconds))
    days, text = whole // 86400, hhmmss(whole % 86400)
    if days or whole >= 3600:
        return f"{days}-{text}" if days else text
    return f"{whole // 60}:{whole % 60:02d}"


def elapsed(job: Job) -> float:
    if job.started is None:
        return 0.0
    return (job.ended or time.time()) - job.started


def _exit_code(job: Job) -> str:
    if job.state == "OUT_OF_MEMORY":
        return "0:125"
    return f"{job.code or 0}:{job.signal or 0}"


def _shown_state(job: Job) -> str:
    return "CANCELLED by 0" if job.state == "CANCELLED" else job.state


def _tres(job: Job) -> str:
    asked = job.request
    gpus = f",gres/gpu={asked['gpus']}" if asked["gpus"] else ""
    return (
        f"billing={asked['cores']},cpu={asked['cores']}{gpus},mem={asked['memory_mib']}M,"
        f"node={asked['nodes']}"
    )


def _of(name: str) -> Field:
    return lambda job: job.request[name]


def _reason(job: Job) -> str:
    return job.reason or "None"


def _where_or_why(job: Job) -> str:
    return job.nodes if job.state == "RUNNING" else f"({_reason(job)})"


def _expected(job: Job) -> str:
    return moment(job.started)


LETTERS: dict[str, Field] = {
    "i": job_id,
    "A": raw_id,
    "F": lambda job: job.number,
    "K": lambda job: job.element if job.in_array else "N/A",
    "T": lambda job: job.state,
    "t": lambda job: SHORT.get(job.state, job.state),
    "r": _reason,
    "R": _where_or_why,
    "j": _of("name"),
    "k": lambda job: job.request["comment"] or "(null)",
    "u": _of("user"),
    "a": _of("account"),
    "q": _of("qos"),
    "P": _of("partition"),
    "l": lambda job: duration(job.request["walltime_s"]) if job.request["walltime_s"] else "UNL",
    "L": lambda job: duration(job.request["walltime_s"] - elapsed(job)),
    "M": lambda job: duration(elapsed(job)),
    "S": _expected,
    "V": lambda job: moment(job.submitted),
    "e": lambda job: moment(job.ended),
    "C": _of("cores"),
    "D": _of("nodes"),
    "N": lambda job: job.nodes,
    "B": lambda job: job.nodes.split(",")[0] or "n/a",
    "m": lambda job: f"{job.request['memory_mib']}M",
    "b": lambda job: f"gres:gpu:{job.request['gpus']}" if job.request["gpus"] else "N/A",
    "Z": _of("folder"),
    "o": _of("command"),
    "W": lambda job: job.request["licences"] or "(null)",
    "p": lambda job: "0.00002328306",
    "Q": lambda job: 100,
    "E": lambda job: "(null)",
    "v": lambda job: "(null)",
    "h": lambda job: "NO" if job.request["exclusive"] else "OK",
}
NAMES: dict[str, Field] = {
    "jobid": raw_id,
    "jobarrayid": job_id,
    "arrayjobid": LETTERS["F"],
    "arraytaskid": LETTERS["K"],
    "name": LETTERS["j"],
    "comment": LETTERS["k"],
    "state": LETTERS["T"],
    "statecompact": LETTERS["t"],
    "reason": LETTERS["r"],
    "reasonlist": LETTERS["R"],
    "username": LETTERS["u"],
    "account": LETTERS["a"],
    "qos": LETTERS["q"],
    "partition": LETTERS["P"],
    "timelimit": LETTERS["l"],
    "timeleft": LETTERS["L"],
    "timeused": LETTERS["M"],
    "starttime": LETTERS["S"],
    "submittime": LETTERS["V"],
    "endtime": LETTERS["e"],
    "numcpus": LETTERS["C"],
    "numnodes": LETTERS["D"],
    "nodelist": LETTERS["N"],
    "batchhost": LETTERS["B"],
    "minmemory": LETTERS["m"],
    "tres-per-node": LETTERS["b"],
    "tres": _tres,
    "workdir": LETTERS["Z"],
    "command": LETTERS["o"],
    "licenses": LETTERS["W"],
    "prioritylong": LETTERS["Q"],
    "schednodes": lambda job: "(null)",
    "exit_code": lambda job: job.code or 0,
}
ACCOUNTING: dict[str, Field] = {
    "jobid": job_id,
    "jobidraw": raw_id,
    "jobname": LETTERS["j"],
    "comment": _of("comment"),
    "state": _shown_state,
    "exitcode": _exit_code,
    "derivedexitcode": lambda job: "0:0",
    "elapsedraw": lambda job: int(elapsed(job)),
    "elapsed": lambda job: hhmmss(elapsed(job)),
    "totalcpu": lambda job: _minutes(job.cpu_s or 0.0),
    "cputimeraw": lambda job: int(elapsed(job)) * job.request["cores"],
    "maxrss": lambda job: "",
    "nnodes": _of("nodes"),
    "allocnodes": lambda job: job.request["nodes"] if job.started else 0,
    "ncpus": _of("cores"),
    "alloccpus": lambda job: job.request["cores"] if job.started else 0,
    "reqcpus": _of("cores"),
    "reqmem": lambda job: f"{job.request['memory_mib']}M",
    "submit": lambda job: moment(job.submitted, "Unknown"),
    "eligible": lambda job: moment(job.submitted, "Unknown"),
    "start": lambda job: moment(job.started, "None" if job.ended else "Unknown"),
    "end": lambda job: moment(job.ended, "Unknown"),
    "nodelist": lambda job: job.nodes or "None assigned",
    "partition": LETTERS["P"],
    "account": LETTERS["a"],
    "qos": LETTERS["q"],
    "user": LETTERS["u"],
    "reason": _reason,
    "timelimit": lambda job: duration(job.request["walltime_s"]),
    "timelimitraw": lambda job: job.request["walltime_s"] // 60,
    "workdir": LETTERS["Z"],
    "reqtres": _tres,
    "alloctres": lambda job: _tres(job) if job.started else "",
    "cluster": lambda job: "rehearsal",
    "priority": lambda job: 100,
}


def batch_step(job: Job, name: str) -> Any:
    """What accounting says of the step in which the script ran."""
    own = {
        "jobid": lambda: f"{job_id(job)}.batch",
        "jobidraw": lambda: f"{raw_id(job)}.batch",
        "jobname": lambda: "batch",
        "state": lambda: "CANCELLED" if job.state == "CANCELLED" else job.state,
        "maxrss": lambda: f"{job.rss_kib}K" if job.ended and job.rss_kib is not None else "",
    }
    blank = ("partition", "user", "qos", "timelimit", "timelimitraw", "reqtres", "workdir")
    return own[name]() if name in own else "" if name in blank else ACCOUNTING[name](job)


def _minutes(seconds: float) -> str:
    """[DD-[HH:]]MM:SS.mmm, as sacct prints processor time."""
    whole, milli = int(seconds), round(seconds % 1 * 1000) % 1000
    if whole >= 3600:
        return duration(whole)
    return f"{whole // 60:02d}:{whole % 60:02d}.{milli:03d}"


def by_letters(form: str, fields: dict[str, Callable[[Any], Any]], item: Any) -> str:
    """Fill in a format such as "%.18i %T"."""

    def value(match: re.Match[str]) -> str:
        field = fields.get(match[3])
        text = str(field(item)) if field else ""
        width = int(match[2] or 0)
        if not width:
            return text
        return text[:width].rjust(width) if match[1] else text[:width].ljust(width)

    return re.sub(r"%(\.?)(\d*)([A-Za-z])", value, form)


def by_names(form: str, fields: dict[str, Callable[[Any], Any]], item: Any) -> str:
    """Fill in a format such as "JobID:30,State:|"; raises KeyError."""
    parts = []
    for word in form.split(","):
        name, colon, rest = word.partition(":")
        match = re.match(r"(\.?)(\d*)(.*)", rest, re.DOTALL)
        right, width, suffix = match.groups() if match else ("", "", "")
        text = str(fields[name.strip().lower()](item))
        size = int(width) if width else 20 if not colon else 0
        if size:
            text = text[:size].rjust(size) if right else text[:size].ljust(size)
        parts.append(text + suffix)
    return "".join(parts)
