"""What the attributes of a job mean: where it stands, why it waits, how it ended, what it used."""

from __future__ import annotations

import re
from collections.abc import Mapping

from clusters.agent.schedulers.base import Ending, Status
from clusters.agent.schedulers.dialect import Accounting, JobState
from clusters.agent.schedulers.pbs_text import mib, moment, seconds, variables

MARKER = "LABPORTAL_JOB"  # the variable that holds the whole name; PBS shows 15 letters of a name
STATES = {
    **dict.fromkeys("QHWT", Status.PENDING),
    **dict.fromkeys("RESUB", Status.ALIVE),
    **dict.fromkeys("FXC", Status.ENDED),
}
# Exit codes of PBS itself, see JOB_EXEC_* in the PBS Professional guides.
ENDINGS = {
    -3: Ending.NODE_FAIL,  # execution failed, to be tried again
    -4: Ending.NODE_FAIL,  # the node's daemon began anew
    -5: Ending.NODE_FAIL,
    -6: Ending.NODE_FAIL,
    -11: Ending.NODE_FAIL,  # put back into the queue
    -26: Ending.OUT_OF_MEMORY,  # virtual memory
    -27: Ending.OUT_OF_MEMORY,
    -28: Ending.TIMEOUT,  # processor time
    -29: Ending.TIMEOUT,
}
SIGNALLED = 256  # and more: ended by that signal
LAST_SIGNAL = 64
DELETED = "91"  # the substate of a job that was deleted
MARGIN = 0.98  # of the walltime: versions before 14 do not say that it was exceeded
BY_COMMENT = (
    (re.compile(r"exceeded resource (wall|cpu)?(time|t)\b|walltime .*exceeded"), Ending.TIMEOUT),
    (re.compile(r"exceeded resource v?mem|out of memory|oom", re.IGNORECASE), Ending.OUT_OF_MEMORY),
    (re.compile(r"preempt", re.IGNORECASE), Ending.PREEMPTED),
    (re.compile(r"\b(node|mom)\b.{0,40}\b(down|fail|offline|lost)", re.I), Ending.NODE_FAIL),
    (re.compile(r"and terminated|deleted|job was killed by", re.IGNORECASE), Ending.CANCELLED),
)
PLACES = re.compile(r"\([^)]*\)")  # names of nodes in a comment
NEVER = re.compile(r"can never run", re.IGNORECASE)
SCARCE = re.compile(r"insufficient amount of (?:queue |server )?resource:? *(\w+)", re.IGNORECASE)
RESOURCES = {
    "ncpus": "cores",
    "mem": "memory",
    "vmem": "memory",
    "ngpus": "GPUs",
    "nodect": "nodes",
}
HELD = {
    "u": "it is held back in the queue",
    "o": "an operator of the cluster holds it back",
    "s": "the cluster's system holds it back",
    "d": "another job has to end first",
}
REASONS = (
    (re.compile(r"not enough (free )?nodes|no.*nodes.*available", re.I), "it waits for free nodes"),
    (re.compile(r"dedicated time|maintenance", re.I), "a maintenance lies ahead"),
    (re.compile(r"top job|starv|higher priority", re.I), "jobs of higher priority come first"),
    (re.compile(r"too many failed attempts", re.I), "it is held: the cluster could not start it"),
    (re.compile(r"queue not started|queue is not", re.I), "its queue is stopped"),
    (re.compile(r"(user|group|project|account|queue|server|complex).*limit", re.I),
     "the site's limit of jobs at a time is reached"),
    (re.compile(r"reserv", re.I), "a reservation has to begin first"),
)  # fmt: skip


def state_of(job: Mapping[str, str]) -> JobState:
    """Say what an answer of the queue tells of one job."""
    letter = job["job_state"].strip()
    status = STATES.get(letter, Status.UNKNOWN)
    comment = " ".join(job.get("comment", "").split())
    waits = status is Status.PENDING
    ended = status is Status.ENDED
    never = waits and bool(NEVER.search(comment))
    exit_code, ending = end_of(job) if ended else (None, Ending.NORMAL)
    return JobState(
        status,
        letter,
        variables(job.get("Variable_List", "")).get(MARKER, ""),
        reason=_reason(job, comment) if waits else "",
        text=_waits_for(job, comment) if waits else "",
        refused=f"PBS would let the job wait for ever: {comment}." if never else "",
        partition=job.get("queue", ""),
        expected_start=moment(job.get("estimated.start_time", "")) if waits else None,
        ending=ending,
        exit_code=exit_code,
        nodes=nodes_of(job),
        submitted_at=moment(job.get("qtime", "") or job.get("ctime", "")),
        started_at=None if waits else _started(job),
        finished_at=_ended(job) if ended else None,
    )


