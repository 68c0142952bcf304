"""Starts the jobs of a fake site as processes, one forked runner each, and writes down their end.

There is no daemon: every call of a program, and every runner at its end, starts what fits by then.
A runner that was killed leaves a job whose node has failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from typing import Any

from clusters.rehearsal import faults
from clusters.rehearsal.state import Job, State, select, update

BEHIND = "UPDATE jobs SET reason = 'Priority' WHERE state = 'PENDING' AND reason = 'None'"
UNBORN_S = 10.0  # so long may a runner need to write down who it is
ENDINGS = {
    "node_fail": "NODE_FAIL",
    "oom": "OUT_OF_MEMORY",
    "timeout": "TIMEOUT",
    "preempt": "PREEMPTED",
    "cancelled": "CANCELLED",
    "requeue": "REQUEUED",
    "lose": "LOST",
    "lose_sight": "HIDDEN",
}


def advance(state: State, environment: dict[str, str] | None = None) -> None:
    """Note whose runner is gone, and start what waits and fits."""
    now = time.time()
    with state.open() as rows:
        running = select(rows, "state = 'RUNNING'")
        for job in running:
            _look_after(rows, job, now)
        running = [job for job in running if job.state == "RUNNING"]
        started = _choose(state, rows, running, now)
    for job in started:
        _launch(state, job)


def _look_after(rows: sqlite3.Connection, job: Job, now: float) -> None:
    if not job.runner:
        if now - (job.started or now) > UNBORN_S:
            update(rows, job, state="PENDING", started=None)
    elif not alive(job.runner):
        end_session(job)
        update(rows, job, state="NODE_FAIL", ended=now, code=None, signal=9)


def _choose(state: State, rows: sqlite3.Connection, running: list[Job], now: float) -> list[Job]:
    """Mark what starts now, in the order of submission; nobody overtakes."""
    free = free_cores(state, running)
    held = faults.take(state.folder, "queue", faults.OF_QUEUE)
    wait_s = max((float(fault.get("seconds", 5)) for fault in held), default=0.0)
    stalled = any(fault["kind"] == "stall" for fault in held)
    chosen: list[Job] = []
    waiting = select(rows, "state = 'PENDING' AND reason != 'JobHeldUser' ") if any(free) else []
    for job in waiting:
        if stalled or (wait_s and now - job.submitted < wait_s):
            break
        limit, siblings = job.request.get("at_once") or 0, [*running, *chosen]
        if limit and sum(other.number == job.number for other in siblings) >= limit:
            _explain(rows, job, "JobArrayTaskLimit")
            continue
        nodes = _place(free, job)
        if not nodes:
            _explain(rows, job, "Resources")
            rows.execute(BEHIND)
            break
        update(
            rows, job, state="RUNNING", started=now, nodes=",".join(nodes), runner="",
            reason="None", wanted="", starts=job.starts + 1,
        )  # fmt: skip
        chosen.append(job)
    return chosen


def _explain(rows: sqlite3.Connection, job: Job, reason: str) -> None:
    if job.reason != reason:
        update(rows, job, reason=reason)


def node_names(state: State) -> list[str]:
    return [f"node{number}" for number in range(1, state.settings["nodes"] + 1)]


def free_cores(state: State, running: list[Job]) -> dict[str, int]:
    free = dict.fromkeys(node_names(state), state.settings["cores"])
    for job in running:
        names = job.nodes.split(",")
        for name in names:
            free[name] = free.get(name, 0) - _cores_per_node(job, len(names))
    return free


def _cores_per_node(job: Job, nodes: int) -> int:
    return -(-job.request["cores"] // max(nodes, 1))


def _place(free: dict[str, int], job: Job) -> list[str]:
    """Take room for a job and return the names of its nodes; none where it does not fit."""
    wanted = job.request["nodes"]
    cores = _cores_per_node(job, wanted)
    found = [name for name, left in free.items() if left >= cores][:wanted]
    if len(found) < wanted:
        return []
    for name in found:
        free[name] -= cores
    return found


def _launch(state: State, job: Job) -> None:
    """Fork a runner that belongs to nobody: it outlives whoever started it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.closerange(3, 4096)
        os.chdir(state.folder)
        Runner(state, job).run()
    finally:
        os._exit(0)


