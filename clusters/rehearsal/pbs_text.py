"""How PBS's programs print jobs, queues and nodes: attributes, continued lines, tables."""

from __future__ import annotations

import time
from collections.abc import Iterable

from clusters.rehearsal.options import hhmmss
from clusters.rehearsal.running import file_name, node_names
from clusters.rehearsal.state import Job, State

Shown = tuple[list[Job], bool]  # one job or element, or an array as a whole
WIDTH = 78
WALLTIME_KILLED, MEMORY_KILLED, MOM_LOST = -29, -27, -4  # exit codes of PBS Pro
SIGNALLED = 256


def torque(state: State) -> bool:
    return state.settings["kind"] == "torque"


def printed_id(state: State, number: int, array: bool, element: int | None = None) -> str:
    inside = "[]" if array and element is None else f"[{element}]" if array else ""
    return f"{number}{inside}.{state.settings['name']}"


def id_of(state: State, job: Job) -> str:
    return printed_id(state, job.number, job.in_array, job.element if job.in_array else None)


def named(state: State, jobs: Iterable[Job], word: str) -> list[Job]:
    """The jobs of an id: 100, 100.server, 100[].server for all of an array, 100[3]."""
    short = word.partition(".")[0]
    number, bracket, element = short.rstrip("]").partition("[")
    if not number.isdigit():
        return []
    found = [job for job in jobs if job.number == int(number)]
    if bracket and element:
        return [job for job in found if str(job.element) == element]
    return [job for job in found if job.in_array == bool(bracket)]


def unknown(state: State, program: str, word: str) -> str:
    more = " Error" if torque(state) else ""
    whole = word if "." in word else f"{word}.{state.settings['name']}"
    return f"{program}: Unknown Job Id{more} {whole}\n"


def finished(word: str, program: str = "qstat") -> str:
    if program == "qdel":
        return f"qdel: Job has finished {word}\n"
    more = "use -x or -H to obtain historical job information"
    return f"{program}: {word} Job has finished, {more}\n"


def lines_of(
    state: State, jobs: Iterable[Job], *, tasks: bool, asked: Iterable[str]
) -> list[Shown]:
    """An array is one entry, unless its elements are asked for, by -t or one by one."""
    single = {word.partition(".")[0] for word in asked}
    found: list[Shown] = []
    arrays: dict[int, list[Job]] = {}
    for job in jobs:
        one = tasks or f"{job.number}[{job.element}]" in single
        if job.in_array and not one:
            if job.number not in arrays:
                arrays[job.number] = []
                found.append((arrays[job.number], True))
            arrays[job.number].append(job)
        else:
            found.append(([job], False))
    return found


def _letter(state: State, members: list[Job], whole: bool) -> str:
    if whole:
        return "B" if any(job.started for job in members) else "Q"
    job = members[0]
    if job.state == "PENDING":
        return "H" if job.reason == "JobHeldUser" else "Q"
    if job.state == "RUNNING":
        return "E" if job.wanted else "R"
    if torque(state):
        return "C"
    return "X" if job.in_array else "F"


def exit_status(state: State, job: Job) -> int:
    if job.state == "TIMEOUT":
        return SIGNALLED + 15 if torque(state) else WALLTIME_KILLED
    if job.state == "OUT_OF_MEMORY":
        return SIGNALLED + 9 if torque(state) else MEMORY_KILLED
    if job.state == "NODE_FAIL":
        return MOM_LOST
    return SIGNALLED + job.signal if job.signal else job.code or 0


def _comment(job: Job) -> str:
    day = time.strftime("%a %b %d at %H:%M", time.localtime(job.started or job.submitted))
    if job.state == "PENDING":
        why = {
            "Resources": "Not Running: Insufficient amount of resource: ncpus",
            "Priority": "Not Running: Not enough free nodes available",
            "JobArrayTaskLimit": "Not Running: job array task limit reached",
        }
        return why.get(job.reason, "")
    ran = f"Job run at {day} on ({job.nodes}:ncpus={job.request['cores']})"
    ends = {
        "COMPLETED": " and finished",
        "FAILED": " and failed",
        "CANCELLED": " and terminated",
        "TIMEOUT": " and exceeded resource walltime",
        "OUT_OF_MEMORY": " and exceeded resource mem",
        "NODE_FAIL": " and failed: node went down",
        "PREEMPTED": " and was preempted",
    }
    return ran + ends.get(job.state, "")


def _stamp(at: float) -> str:
    return time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(at))