def accounting_of(id: str, job: Mapping[str, str]) -> Accounting:
    """Say what history tells of one job."""
    ended = STATES.get(job["job_state"].strip()) is Status.ENDED
    exit_code, ending = end_of(job) if ended else (None, Ending.NORMAL)
    signal = exit_code - 128 if exit_code is not None and 128 < exit_code < 193 else None
    shown = ("job_state", "Exit_status", "exit_status", "comment")
    used = [f"{name}={value}" for name, value in job.items() if name.startswith("resources_used.")]
    told = [f"{name} = {' '.join(job[name].split())}" for name in shown if name in job]
    return Accounting(
        job["job_state"].strip(),
        ended,
        variables(job.get("Variable_List", "")).get(MARKER, ""),
        ending,
        exit_code,
        signal,
        nodes_of(job),
        seconds(job.get("resources_used.walltime", "")),
        seconds(job.get("resources_used.cput", "")),
        mib(job.get("resources_used.mem", "")),
        moment(job.get("qtime", "") or job.get("ctime", "")),
        _started(job),
        _ended(job) if ended else None,
        (f"qstat of job {id}: {'; '.join(told)}", *([" ".join(used)] if used else [])),
    )


def end_of(job: Mapping[str, str]) -> tuple[int | None, Ending]:
    """Return the exit code as a shell gives it, None where the program had none, and how it came
    about.
    """
    status = _exit_status(job)
    comment = PLACES.sub("", job.get("comment", ""))
    said = next((ending for pattern, ending in BY_COMMENT if pattern.search(comment)), None)
    if status is None:
        deleted = job.get("substate") == DELETED
        return None, said or (Ending.CANCELLED if deleted else Ending.NORMAL)
    if status == 0:  # the script has outlived the program that was ended
        return 0, said or Ending.NORMAL
    if status < 0:
        return None, ENDINGS.get(status, said or Ending.NORMAL)
    if status <= SIGNALLED or status > SIGNALLED + LAST_SIGNAL:
        return min(status, 255), said or Ending.NORMAL
    if said in (None, Ending.CANCELLED) and _used_all(job):
        said = Ending.TIMEOUT
    return 128 + status - SIGNALLED, said or Ending.CANCELLED


def _exit_status(job: Mapping[str, str]) -> int | None:
    text = job.get("Exit_status", job.get("exit_status", "")).strip()
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else None


def _used_all(job: Mapping[str, str]) -> bool:
    used = seconds(job.get("resources_used.walltime", ""))
    limit = seconds(job.get("Resource_List.walltime", ""))
    return bool(used and limit) and used >= MARGIN * limit


def nodes_of(job: Mapping[str, str]) -> str:
    """Read the names of the nodes out of exec_host: node1/0*4+node2/0*4."""
    names: list[str] = []
    for part in job.get("exec_host", "").split("+"):
        name = part.strip().partition("/")[0]
        if name and name != "--" and name not in names:
            names.append(name)
    return ",".join(names)


def _started(job: Mapping[str, str]) -> float | None:
    return moment(job.get("stime", "") or job.get("start_time", ""))


def _ended(job: Mapping[str, str]) -> float | None:
    for name in ("obittime", "comp_time"):
        if job.get(name):
            return moment(job[name])
    # Slurm's wrappers call the start mtime and the end ctime.
    changes = [moment(job.get(name, "")) for name in ("mtime", "ctime")]
    return max((change for change in changes if change is not None), default=None)


def _reason(job: Mapping[str, str], comment: str) -> str:
    if job["job_state"].strip() == "H":
        return f"Hold_Types = {job.get('Hold_Types', '?')}"
    return comment or {"W": "waits for its time", "T": "is moved"}.get(job["job_state"].strip(), "")


def _waits_for(job: Mapping[str, str], comment: str) -> str:
    """Say why a job waits: in our words where we have some, else in PBS's."""
    scarce = SCARCE.search(comment)
    if scarce and scarce[1].lower() in RESOURCES:
        return f"too few {RESOURCES[scarce[1].lower()]} are free"
    for pattern, words in REASONS:
        if pattern.search(comment):
            return words
    if job["job_state"].strip() == "H":
        return HELD.get(job.get("Hold_Types", "")[:1], "it is held back in the queue")
    return f"the scheduler says {comment}" if comment else ""