class Runner:
    """Executes one job, in a process of its own."""

    def __init__(self, state: State, job: Job) -> None:
        self.state, self.job = state, job
        self.ending = ""
        self.deadlines: list[tuple[float, str]] = []

    def run(self) -> None:
        signals = {signal.SIGCHLD, signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        with self.state.open() as rows:
            current = self._current(rows)
            if current.state != "RUNNING" or current.runner:
                return
            update(rows, self.job, runner=identity(os.getpid()))
        self._expect()
        program = _execute(self.state, self.job)
        self.state.update(self.job, runner=f"{self.job.runner} {program}")
        status, usage = self._watch(program, signals)
        self._finish(status, usage)
        advance(self.state)

    def _current(self, rows: sqlite3.Connection) -> Job:
        return select(rows, "number = ? AND element = ?", self.job.number, self.job.element)[0]

    def _expect(self) -> None:
        """Set the moments at which something will happen to the job."""
        now = time.time()
        limit = self.state.settings["limit_s"] or self.job.request["walltime_s"]
        if limit:
            self.deadlines.append((now + limit, "TIMEOUT"))
        for fault in faults.take(self.state.folder, "job", faults.OF_JOBS):
            moment = now + float(fault.get("after_s", 0.0))
            self.deadlines.append((moment, ENDINGS[fault["kind"]]))

    def _watch(self, program: int, signals: set[signal.Signals]) -> tuple[int, Any]:
        while True:
            with contextlib.suppress(ChildProcessError):
                found, status, usage = os.wait4(program, os.WNOHANG)
                if found:
                    _kill(program, signal.SIGKILL)
                    return status, usage
            next_s = min((moment for moment, _ in self.deadlines), default=time.time() + 60)
            caught = signal.sigtimedwait(signals, max(0.0, next_s - time.time()))
            if caught is not None and caught.si_signo == signal.SIGUSR1:
                with self.state.open() as rows:
                    wanted = self._current(rows).wanted
                self._end(program, wanted)
            for moment, what in list(self.deadlines):
                if moment <= time.time():
                    self.deadlines.remove((moment, what))
                    self._end(program, what)

    def _end(self, program: int, what: str) -> None:
        """Begin to end the job in one of the ways in which schedulers do."""
        if what == "HIDDEN":
            self.state.update(self.job, hidden=1)
        elif what == "KILL":
            _kill(program, signal.SIGKILL)
        elif what.startswith("SIGNAL"):
            _kill(program, int(what.split()[1]))
        elif what in ("NODE_FAIL", "LOST", "REQUEUED"):
            self.ending = what
            _kill(program, signal.SIGKILL)
        elif what == "OUT_OF_MEMORY":  # as the kernel does: the program dies, its shell goes on
            self.ending = what
            others = [process for process in session_of(program) if process != program]
            for process in others or [program]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        elif what:
            self.ending = self.ending or what
            _kill(program, signal.SIGTERM)
            self.deadlines.append((time.time() + self.state.settings["kill_wait_s"], "KILL"))

    def _finish(self, status: int, usage: Any) -> None:
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        values: dict[str, Any] = {
            "ended": time.time(),
            "code": code,
            "signal": number,
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
            "rss_kib": usage.ru_maxrss,
            "state": self.ending or ("COMPLETED" if status == 0 else "FAILED"),
        }
        if self.ending == "REQUEUED":
            values = {"state": "PENDING", "started": None, "runner": "", "nodes": ""}
        elif self.ending == "LOST":
            values["hidden"] = 1
        self.state.update(self.job, **values)


def _execute(state: State, job: Job) -> int:
    """Start the job's script in a session of its own and return its process id."""
    request = job.request
    script = f"{state.folder}/scripts/{job.number}"
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.chdir(request["folder"])
        out, err = file_name(request["out"], job), file_name(request["err"], job)
        _open_as(request.get("in") or os.devnull, os.O_RDONLY, 0)
        _open_as(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 1)
        if err == out:
            os.dup2(1, 2)
        else:
            _open_as(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 2)
        environment = {**request["environment"], **_told(state, job)}
        os.execve(script, [script, *request["arguments"]], environment)  # noqa: S606
    except OSError:
        os._exit(1)
    finally:
        os._exit(127)


def file_name(pattern: str, job: Job) -> str:
    for mark, value in (
        ("%A", job.number),
        ("%a", job.element),
        ("%j", raw_id(job)),
        ("%x", job.request["name"]),
        ("^array_index^", job.element),
    ):
        pattern = pattern.replace(mark, str(value))
    return pattern


def _told(state: State, job: Job) -> dict[str, str]:
    """What the scheduler tells a job of itself."""
    request, nodes = job.request, job.nodes.split(",")
    if state.settings["kind"] == "slurm":
        told = {
            "SLURM_JOB_ID": str(raw_id(job)),
            "SLURM_JOBID": str(raw_id(job)),
            "SLURM_JOB_NAME": request["name"],
            "SLURM_JOB_NODELIST": job.nodes,
            "SLURM_JOB_NUM_NODES": str(len(nodes)),
            "SLURM_NTASKS": str(request["tasks"]),
            "SLURM_CPUS_ON_NODE": str(_cores_per_node(job, len(nodes))),
            "SLURM_SUBMIT_DIR": request["submitted_in"],
            "SLURM_RESTART_COUNT": str(job.starts - 1),
        }
        if job.in_array:
            told["SLURM_ARRAY_JOB_ID"] = str(job.number)
            told["SLURM_ARRAY_TASK_ID"] = str(job.element)
        return told
    told = {
        "PBS_JOBID": _pbs_id(state, job),
        "PBS_JOBNAME": request["name"],
        "PBS_O_WORKDIR": request["submitted_in"],
        "PBS_ENVIRONMENT": "PBS_BATCH",
        "PBS_QUEUE": request["partition"],
        "NCPUS": str(request["cores"]),
    }
    if job.in_array:
        told["PBS_ARRAYID" if state.settings["kind"] == "torque" else "PBS_ARRAY_INDEX"] = str(
            job.element
        )
    return told


def _pbs_id(state: State, job: Job) -> str:
    element = f"[{job.element}]" if job.in_array else ""
    return f"{job.number}{element}.{state.settings['name']}"


def raw_id(job: Job) -> int:
    """Slurm gives each element of an array a number of its own as well."""
    return job.number if not job.in_array else job.number * 10_000 + job.element


def _open_as(path: str, flags: int, descriptor: int) -> None:
    opened = os.open(path, flags, 0o644)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)


