"""sinfo, scontrol and sacctmgr: what a fake Slurm says of itself rather than of jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from clusters.rehearsal import slurm_fields as fields
from clusters.rehearsal.answers import Answer
from clusters.rehearsal.options import hhmmss, read
from clusters.rehearsal.running import free_cores, node_names, want
from clusters.rehearsal.state import State

SINFO = {
    "h": "noheader", "o": "format", "O": "Format", "p": "partition", "N": "Node", "a": "all",
    "s": "summarize", "n": "nodes", "t": "states", "e": "exact", "M": "clusters", "l": "long",
}  # fmt: skip
SINFO_FLAGS = ("noheader", "Node", "all", "summarize", "exact", "long", "noconvert", "responding")
Place = tuple[dict[str, Any], str]  # a partition and the name of a node


def sinfo(state: State, arguments: list[str]) -> Answer:
    """Lines that differ in no field but the counted ones are one line, as sinfo does."""
    options = read(arguments, SINFO, SINFO_FLAGS)
    site = state.settings
    free = free_cores(state, state.jobs("state = 'RUNNING'", hidden=True))
    partitions = [p for p in site["partitions"] if options.get("partition", p["name"]) == p["name"]]
    places: list[Place] = [(p, node) for p in partitions for node in node_names(state)]
    form = options.get("Format") or options.get("format", "%9P %.5a %.10l %.6D %.6t %N")
    fill = fields.by_names if "Format" in options else fields.by_letters
    groups: dict[str, list[Place]] = {}
    single = _single_fields(site, free, marked="Format" not in options)
    blank = dict.fromkeys(("D", "C", "A", "F", "N", "n"), lambda place: "")
    for place in places:
        own = {"N": lambda p: p[1]} if "Node" in options else {}
        groups.setdefault(fill(form, _both({**single, **blank, **own}), place), []).append(place)
    lines = []
    for members in groups.values():
        counted = _counted_fields(site, free, members)
        lines.append(fill(form, _both({**single, **counted}), members[0]).rstrip() + "\n")
    if "noheader" not in options:
        lines.insert(0, "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST\n")
    return Answer("".join(lines))


NAMES = {
    "partition": "R", "partitionname": "R", "available": "a", "time": "l", "nodes": "D",
    "statelong": "T", "statecompact": "t", "cpus": "c", "memory": "m", "gres": "G", "nodelist": "N",
    "cpusstate": "C", "nodeaiot": "F", "nodehost": "n", "defaulttime": "L", "gresused": "g",
}  # fmt: skip


def _both(letters: dict[str, Callable]) -> dict[str, Callable]:
    return {**letters, **{name: letters[letter] for name, letter in NAMES.items()}}


def _single_fields(site: dict, free: dict[str, int], *, marked: bool) -> dict[str, Callable]:
    def node_state(place: Place) -> str:
        left = free[place[1]]
        return "idle" if left == site["cores"] else "allocated" if left <= 0 else "mixed"

    short = {"idle": "idle", "allocated": "alloc", "mixed": "mix"}
    gpus = f"gpu:{site['gpus']}" if site["gpus"] else "(null)"
    star = "*" if marked else ""
    return {
        "P": lambda place: place[0]["name"] + (star if place[0].get("default") else ""),
        "R": lambda place: place[0]["name"],
        "a": lambda place: "up",
        "l": lambda place: fields.duration(place[0]["walltime_s"]),
        "L": lambda place: "n/a",
        "s": lambda place: "1-infinite",
        "T": node_state,
        "t": lambda place: short[node_state(place)],
        "c": lambda place: site["cores"],
        "m": lambda place: site["memory_mib"],
        "G": lambda place: gpus,
        "g": lambda place: "gpu:0" if site["gpus"] else "(null)",
        "f": lambda place: "(null)",
        "z": lambda place: f"1:{site['cores']}:1",
        "E": lambda place: "none",
    }


def _counted_fields(site: dict, free: dict[str, int], members: list[Place]) -> dict[str, Callable]:
    names = sorted({node for _, node in members})
    idle = sum(max(0, free[name]) for name in names)
    total = site["cores"] * len(names)
    used = sum(free[name] < site["cores"] for name in names)
    numbers = [name.removeprefix("node") for name in names]
    listed = names[0] if len(names) == 1 else f"node[{numbers[0]}-{numbers[-1]}]"
    counts = {
        "D": len(names),
        "C": f"{total - idle}/{idle}/0/{total}",
        "A": f"{used}/{len(names) - used}",
        "F": f"{used}/{len(names) - used}/0/{len(names)}",
        "N": listed,
        "n": listed,
    }
    return {letter: lambda place, value=value: value for letter, value in counts.items()}


def scontrol(state: State, arguments: list[str]) -> Answer:
    words = [word for word in arguments if not word.startswith("-")]
    one_line = bool({"-o", "--oneliner"} & set(arguments))
    if words[:1] == ["ping"]:
        return Answer("Slurmctld(primary) at rehearsal is UP\n")
    if words[:1] == ["show"] and len(words) > 1:
        return _show(state, words[1].lower(), words[2:], one_line)
    if words[:1] and words[0] in ("hold", "release", "requeue"):
        return _change(state, words[0], words[1:])
    return Answer(err=f"invalid keyword: {' '.join(words)}\n", code=1)


def _change(state: State, verb: str, ids: list[str]) -> Answer:
    jobs = {fields.job_id(job): job for job in state.jobs()}
    for word in ids:
        if word not in jobs:
            return Answer(err="Invalid job id specified\n", code=1)
        if verb == "requeue":
            want(state, jobs[word], "REQUEUED")
        elif jobs[word].state == "PENDING":
            state.update(jobs[word], reason="JobHeldUser" if verb == "hold" else "None")
    return Answer()


def _show(state: State, what: str, names: list[str], one_line: bool) -> Answer:
    site = state.settings
    if what.startswith("conf"):
        storage = "slurmdbd" if site["accounting"] else "none"
        lines = [
            f"Configuration data as of {fields.moment(time.time())}",
            f"ClusterName             = {site['name']}",
            f"AccountingStorageType   = accounting_storage/{storage}",
            "AccountingStoreFlags    = job_comment",
            "MaxArraySize            = 1001",
            "MaxJobCount             = 10000",
            f"MinJobAge               = {int(site['history_s'])} sec",
            f"KillWait                = {int(site['kill_wait_s'])} sec",
            "SLURM_VERSION           = 23.11.4",
        ]
        return Answer("\n".join(lines) + "\n")
    if what.startswith("part"):
        blocks = [
            _partition(site, p) for p in site["partitions"] if not names or p["name"] in names
        ]
    elif what.startswith("node"):
        free = free_cores(state, state.jobs("state = 'RUNNING'", hidden=True))
        blocks = [_node(site, name, free[name]) for name in free if not names or name in names]
    elif what.startswith("job"):
        jobs = [job for job in state.jobs() if not names or fields.job_id(job) in names]
        if names and not jobs:
            return Answer(err="slurm_load_jobs error: Invalid job id specified\n", code=1)
        blocks = [_job(job) for job in jobs]
    elif what.startswith("lic"):
        blocks = [
            [f"LicenseName={name}", f"Total={count} Used=0 Free={count} Reserved=0 Remote=no"]
            for name, count in site["licences"].items()
        ] or [["No licenses configured in Slurm."]]
    else:
        return Answer(err=f"invalid entity:{what} for keyword:show \n", code=1)
    if one_line:
        return Answer("".join(" ".join(block) + "\n" for block in blocks))
    return Answer("".join("\n   ".join(block) + "\n\n" for block in blocks))


def _partition(site: dict, partition: dict) -> list[str]:
    cores, memory = site["nodes"] * site["cores"], site["nodes"] * site["memory_mib"]
    gpus = f",gres/gpu={site['nodes'] * site['gpus']}" if site["gpus"] else ""
    return [
        f"PartitionName={partition['name']}",
        "AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL",
        f"AllocNodes=ALL Default={'YES' if partition.get('default') else 'NO'} QoS=N/A",
        "DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO",
        f"MaxNodes=UNLIMITED MaxTime={_clock(partition['walltime_s'])} MinNodes=0 LLN=NO "
        "MaxCPUsPerNode=UNLIMITED",
        f"Nodes=node[1-{site['nodes']}]",
        f"State=UP TotalCPUs={cores} TotalNodes={site['nodes']} SelectTypeParameters=NONE",
        "DefMemPerCPU=100 MaxMemPerNode=UNLIMITED",
        f"TRES=cpu={cores},mem={memory}M,node={site['nodes']},billing={cores}{gpus}",
    ]


def _clock(seconds: int) -> str:
    days = f"{seconds // 86400}-" if seconds >= 86400 else ""
    return days + hhmmss(seconds % 86400)


def _node(site: dict, name: str, free: int) -> list[str]:
    state = "IDLE" if free == site["cores"] else "ALLOCATED" if free <= 0 else "MIXED"
    return [
        f"NodeName={name} Arch=x86_64 CoresPerSocket={site['cores']}",
        f"CPUAlloc={site['cores'] - free} CPUEfctv={site['cores']} CPUTot={site['cores']}",
        "Gres=" + (f"gpu:{site['gpus']}" if site["gpus"] else "(null)"),
        f"RealMemory={site['memory_mib']} AllocMem=0 State={state}",
        f"Partitions={','.join(p['name'] for p in site['partitions'])}",
    ]


def _job(job: Any) -> list[str]:
    asked = job.request
    array = [f"ArrayJobId={job.number} ArrayTaskId={job.element}"] if job.in_array else []
    return [
        f"JobId={fields.raw_id(job)}",
        *array,
        f"JobName={asked['name']}",
        f"UserId={asked['user']}(0) Account={asked['account']} QOS={asked['qos']}",
        f"JobState={job.state} Reason={job.reason} Dependency=(null)",
        f"Restarts={max(0, job.starts - 1)} ExitCode={job.code or 0}:{job.signal or 0}",
        f"SubmitTime={fields.moment(job.submitted)}",
        f"StartTime={fields.moment(job.started, 'Unknown')}",
        f"EndTime={fields.moment(job.ended, 'Unknown')}",
        f"Partition={asked['partition']} NodeList={job.nodes or '(null)'}",
        f"NumNodes={asked['nodes']} NumCPUs={asked['cores']} NumTasks={asked['tasks']}",
        f"Command={asked['command']}",
        f"WorkDir={asked['folder']}",
        f"Comment={asked['comment']}",
    ]


def sdiag(state: State) -> Answer:
    jobs = state.jobs()
    counts = {
        "submitted": len(jobs),
        "started": sum(job.starts > 0 for job in jobs),
        "pending": sum(job.state == "PENDING" for job in jobs),
        "running": sum(job.state == "RUNNING" for job in jobs),
    }
    lines = [f"Jobs {name}: {count}\n" for name, count in counts.items()]
    return Answer("".join(["*" * 55 + "\n", *lines]))


ASSOCIATIONS = {
    "cluster": lambda site, account: site["name"],
    "account": lambda site, account: account,
    "user": lambda site, account: "root",
    "partition": lambda site, account: "",
    "qos": lambda site, account: ",".join(site["qos"]),
    "defaultqos": lambda site, account: site["qos"][0],
    "def": lambda site, account: site["qos"][0],
    "share": lambda site, account: "1",
}


def sacctmgr(state: State, arguments: list[str]) -> Answer:
    site = state.settings
    if not site["accounting"]:
        text = "You are not running a supported accounting_storage plugin\n"
        return Answer(err=text, code=1)
    flags = "".join(word[1:] for word in arguments if word.startswith("-") and word[1:2] != "-")
    words = [word for word in arguments if not word.startswith("-")]
    if len(words) < 2 or words[0] not in ("show", "list"):
        return Answer(err="sacctmgr: error: the rehearsal only shows\n", code=1)
    form = next((w.partition("=")[2] for w in words if w.lower().startswith("format=")), "")
    columns = [name.partition("%")[0].lower() for name in form.split(",") if name]
    mark = "|" if "P" in flags or "p" in flags else " "
    if words[1].startswith("qos"):
        known = {"name": str, "priority": lambda _: "0", "maxwall": lambda _: ""}
        rows = [[known.get(c, lambda _: "")(q) for c in columns or ["name"]] for q in site["qos"]]
    elif words[1].startswith(("assoc", "user", "account")):
        chosen = columns or ["cluster", "account", "user", "partition", "qos"]
        nothing = lambda site, account: ""  # noqa: E731
        rows = [
            [ASSOCIATIONS.get(column, nothing)(site, account) for column in chosen]
            for account in site["accounts"]
        ]
    elif words[1].startswith("cluster"):
        rows = [[site["name"]]]
    else:
        rows = []
    if "n" not in flags and "--noheader" not in arguments:
        rows.insert(0, [name.title() for name in columns or ["Name"]])
    end = "|" if "p" in flags else ""
    return Answer("".join(mark.join(row) + end + "\n" for row in rows))