def attributes(state: State, members: list[Job], whole: bool) -> list[tuple[str, str]]:
    """Everything that qstat -f tells of one job, in its order."""
    job, asked = members[0], members[0].request
    letter = _letter(state, members, whole)
    server = state.settings["name"]
    found = [
        ("Job_Name", asked["name"]),
        ("Job_Owner", f"{asked['user']}@{server}"),
    ]
    if job.started and not whole:
        spent = (job.ended or time.time()) - job.started
        found += [
            ("resources_used.cpupercent", "97"),
            ("resources_used.cput", hhmmss(job.cpu_s or 0.0)),
            ("resources_used.mem", f"{job.rss_kib or 0}kb"),
            ("resources_used.ncpus", str(asked["cores"])),
            ("resources_used.vmem", f"{4 * (job.rss_kib or 0)}kb"),
            ("resources_used.walltime", hhmmss(spent)),
        ]
    found += [
        ("job_state", letter),
        ("queue", asked["partition"]),
        ("server", server),
        ("Account_Name", asked["account"]),
        ("Checkpoint", "u"),
        ("ctime", _stamp(job.submitted)),
        ("Error_Path", f"{server}:{file_name(asked['err'], job)}"),
    ]
    if job.nodes and not whole:
        cores = asked["cores"] // asked["nodes"]
        found.append(("exec_host", "+".join(f"{n}/0*{cores}" for n in job.nodes.split(","))))
    found += [
        ("Hold_Types", "u" if letter == "H" else "n"),
        ("Join_Path", "oe" if asked["out"] == asked["err"] else "n"),
        ("mtime", _stamp(job.ended or job.started or job.submitted)),
        ("Output_Path", f"{server}:{file_name(asked['out'], job)}"),
        ("qtime", _stamp(job.submitted)),
        ("Rerunable", str(asked["rerunnable"])),
        ("Resource_List.mem", f"{asked['memory_mib']}mb"),
        ("Resource_List.ncpus", str(asked["cores"])),
        ("Resource_List.nodect", str(asked["nodes"])),
        ("Resource_List.walltime", hhmmss(asked["walltime_s"])),
    ]
    if job.started and not whole:
        found += [("stime", _stamp(job.started)), ("run_count", str(job.starts))]
    variables = f"PBS_O_HOME=/root,PBS_O_WORKDIR={asked['submitted_in']},PBS_O_QUEUE=debug"
    more = asked.get("variables", "")
    found.append(("Variable_List", f"{variables},{more}" if more else variables))
    if _comment(job) and not whole:
        found.append(("comment", _comment(job)))
    if whole:
        found += [("array", "True"), ("array_state_count", _counts(members))]
    elif job.in_array:
        found += [
            ("array_id", printed_id(state, job.number, True)),
            ("array_index", str(job.element)),
        ]
    if job.ended and not whole:
        name = "exit_status" if torque(state) else "Exit_status"
        if job.started:
            found.append((name, str(exit_status(state, job))))
        found.append(("comp_time" if torque(state) else "obittime", _stamp(job.ended)))
    return found


def _counts(members: list[Job]) -> str:
    queued = sum(job.state == "PENDING" for job in members)
    running = sum(job.state == "RUNNING" for job in members)
    ended = len(members) - queued - running
    return f"Queued:{queued} Running:{running} Exiting:0 Expired:{ended} "


def full(state: State, members: list[Job], whole: bool) -> str:
    job = members[0]
    shown = printed_id(state, job.number, True) if whole else id_of(state, job)
    lines = [f"Job Id: {shown}\n"]
    for name, value in attributes(state, members, whole):
        lines.append(_folded(f"    {name} = {value}"))
    return "".join(lines) + "\n"


def _folded(line: str) -> str:
    """Long values go on after a tab, broken at a comma where there is one."""
    pieces = []
    while len(line) > WIDTH:
        at = line.rfind(",", 20, WIDTH) + 1 or WIDTH
        pieces.append(line[:at])
        line = line[at:]
    return "\n\t".join([*pieces, line]) + "\n"


def as_json(state: State, shown: list[Shown]) -> str:
    """Of one job only, as OpenPBS does."""
    import json

    jobs = {}
    for members, whole in shown[:1]:
        document: dict = {}
        for name, value in attributes(state, members, whole):
            group, dot, inner = name.partition(".")
            if dot:
                document.setdefault(group, {})[inner] = value
            elif name == "Variable_List":
                document[name] = dict(part.partition("=")[::2] for part in value.split(","))
            else:
                document[name] = value
        jobs[id_of(state, members[0])] = document
    head = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": "rehearsal"}
    return json.dumps({**head, "Jobs": jobs}, indent=4) + "\n"