def want(state: State, job: Job, what: str) -> None:
    """Have something happen to a job: an end as accounting calls it, "SIGNAL n", "HIDDEN"."""
    if job.state == "PENDING":
        values: dict[str, Any] = {"state": what, "ended": time.time()}
        if what in ("HIDDEN", "LOST"):
            values = {"hidden": 1, "state": "CANCELLED"}
        if what.startswith("SIGNAL"):
            return
        state.update(job, **values)
    elif job.state == "RUNNING":
        state.update(job, wanted=what)
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(job.runner.split()[0]), signal.SIGUSR1)


def identity(process: int) -> str:
    """A process by its number and its start, since numbers come again."""
    return f"{process} {_stat(process)[19]}"


def alive(runner: str) -> bool:
    process, start = runner.split()[:2]
    stat = _stat(int(process))
    return bool(stat) and stat[19] == start and stat[0] != "Z"


def end_session(job: Job) -> None:
    """Kill what a runner that is gone has left."""
    words = job.runner.split()
    if len(words) > 2:
        _kill(int(words[2]), signal.SIGKILL)


def session_of(leader: int) -> list[int]:
    processes = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [p for p in processes if (stat := _stat(p)) and stat[3] == str(leader)]


def _stat(process: int) -> list[str]:
    """The words of /proc/…/stat after the name; none where the process is gone."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def _kill(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
