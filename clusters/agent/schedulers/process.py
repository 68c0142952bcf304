"""Runs programs as plain processes of this machine, each in a session of its own.

A constant shell script (`marks.py`) stands between agent and program, so that the exit code is on
disk although the agent may be gone. No text is interpolated into it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Callable

from clusters.agent import procfs
from clusters.agent.procfs import Identity
from clusters.agent.schedulers import marks
from clusters.agent.schedulers.base import Job, Key, Scheduler, Standing, StartFailed, Status


class ProcessScheduler(Scheduler):
    """Plain processes. `ended` is called with the key of a job whose wrapper is gone."""

    kind = "process"

    def __init__(
        self,
        selector: selectors.BaseSelector,
        ended: Callable[[Key], None],
        *,
        use_pidfd: bool = hasattr(os, "pidfd_open"),
    ) -> None:
        self.selector = selector
        self.ended = ended
        self.use_pidfd = use_pidfd
        self.poll_s = None
        self._children: dict[Key, subprocess.Popen[bytes]] = {}
        self._watched: dict[Key, Identity] = {}
        self._descriptors: dict[Key, int] = {}
        self._polled: dict[Key, Identity] = {}
        self._usage: dict[Key, tuple[float, float]] = {}

    def start(self, job: Job) -> str:
        stdin = str(job.folder / job.stdin_file) if job.stdin_file else os.devnull
        try:
            child = subprocess.Popen(  # noqa: S603  (a constant script; the rest are arguments)
                [
                    marks.SHELL,
                    "-c",
                    marks.WRAPPER,
                    "labportal",
                    job.control,
                    job.log_file,
                    stdin,
                    *job.command,
                ],
                cwd=job.folder,
                env=dict(job.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except ValueError as error:  # a NUL in an argument
            raise StartFailed(f"the program's command cannot be used: {error}") from None
        self._children[job.key] = child
        stat = procfs.read_stat(child.pid)  # not reaped yet, so the number is certainly ours
        self._watch(job.key, Identity(procfs.boot_id(), child.pid, stat.start if stat else 0))
        return str(child.pid)

    def find(self, job: Job) -> Standing:
        child = self._children.get(job.key)
        lives = child is not None and not self._reap(job.key, child)
        identity, started_at = marks.read_started(job.control)
        if child is not None and lives:
            return Standing(Status.ALIVE, str(child.pid), started_at=started_at)
        # Whether it lives is asked before how it ended: what ends in between has not vanished.
        lives = identity is not None and identity.alive()
        code, finished_at = marks.read_exit(job.control)
        if child is not None and identity is None and child.returncode is not None:
            self._forget(job.key)
        if code is not None:
            self._forget(job.key)
            cpu_s, rss = self._usage.pop(job.key, (marks.read_times(job.control), None))
            scheduler_id = str(identity.pid) if identity else ""
            return Standing(
                Status.ENDED, scheduler_id, code, started_at, finished_at, cpu_s, max_rss_mib=rss
            )
        if identity is None:
            marked = marks.has_begun(job.control)
            return Standing(Status.VANISHED if marked else Status.ABSENT)
        status = Status.ALIVE if lives else Status.VANISHED
        return Standing(status, str(identity.pid), started_at=started_at)

    def watch(self, job: Job) -> None:
        identity, _ = marks.read_started(job.control)
        if identity is not None and self._watched.get(job.key) != identity:
            self._forget(job.key)
            self._watch(job.key, identity)

    def stop(self, job: Job, *, force: bool) -> None:
        child, (identity, _) = self._children.get(job.key), marks.read_started(job.control)
        number = signal.SIGKILL if force else signal.SIGTERM
        if child is not None and child.returncode is None:
            _signal_group(child.pid, number)  # not reaped, so the group is certainly ours
        elif identity is not None and procfs.session_members(identity):
            _signal_group(identity.pid, number)

    def poll(self) -> list[Key]:
        """Return jobs that ended, for kernels that have no pidfd."""
        gone = []
        for key, identity in list(self._polled.items()):
            child = self._children.get(key)
            if self._reap(key, child) if child is not None else not identity.alive():
                gone.append(key)
                self._forget(key)
        return gone

    def memory_mib(self) -> dict[Key, float]:
        if not self._watched:
            return {}
        sessions = procfs.session_memory_mib()
        return {
            key: sessions[identity.pid]
            for key, identity in self._watched.items()
            if identity.pid in sessions
        }

    def exact_memory_mib(self, job: Job) -> float | None:
        identity = self._watched.get(job.key)
        return procfs.proportional_mib(identity) if identity else None

    def _watch(self, key: Key, identity: Identity) -> None:
        self._watched[key] = identity
        descriptor = self._open_descriptor(key, identity)
        if descriptor is None:
            self._polled[key] = identity
            self.poll_s = 0.1
            return
        self._descriptors[key] = descriptor
        self.selector.register(descriptor, selectors.EVENT_READ, lambda: self._readable(key))

    def _open_descriptor(self, key: Key, identity: Identity) -> int | None:
        if not self.use_pidfd:
            return None
        try:
            descriptor = os.pidfd_open(identity.pid)
        except OSError:  # gone already, or a kernel before 5.3: polling tells
            return None
        if key not in self._children and not identity.alive():  # a recycled number
            os.close(descriptor)
            return None
        return descriptor

    def _readable(self, key: Key) -> None:
        child = self._children.get(key)
        if child is not None:
            self._reap(key, child)
        self._forget(key)
        self.ended(key)

    def _reap(self, key: Key, child: subprocess.Popen[bytes]) -> bool:
        """Whether the wrapper has ended; what it left running in its session is killed then."""
        if child.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            if os.waitid(os.P_PID, child.pid, flags) is None:
                return False
            _signal_group(child.pid, signal.SIGKILL)  # before the number is free for others
            _, status, usage = os.wait4(child.pid, 0)
        except ChildProcessError:
            child.returncode = -1
            return True
        child.returncode = os.waitstatus_to_exitcode(status)
        self._usage[key] = (usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
        return True

    def _forget(self, key: Key) -> None:
        descriptor = self._descriptors.pop(key, None)
        if descriptor is not None:
            self.selector.unregister(descriptor)
            os.close(descriptor)
        child = self._children.get(key)
        if child is not None and child.returncode is not None:
            del self._children[key]
        self._watched.pop(key, None)
        self._polled.pop(key, None)
        if not self._polled:
            self.poll_s = None


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