def table(state: State, shown: list[Shown]) -> str:
    if not shown:
        return ""
    lines = [
        "Job id            Name             User              Time Use S Queue",
        "----------------  ---------------- ----------------  -------- - -----",
    ]
    for members, whole in shown:
        job, asked = members[0], members[0].request
        name = printed_id(state, job.number, True) if whole else id_of(state, job)
        used = hhmmss(job.cpu_s or 0.0)
        lines.append(
            f"{name[:16]:<17} {asked['name'][:16]:<16} {asked['user'][:16]:<16}  {used:>8} "
            f"{_letter(state, members, whole)} {asked['partition']}"
        )
    return "\n".join(lines) + "\n"


def queues(state: State, names: list[str], *, full: bool) -> str:
    lines = (
        []
        if full
        else ["Queue              Max   Tot Ena Str   Que   Run   Hld   Wat   Trn   Ext Type"]
    )
    for queue in state.settings["partitions"]:
        if names and queue["name"] not in names:
            continue
        jobs = state.jobs("ended IS NULL")
        mine = [job for job in jobs if job.request["partition"] == queue["name"]]
        queued = sum(job.state == "PENDING" for job in mine)
        running = len(mine) - queued
        if not full:
            lines.append(
                f"{queue['name']:<16} 0 {len(mine)} yes yes {queued} {running} 0 0 0 0 Exec"
            )
            continue
        lines += [
            f"Queue: {queue['name']}",
            "    queue_type = Execution",
            f"    total_jobs = {len(mine)}",
            f"    state_count = Transit:0 Queued:{queued} Held:0 Waiting:0 Running:{running} "
            "Exiting:0 Begun:0 ",
            f"    resources_max.walltime = {hhmmss(queue['walltime_s'])}",
            f"    resources_max.ncpus = {state.settings['nodes'] * state.settings['cores']}",
            "    enabled = True",
            "    started = True",
            "",
        ]
    return "\n".join(lines) + "\n"


def server(state: State) -> str:
    default = next(q["name"] for q in state.settings["partitions"] if q.get("default"))
    return (
        f"Server: {state.settings['name']}\n    server_state = Active\n"
        f"    default_queue = {default}\n    pbs_version = 23.06.06\n\n"
    )


def nodes_short(state: State, free: dict[str, int]) -> str:
    site = state.settings
    lines = [
        f"{'':56}mem       ncpus   nmics   ngpus",
        "vnode           state           njobs   run   susp      f/t        f/t     f/t     f/t  "
        " jobs",
        " ".join("-" * width for width in (15, 15, 6, 5, 6, 12, 7, 7, 7, 5)),
    ]
    for name in node_names(state):
        letter = "free" if free[name] > 0 else "job-busy"
        memory = f"{site['memory_mib']}mb/{site['memory_mib']}mb"
        cores, gpus = f"{free[name]}/{site['cores']}", f"{site['gpus']}/{site['gpus']}"
        lines.append(
            f"{name:<15} {letter:<15} {0:>6} {0:>5} {0:>6} {memory:>12} {cores:>7} {'0/0':>7} "
            f"{gpus:>7} --"
        )
    return "\n".join(lines) + "\n"


def nodes(state: State, free: dict[str, int]) -> str:
    site, blocks = state.settings, []
    for name in node_names(state):
        letter = "free" if free[name] > 0 else "job-exclusive" if torque(state) else "job-busy"
        if torque(state):
            lines = [f"     state = {letter}", f"     np = {site['cores']}", "     ntype = cluster"]
        else:
            lines = [
                f"     Mom = {name}",
                f"     state = {letter}",
                f"     pcpus = {site['cores']}",
                f"     resources_available.mem = {site['memory_mib'] * 1024}kb",
                f"     resources_available.ncpus = {site['cores']}",
                f"     resources_available.ngpus = {site['gpus']}",
                f"     resources_assigned.ncpus = {site['cores'] - free[name]}",
            ]
        blocks.append("\n".join([name, *lines, ""]))
    return "\n".join(blocks) + "\n"


def trace(state: State, job: Job) -> str:
    at = time.strftime("%m/%d/%Y %H:%M:%S", time.localtime(job.ended or job.submitted))
    lines = [
        f"Job: {id_of(state, job)}",
        "",
        f"{at}  S    enqueuing into {job.request['partition']}",
    ]
    if job.ended:
        lines.append(f"{at}  S    Exit_status={exit_status(state, job)}")
    return "\n".join(lines) + "\n"
