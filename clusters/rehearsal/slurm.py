"""sbatch, squeue, sacct, scancel and the others, as far as an agent and an admin use them.

Written after the answers of Slurm 22.05 and 23.11.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable

from clusters.rehearsal import slurm_fields as fields
from clusters.rehearsal import slurm_site
from clusters.rehearsal.answers import Answer
from clusters.rehearsal.faults import chance
from clusters.rehearsal.options import Options, WrongOption, elements, mebibytes, read, seconds
from clusters.rehearsal.running import raw_id, want
from clusters.rehearsal.state import ACTIVE, Job, State

VERSION = "slurm 23.11.4"
SBATCH = {
    "J": "job-name", "t": "time", "N": "nodes", "n": "ntasks", "c": "cpus-per-task",
    "p": "partition", "A": "account", "q": "qos", "o": "output", "e": "error", "a": "array",
    "D": "chdir", "G": "gpus", "L": "licenses", "H": "hold", "i": "input", "C": "constraint",
    "d": "dependency", "b": "begin", "V": "version", "w": "nodelist", "x": "exclude",
    "s": "oversubscribe", "Q": "quiet",
}  # fmt: skip
SBATCH_FLAGS = (
    "parsable", "hold", "exclusive", "no-requeue", "requeue", "version", "oversubscribe", "quiet",
    "contiguous", "ignore-pbs",
)  # fmt: skip
MINIMAL = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG")


def answer(state: State, name: str, arguments: list[str], *, forget: float) -> Answer:
    """Answer one call; `forget` is the share of jobs that is left out."""
    if arguments in (["--version"], ["-V"]):
        return Answer(f"{VERSION}\n")
    programs: dict[str, Callable[[], Answer]] = {
        "sbatch": lambda: sbatch(state, arguments),
        "squeue": lambda: squeue(state, arguments, forget),
        "sacct": lambda: sacct(state, arguments, forget),
        "scancel": lambda: scancel(state, arguments),
        "sinfo": lambda: slurm_site.sinfo(state, arguments),
        "scontrol": lambda: slurm_site.scontrol(state, arguments),
        "sacctmgr": lambda: slurm_site.sacctmgr(state, arguments),
        "sdiag": lambda: slurm_site.sdiag(state),
    }
    return programs[name]()


class Refused(Exception):
    """A submission that the scheduler does not take, in its words."""


def sbatch(state: State, arguments: list[str]) -> Answer:
    options = read(arguments, SBATCH, SBATCH_FLAGS, stop_at_first=True)
    if options.rest:
        try:
            with open(options.rest[0], encoding="utf-8") as stream:
                script = stream.read()
        except OSError:
            text = f"sbatch: error: Unable to open file {options.rest[0]}\n"
            return Answer(err=text, code=1)
    elif "wrap" in options:
        script = f"#!/bin/sh\n{options['wrap']}\n"
    else:
        script = sys.stdin.read()
    if not script.startswith("#!"):
        text = (
            "sbatch: error: This does not look like a batch script.  The first\n"
            "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
        )
        return Answer(err=text, code=1)
    said = _directives(script)
    said.update(options)
    said.rest = options.rest
    asked = elements(said["array"]) if "array" in said else ([], 0)
    try:
        request = _request(state, said, asked[1])
    except Refused as refusal:
        text = f"sbatch: error: Batch job submission failed: {refusal}\n"
        return Answer(err=text, code=1)
    number = state.add(request, asked[0], time.time(), script)
    out = f"{number}\n" if "parsable" in said else f"Submitted batch job {number}\n"
    return Answer(out)


def _directives(script: str) -> Options:
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#SBATCH"):
            import shlex

            words += shlex.split(line[len("#SBATCH") :], comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return read(words, SBATCH, SBATCH_FLAGS)


def _request(state: State, said: Options, at_once: int) -> dict:
    site = state.settings
    partition = _partition(site, said.get("partition"))
    account, qos = said.get("account") or site["accounts"][0], said.get("qos") or site["qos"][0]
    if account not in site["accounts"]:
        raise Refused("Invalid account or account/partition combination specified")
    if qos not in site["qos"]:
        raise Refused("Invalid qos specification")
    nodes, tasks = said.number("nodes", 1), said.number("ntasks", 1)
    cores = tasks * said.number("cpus-per-task", 1)
    if "ntasks-per-node" in said:
        tasks = nodes * said.number("ntasks-per-node", 1)
        cores = tasks * said.number("cpus-per-task", 1)
    if "exclusive" in said:
        cores = nodes * site["cores"]
    memory = mebibytes(said.get("mem", "100")) * nodes
    if "mem-per-cpu" in said:
        memory = mebibytes(said["mem-per-cpu"]) * cores
    walltime = seconds(said["time"]) if "time" in said else partition["walltime_s"]
    gpus = _gpus(said, nodes)
    if nodes > site["nodes"] or cores > nodes * site["cores"] or gpus > nodes * site["gpus"]:
        raise Refused("Requested node configuration is not available")
    if memory > nodes * site["memory_mib"]:
        raise Refused("Memory specification can not be satisfied")
    if walltime > partition["walltime_s"]:
        raise Refused("Requested time limit is invalid (missing or exceeds some limit)")
    for name in filter(None, said.get("licenses", "").split(",")):
        if name.partition(":")[0] not in site["licences"]:
            raise Refused("Invalid license specification")
    folder = said.get("chdir") or os.getcwd()
    out = said.get("output") or ("slurm-%A_%a.out" if "array" in said else "slurm-%j.out")
    return {
        "name": said.get("job-name") or os.path.basename(said.rest[0] if said.rest else "sbatch"),
        "comment": said.get("comment", ""),
        "user": os.environ.get("USER", "root"),
        "account": account,
        "partition": partition["name"],
        "qos": qos,
        "cores": cores,
        "nodes": nodes,
        "tasks": tasks,
        "memory_mib": memory,
        "gpus": gpus,
        "walltime_s": walltime,
        "licences": said.get("licenses", ""),
        "exclusive": "exclusive" in said,
        "folder": folder,
        "submitted_in": os.getcwd(),
        "command": said.rest[0] if said.rest else "(null)",
        "out": os.path.join(folder, out),
        "err": os.path.join(folder, said.get("error") or out),
        "in": said.get("input", ""),
        "environment": _environment(said.get("export", "ALL")),
        "variables": "",
        "arguments": said.rest[1:],
        "held": "hold" in said,
        "at_once": at_once,
    }


def _partition(site: dict, name: str | None) -> dict:
    for partition in site["partitions"]:
        if partition["name"] == name or (not name and partition.get("default")):
            return partition
    raise Refused("Invalid partition name specified")


def _gpus(said: Options, nodes: int) -> int:
    if "gpus" in said:
        return int(said["gpus"].rpartition(":")[2])
    for name in ("gpus-per-node", "gres"):
        if said.get(name, "").startswith("gpu") or (name == "gpus-per-node" and name in said):
            last = said[name].rpartition(":")[2]
            return nodes * (int(last) if last.isdigit() else 1)
    return 0


def _environment(export: str) -> dict[str, str]:
    names = [word for word in export.split(",") if word]
    everything = "ALL" in names
    found = {k: v for k, v in os.environ.items() if everything or k in MINIMAL}
    for word in names:
        name, equals, value = word.partition("=")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found


SQUEUE = {
    "h": "noheader", "o": "format", "O": "Format", "j": "jobs", "n": "name", "t": "states",
    "u": "user", "p": "partition", "A": "account", "r": "array", "a": "all", "l": "long",
    "M": "clusters", "q": "qos", "w": "nodelist", "S": "sort",
}  # fmt: skip
SQUEUE_FLAGS = (
    "noheader",
    "array",
    "all",
    "long",
    "me",
    "start",
    "noconvert",
    "federation",
    "local",
)


def squeue(state: State, arguments: list[str], forget: float) -> Answer:
    options = read(arguments, SQUEUE, SQUEUE_FLAGS)
    since = time.time() - state.settings["history_s"]
    jobs = state.jobs("ended IS NULL OR ended > ?", since)
    if "jobs" in options:
        wanted = options["jobs"].split(",")
        jobs = _named(jobs, wanted)
        if not jobs and len(set(wanted)) == 1 and len(wanted) == 1:
            return Answer(err="slurm_load_jobs error: Invalid job id specified\n", code=1)
    states = options.get("states", "PENDING,RUNNING").upper()
    if "ALL" not in states:
        short = {short: long for long, short in fields.SHORT.items()}
        asked = {short.get(word, word) for word in states.split(",")}
        jobs = [job for job in jobs if job.state in asked]
    if "name" in options:
        jobs = [job for job in jobs if job.request["name"] in options["name"].split(",")]
    for option in ("user", "partition", "account"):
        if option in options:
            jobs = [job for job in jobs if job.request[option] in options[option].split(",")]
    jobs = [job for job in jobs if not chance(forget)]
    form = options.get("format", "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R")
    lines = []
    each = [(job, fields.job_id(job)) for job in jobs]
    for job, shown in each if "array" in options else _folded(jobs):
        known = {**fields.LETTERS, "i": lambda _, shown=shown: shown}
        names = {**fields.NAMES, "jobarrayid": known["i"]}
        try:
            text = (
                fields.by_names(options["Format"], names, job)
                if "Format" in options
                else fields.by_letters(form, known, job)
            )
        except KeyError as error:
            return Answer(err=f"squeue: error: Invalid job format specification: {error}\n", code=1)
        lines.append(text + "\n")
    if "noheader" not in options:
        heading = "             JOBID PARTITION     NAME     USER ST       TIME  NODES "
        lines.insert(0, f"{heading}NODELIST(REASON)\n")
    return Answer("".join(lines))


def _folded(jobs: Iterable[Job]) -> list[tuple[Job, str]]:
    """What waits of an array is one line, such as 100_[3-9]."""
    found: list[tuple[Job, str]] = []
    waiting: dict[int, list[Job]] = {}
    for job in jobs:
        if job.in_array and job.state == "PENDING":
            waiting.setdefault(job.number, []).append(job)
        else:
            found.append((job, fields.job_id(job)))
    for number, members in waiting.items():
        limit = f"%{members[0].request['at_once']}" if members[0].request["at_once"] else ""
        found.append((members[0], f"{number}_[{_ranges([m.element for m in members])}{limit}]"))
    return sorted(found, key=lambda pair: (pair[0].number, pair[0].element))


def _ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def _named(jobs: Iterable[Job], ids: Iterable[str]) -> list[Job]:
    """The jobs of some ids: 100, 100_3, 100_[3-5], or the number of an element of its own."""
    wanted: set[str] = set()
    for word in ids:
        number, bracket, inside = word.partition("_[")
        if bracket:
            wanted |= {f"{number}_{element}" for element in elements(inside.rstrip("]"))[0]}
        else:
            wanted.add(word.partition(".")[0])
    return [job for job in jobs if {str(job.number), fields.job_id(job), str(raw_id(job))} & wanted]


SACCT = {
    "j": "jobs", "n": "noheader", "P": "parsable2", "p": "parsable", "X": "allocations",
    "o": "format", "S": "starttime", "E": "endtime", "s": "state", "a": "allusers", "u": "user",
    "A": "accounts", "r": "partition", "D": "duplicates", "L": "allclusters", "M": "clusters",
    "T": "truncate", "l": "long", "V": "version", "q": "qos",
}  # fmt: skip
SACCT_FLAGS = (
    "noheader", "parsable2", "parsable", "allocations", "allusers", "duplicates", "allclusters",
    "truncate", "long", "version", "noconvert", "array", "helpformat",
)  # fmt: skip


def sacct(state: State, arguments: list[str], forget: float) -> Answer:
    options = read(arguments, SACCT, SACCT_FLAGS)
    if "helpformat" in options:
        return Answer(" ".join(sorted(fields.ACCOUNTING)) + "\n")
    if not state.settings["accounting"]:
        return Answer(err="Slurm accounting storage is disabled\n", code=1)
    jobs = state.jobs()
    if "jobs" in options:
        jobs = _named(jobs, options["jobs"].split(","))
    if "name" in options:
        jobs = [job for job in jobs if job.request["name"] in options["name"].split(",")]
    if "state" in options:
        short = {short: long for long, short in fields.SHORT.items()}
        asked = {short.get(word.upper(), word.upper()) for word in options["state"].split(",")}
        jobs = [job for job in jobs if job.state in asked]
    jobs = [job for job in jobs if not chance(forget)]
    form = options.get("format", "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode")
    columns = [word.partition("%")[0].strip().lower() for word in form.split(",") if word]
    for column in columns:
        if column not in fields.ACCOUNTING:
            return Answer(err=f'sacct: fatal: Invalid field requested: "{column}"\n', code=1)
    rows = [] if "noheader" in options else [[word.partition("%")[0] for word in form.split(",")]]
    for job in jobs:
        rows.append([str(fields.ACCOUNTING[column](job)) for column in columns])
        if "allocations" not in options and job.started:
            rows.append([str(fields.batch_step(job, column)) for column in columns])
    if "parsable2" in options or "parsable" in options:
        mark = options.get("delimiter", "|")
        end = mark if "parsable" in options else ""
        return Answer("".join(mark.join(row) + end + "\n" for row in rows))
    return Answer("".join(" ".join(f"{cell[:12]:>12}" for cell in row) + "\n" for row in rows))


SCANCEL = {
    "s": "signal", "n": "name", "u": "user", "t": "state", "b": "batch", "f": "full",
    "v": "verbose", "Q": "quiet", "A": "account", "p": "partition", "q": "qos", "M": "clusters",
}  # fmt: skip
SCANCEL_FLAGS = ("batch", "full", "verbose", "quiet", "me", "ctld", "hurry")


def scancel(state: State, arguments: list[str]) -> Answer:
    options = read(arguments, SCANCEL, SCANCEL_FLAGS)
    jobs, err = state.jobs(), ""
    chosen = _named(jobs, options.rest) if options.rest else []
    if "name" in options:
        pool = chosen if options.rest else jobs
        chosen = [job for job in pool if job.request["name"] in options["name"].split(",")]
    for word in options.rest:
        if not _named(jobs, [word]):
            err += f"scancel: error: Kill job error on job id {word}: Invalid job id specified\n"
    for job in chosen:
        if job.state in ACTIVE:
            want(state, job, _signal(options.get("signal")))
        elif "verbose" in options or ("quiet" not in options and options.rest):
            said = "Job/step already completing or completed"
            err += f"scancel: error: Kill job error on job id {fields.job_id(job)}: {said}\n"
    return Answer(err=err, code=1 if "Invalid job id" in err else 0)


def _signal(name: str | None) -> str:
    import signal

    if name is None:
        return "CANCELLED"
    if name.isdigit():
        return f"SIGNAL {name}"
    known = getattr(signal, f"SIG{name.upper().removeprefix('SIG')}", None)
    if known is None:
        raise WrongOption(f"Unknown job signal: {name}")
    return f"SIGNAL {int(known)}"
