"""qsub, qstat, qdel, pbsnodes and the others, as far as an agent and an admin use them.

Written after the answers of PBS Pro 2020 and OpenPBS 23; `kind` torque answers as Torque 6 does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable

from clusters.rehearsal import pbs_text as text
from clusters.rehearsal.answers import Answer
from clusters.rehearsal.faults import chance
from clusters.rehearsal.options import Options, WrongOption, elements, mebibytes, read, seconds
from clusters.rehearsal.running import free_cores, want
from clusters.rehearsal.state import ACTIVE, Job, State

QSUB = {
    "N": "name", "l": "resources", "q": "queue", "A": "account", "j": "join", "o": "output",
    "e": "error", "v": "variables", "V": "all-variables", "r": "rerunnable", "J": "array",
    "t": "array", "W": "attributes", "h": "hold", "k": "keep", "m": "mail", "M": "mail-users",
    "p": "priority", "S": "shell", "P": "project", "u": "user", "a": "date", "d": "folder",
    "w": "workdir", "z": "quiet", "f": "foreground", "R": "remove", "C": "prefix",
}  # fmt: skip
FLAGS = ("all-variables", "hold", "quiet", "foreground", "version")
UNKNOWN, FINISHED, REJECTED = 153, 35, 188  # exit codes of PBS Pro's programs


def answer(state: State, name: str, arguments: list[str], *, forget: float) -> Answer:
    """Answer one call; `forget` is the share of jobs that is left out."""
    if arguments == ["--version"]:
        version = "Version: 6.1.3" if text.torque(state) else "pbs_version = 23.06.06"
        return Answer(f"{version}\n")
    programs: dict[str, Callable[[], Answer]] = {
        "qsub": lambda: qsub(state, arguments),
        "qstat": lambda: qstat(state, arguments, forget),
        "qdel": lambda: qdel(state, arguments),
        "qsig": lambda: qsig(state, arguments),
        "pbsnodes": lambda: pbsnodes(state, arguments),
        "qmgr": lambda: Answer(text.server(state)),
        "tracejob": lambda: tracejob(state, arguments),
    }
    return programs[name]()


class Refused(Exception):
    """A submission that the server does not take, in its words."""


def qsub(state: State, arguments: list[str]) -> Answer:
    options = _options(arguments)
    if options.rest:
        try:
            with open(options.rest[0], encoding="utf-8") as stream:
                script = stream.read()
        except OSError:
            return Answer(err="qsub: script file:: No such file or directory\n", code=1)
    else:
        script = sys.stdin.read()
    said = _directives(script)
    for name, value in options.items():
        said[name] = f"{said[name]},{value}" if name == "resources" and name in said else value
    said.rest = options.rest
    asked = elements(said["array"]) if "array" in said else ([], 0)
    try:
        request = _request(state, said, asked[1])
    except Refused as refusal:
        return Answer(err=f"qsub: {refusal}\n", code=REJECTED)
    if not script.startswith("#!"):
        script = f"#!/bin/sh\n{script}"
    number = state.add(request, asked[0], time.time(), script)
    return Answer(f"{text.printed_id(state, number, bool(asked[0]))}\n")


def _options(words: Iterable[str]) -> Options:
    """What may be said several times (-l, -W) is joined by commas."""
    joined, words = Options(), list(words)
    while words:
        one = read(words[:1] if not _takes_value(words[0]) else words[:2], QSUB, FLAGS)
        words = words[1:] if not _takes_value(words[0]) else words[2:]
        for name, value in one.items():
            twice = name in joined and name in ("resources", "attributes", "variables")
            joined[name] = f"{joined[name]},{value}" if twice else value
        if one.rest:
            joined.rest = one.rest + words
            break
    return joined


def _takes_value(word: str) -> bool:
    return len(word) == 2 and word[0] == "-" and QSUB.get(word[1]) not in (None, *FLAGS)


def _directives(script: str) -> Options:
    words: list[str] = []
    for line in script.splitlines():
        if line.startswith("#PBS"):
            import shlex

            words += shlex.split(line[len("#PBS") :], comments=True)
        elif line.strip() and not line.startswith("#"):
            break
    return _options(words)


def _request(state: State, said: Options, at_once: int) -> dict:
    site = state.settings
    queue = _queue(site, said.get("queue"))
    account = said.get("account") or site["accounts"][0]
    if account not in site["accounts"]:
        raise Refused(f"Invalid account '{account}'")
    name = said.get("name") or os.path.basename(said.rest[0] if said.rest else "STDIN")
    longest = 15 if not text.torque(state) else 236
    if "name" in said and (len(name) > longest or not name[:1].isalpha() or " " in name):
        raise WrongOption("illegal -N value")
    asked = _resources(said.get("resources", ""))
    if "exclusive" in asked:
        asked["cores"] = asked["nodes"] * site["cores"]
    memory = asked["memory_mib"] or 100
    nodes = asked["nodes"]
    impossible = "Job exceeds queue and/or server resource limits"
    if nodes > site["nodes"] or asked["cores"] > nodes * site["cores"]:
        raise Refused(impossible)
    if memory > nodes * site["memory_mib"] or asked["gpus"] > nodes * site["gpus"]:
        raise Refused(impossible)
    walltime = asked["walltime_s"] or queue["walltime_s"]
    if walltime > queue["walltime_s"]:
        raise Refused(impossible)
    return {
        "name": name,
        "comment": "",
        "user": os.environ.get("USER", "root"),
        "account": account,
        "partition": queue["name"],
        "qos": "",
        "cores": asked["cores"],
        "nodes": nodes,
        "tasks": asked["tasks"],
        "memory_mib": memory,
        "gpus": asked["gpus"],
        "walltime_s": walltime,
        "licences": "",
        "exclusive": "exclusive" in asked,
        "folder": f"{state.folder}/home",  # jobs begin at home
        "submitted_in": os.getcwd(),
        "command": said.rest[0] if said.rest else "STDIN",
        **_outputs(said, name, "array" in said),
        "in": "",
        "environment": _environment(said),
        "variables": said.get("variables", ""),
        "arguments": said.rest[1:],
        "held": "hold" in said,
        "rerunnable": said.get("rerunnable", "y") != "n",
        "at_once": at_once,
    }


def _queue(site: dict, name: str | None) -> dict:
    for queue in site["partitions"]:
        if queue["name"] == name or (not name and queue.get("default")):
            return queue
    raise Refused("Unknown queue")


def _resources(said: str) -> dict:
    """Read -l: select=2:ncpus=4:mem=1gb or nodes=2:ppn=4, walltime, place."""
    found = {"nodes": 1, "cores": 1, "tasks": 1, "memory_mib": 0, "gpus": 0, "walltime_s": 0}
    for part in filter(None, said.split(",")):
        name, _, value = part.partition("=")
        if name in ("select", "nodes"):
            _chunk(found, value, by_nodes=name == "nodes")
        elif name == "walltime":
            found["walltime_s"] = int(value) if value.isdigit() else seconds(value)
        elif name in ("mem", "pmem"):
            found["memory_mib"] = mebibytes(value)
        elif name == "ncpus":
            found["cores"] = int(value)
        elif name == "ngpus":
            found["gpus"] = int(value)
        elif name in ("place", "naccesspolicy") and "excl" in value:
            found["exclusive"] = 1
    return found


def _chunk(found: dict, value: str, *, by_nodes: bool) -> None:
    first, *rest = value.split(":")
    number = int(first) if first.isdigit() else 1
    each = dict(part.partition("=")[::2] for part in rest)
    cores = int(each.get("ppn") or each.get("ncpus") or 1)
    found["nodes"], found["cores"] = number, number * cores
    found["tasks"] = number * int(each.get("mpiprocs") or (cores if by_nodes else 1))
    found["gpus"] = number * int(each.get("ngpus") or each.get("gpus") or 0)
    if "mem" in each:
        found["memory_mib"] = number * mebibytes(each["mem"])


def _outputs(said: Options, name: str, array: bool) -> dict[str, str]:
    """Where output goes; what is no path of its own lies where the job was submitted."""
    task = ".%a" if array else ""
    found = {}
    for key, option, letter in (("out", "output", "o"), ("err", "error", "e")):
        path = said.get(option, "").rpartition(":")[2]
        path = os.path.join(os.getcwd(), path or f"{name}.{letter}%A{task}")
        found[key] = path if not path.endswith("/") else f"{path}{name}.{letter}%A{task}"
    if "oe" in said.get("join", ""):
        found["err"] = found["out"]
    return found


def _environment(said: Options) -> dict[str, str]:
    kept = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "TZ")
    found = {k: v for k, v in os.environ.items() if "all-variables" in said or k in kept}
    for part in filter(None, said.get("variables", "").split(",")):
        name, equals, value = part.partition("=")
        if equals or name in os.environ:
            found[name] = value if equals else os.environ[name]
    return found


QSTAT = {
    "f": "full", "x": "history", "H": "old", "t": "tasks", "J": "arrays", "F": "format",
    "u": "user", "a": "alternate", "Q": "queues", "B": "server", "n": "nodes", "s": "comments",
    "w": "wide", "r": "run", "i": "idle", "1": "one-line", "T": "estimate", "E": "group",
    "q": "limits", "G": "giga", "M": "mega", "D": "delimiter", "p": "percent", "S": "states",
}  # fmt: skip
QSTAT_FLAGS = tuple(name for name in QSTAT.values() if name not in ("format", "user", "delimiter"))


def qstat(state: State, arguments: list[str], forget: float) -> Answer:
    options = read(arguments, QSTAT, QSTAT_FLAGS)
    if "queues" in options:
        return Answer(text.queues(state, options.rest, full="full" in options))
    if "server" in options:
        return Answer(text.server(state))
    since = time.time() - state.settings["history_s"]
    every = state.jobs("ended IS NULL OR ended > ?", since)
    every = [job for job in every if not chance(forget)]
    history = "history" in options or "old" in options or text.torque(state)
    shown, err, code = every, "", 0
    if options.rest:
        shown = []
        for word in options.rest:
            found = text.named(state, every, word)
            if not found:
                err += text.unknown(state, "qstat", word)
                code = UNKNOWN
            elif not history and not any(job.active for job in found):
                err += text.finished(word)
                code = FINISHED
            else:
                shown += found
    if not history:
        shown = [job for job in shown if job.active]
    if "user" in options:
        shown = [job for job in shown if job.request["user"] in options["user"].split(",")]
    whole = text.lines_of(state, shown, tasks="tasks" in options, asked=options.rest)
    if options.get("format") == "json":
        return Answer(text.as_json(state, whole), err, code)
    if "full" in options:
        return Answer("".join(text.full(state, *item) for item in whole), err, code)
    return Answer(text.table(state, whole), err, code)


QDEL = {"W": "attributes", "x": "history", "p": "purge", "m": "mail"}


def qdel(state: State, arguments: list[str]) -> Answer:
    options = read(arguments, QDEL, ("history", "purge"))
    how = "SIGNAL 9" if options.get("attributes") == "force" else "CANCELLED"
    err, code = "", 0
    for word in options.rest:
        found = text.named(state, state.jobs(), word)
        if not found:
            err, code = err + text.unknown(state, "qdel", word), UNKNOWN
        elif not any(job.active for job in found):
            err, code = err + text.finished(word, "qdel"), FINISHED
        for job in found:
            if job.state in ACTIVE:
                want(state, job, how)
    return Answer(err=err, code=code)


def qsig(state: State, arguments: list[str]) -> Answer:
    import signal

    options = read(arguments, {"s": "signal"}, ())
    name = options.get("signal", "TERM").upper().removeprefix("SIG")
    number = int(name) if name.isdigit() else int(getattr(signal, f"SIG{name}", 15))
    err, code = "", 0
    for word in options.rest:
        found = [job for job in text.named(state, state.jobs(), word) if job.active]
        if not found:
            err, code = err + text.unknown(state, "qsig", word), UNKNOWN
        for job in found:
            want(state, job, f"SIGNAL {number}")
    return Answer(err=err, code=code)


def pbsnodes(state: State, arguments: list[str]) -> Answer:
    free = free_cores(state, state.jobs("state = 'RUNNING'", hidden=True))
    short = any("S" in word for word in arguments if word.startswith("-"))
    if short and text.torque(state):
        return Answer(err="pbsnodes: invalid option -- 'S'\n", code=1)
    return Answer(text.nodes_short(state, free) if short else text.nodes(state, free))


def tracejob(state: State, arguments: list[str]) -> Answer:
    jobs: list[Job] = []
    for word in arguments:
        if not word.startswith("-"):
            jobs += text.named(state, state.jobs(), word)
    if not jobs:
        return Answer(err="tracejob: Couldn't find any job\n", code=1)
    return Answer("".join(text.trace(state, job) for job in jobs))
