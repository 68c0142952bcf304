"""Runs models as plain processes of this machine: a folder of the node and a command.

For laptops, tests and nodes without an engine, where the settings name the folders. A session of
its own, limits and a watch over memory, but no walls: what it runs may do what the agent may.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clusters.agent import procfs
from clusters.agent.runtimes import cgroup
from clusters.agent.runtimes.base import (
    Handle,
    Launch,
    Runtime,
    RuntimeFailed,
    ServingSpec,
    Status,
)
from clusters.agent.runtimes.ends import KILLED, Kills, signal_of
from clusters.agent.runtimes.environments import Environments
from clusters.agent.runtimes.program import program_of, variables_of
from clusters.agent.runtimes.session import (
    KILLS,
    LIMIT,
    MEMORY,
    PLACE,
    PORT,
    WRAPPER,
    Session,
)
from clusters.agent.schedulers import marks
from clusters.agent.workspace import check_part, remove_tree

STARTED_S = 20.0
# What a process may ask of the kernel, so that no burst between two looks fells the machine.
DATA_FACTOR, DATA_MORE_MIB = 2, 1024
_GONE = Status(False, detail="Nothing is known of it any more.")


class Processes(Runtime):
    """`folders`: where folders of models may lie; `root`: for marks and environments of its own;
    `memory_factor`: how much more than it asked for a model may take, None: as much as it likes.
    """

    kind = "process"
    remedy = "it needs /bin/sh and Linux' /proc"

    def __init__(
        self, root: Path, folders: Sequence[Path], *, memory_factor: float | None = 1.0
    ) -> None:
        self.root = root / "launches"
        self.folders = tuple(folders)
        self.memory_factor = memory_factor
        self.environments = Environments(root / "environments")
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._controls: dict[str, Path] = {}
        self._kills = Kills()

    def about(self) -> dict[str, Any] | None:
        if not Path(marks.SHELL).exists() or not procfs.PROC.exists():
            return None
        return {
            "version": f"Python {platform.python_version()}",
            "rootless": os.geteuid() != 0,
            "gpus": shutil.which("nvidia-smi") is not None,
            "limits": [] if self.memory_factor is None else ["memory"],
        }

    def prepare(self, spec: ServingSpec, folder: Path) -> dict[str, Any]:
        place = self._folder(spec)
        made = self.environments.make(place, self._environments_in_use())
        program_of(spec, place, made)
        return {"folder": str(place), "environment": made.name[:12] if made else None}

    def start(self, launch: Launch) -> Handle:
        spec, session = launch.spec, self._session(launch.spec.replica, launch.number)
        known = session.identity
        if known is not None and (known.alive() or session.members()):
            return self._handle(session)
        for other in self._sessions(spec.replica):  # of an earlier launch, or ended
            if other.control != session.control or known is not None:
                self._delete(other)
        place = self._folder(spec)
        made = self.environments.make(place, self._environments_in_use())
        command = program_of(spec, place, made)
        session.control.mkdir(parents=True, exist_ok=True, mode=0o700)
        session.write(PORT, str(launch.port))
        session.write(PLACE, made.name if made else "")
        session.write(KILLS, str(cgroup.oom_kills() or 0))
        if self.memory_factor is not None:
            session.write(LIMIT, str(round(spec.memory_mib * self.memory_factor)))
        variables = variables_of(launch, made, session.mark)
        os.close(os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        words = [marks.SHELL, "-c", WRAPPER, "labportal", str(session.control), str(launch.log)]
        try:
            child = subprocess.Popen(  # noqa: S603  (a constant script; the rest are arguments)
                [*words, self._most_data(launch), *command],
                cwd=place,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise RuntimeFailed(f"The model's command cannot be started: {error}") from None
        _wait_for_mark(session, child)
        handle = self._handle(session)
        self._children[handle.reference] = child
        return handle

    def find(self, replica: str, number: int) -> Handle | None:
        session = self._session(replica, number)
        return self._handle(session) if session.identity else None

    def status(self, handles: Sequence[Handle]) -> Mapping[str, Status]:
        before = cgroup.oom_kills()
        sessions = {handle.reference: self._of(handle) for handle in handles}
        for reference in sessions:
            child = self._children.get(reference)
            if child is not None and child.poll() is not None:
                del self._children[reference]
        return {
            reference: _GONE if session is None else self._status(reference, session, before)
            for reference, session in sessions.items()
        }

    def signal(self, handle: Handle, *, kill: bool = False) -> None:
        session = self._of(handle)
        if session is None:
            return
        if kill:
            self._kills.by_us(handle.reference)
            session.kill()
        else:
            session.terminate()

    def remove(self, handle: Handle) -> None:
        session = self._of(handle)
        if session is not None:
            self._delete(session)
        child = self._children.pop(handle.reference, None)
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5.0)  # it was killed just now
        self._controls.pop(handle.reference, None)
        self._kills.forget(handle.reference)

    def strays(self, known: Sequence[str]) -> list[Handle]:
        return [
            self._handle(session)
            for session in self._sessions()
            if session.replica not in known and session.identity
        ]

    def _folder(self, spec: ServingSpec) -> Path:
        """Return a model's folder where the settings allow it. Raises RuntimeFailed."""
        folder = Path(spec.folder)
        try:
            found = folder.resolve(strict=True) if folder.is_absolute() else None
        except (OSError, RuntimeError, ValueError):
            found = None
        if found is None or not found.is_dir():
            raise RuntimeFailed(
                f"{spec.folder[:200]!r} is no folder of this node; write its whole path.",
                code="folder_refused",
            )
        roots = [root.resolve() for root in self.folders]
        if not any(root == found or root in found.parents for root in roots):
            named = ", ".join(map(str, self.folders)) or "none"
            raise RuntimeFailed(
                f"The settings of this agent do not let models run from {found}; folders of models "
                f"may lie in: {named} ([serving] folders).",
                code="folder_refused",
            )
        return found

    def _most_data(self, launch: Launch) -> str:
        """Return the limit of a process's own memory in KiB; CUDA maps far more than it uses."""
        if launch.gpus or self.memory_factor is None:
            return "unlimited"
        most = DATA_FACTOR * self.memory_factor * launch.spec.memory_mib + DATA_MORE_MIB
        return str(round(most * 1024))

    # What is known of launches

    def _session(self, replica: str, number: int) -> Session:
        return Session(self.root / check_part(replica) / str(int(number)))

    def _sessions(self, replica: str = "*") -> Iterator[Session]:
        for control in sorted(self.root.glob(f"{replica}/*")):
            if control.name.isdigit():
                yield Session(control)

    def _handle(self, session: Session) -> Handle:
        self._controls[session.reference] = session.control
        return Handle(self.kind, session.reference, session.port)

    def _of(self, handle: Handle) -> Session | None:
        control = self._controls.get(handle.reference)
        if control is not None and control.exists():
            return Session(control)
        for session in self._sessions():
            if session.reference == handle.reference:
                self._controls[handle.reference] = session.control
                return session
        return None

    def _environments_in_use(self) -> set[str]:
        found = (session.control / PLACE for session in self._sessions())
        return {path.read_text(encoding="utf-8") for path in found if path.exists()}

    def _status(self, reference: str, session: Session, kills: int | None) -> Status:
        """`kills`: the kernel's count before anything was looked at."""
        members = session.members() if session.code is None else []
        if members:
            used = round(sum(stat.rss for stat in members) * procfs.PAGE_KIB / 1024, 1)
            self._kills.note(reference, kills)
            return Status(
                True,
                cpu_s=sum(stat.ticks for stat in members) / procfs.TICKS_PER_S,
                memory_mib=self._within_limit(session, members, used),
            )
        session.kill()  # what a program that has ended left running
        code = session.code
        first, now = session.number(KILLS) or 0, cgroup.oom_kills()
        by_kernel = self._kills.for_memory(reference, code, now=now, first=first)
        too_much = session.number(MEMORY)
        if code is None and (self._kills.are_ours(reference) or too_much is not None):
            code = KILLED  # the shell that would have told was ended with it
        return Status(
            False,
            code=code,
            signal=signal_of(code),
            out_of_memory=too_much is not None or by_kernel,
            detail=f"It was ended at {too_much:,} MiB." if too_much else "",
        )

    def _within_limit(self, session: Session, members: Sequence[procfs.Stat], used: float) -> float:
        """Return the memory in use; who takes more than it asked for is ended."""
        limit = session.number(LIMIT)
        if limit is None or used <= limit:
            return used
        own = procfs.own_mib(stat.pid for stat in members)
        if own is None or own <= limit:
            return used if own is None else round(own, 1)
        session.write(MEMORY, str(round(own)))
        session.kill()
        return round(own, 1)

    def _delete(self, session: Session) -> None:
        session.kill()
        remove_tree(session.control)
        with contextlib.suppress(OSError):
            session.control.parent.rmdir()


def _wait_for_mark(session: Session, child: subprocess.Popen[bytes]) -> None:
    """Wait until the shell has said that it runs; without that nobody would know it again."""
    end = time.monotonic() + STARTED_S
    while session.identity is None:
        if child.poll() is not None and session.identity is None:
            raise RuntimeFailed(f"The model's mark could not be written in {session.control}.")
        if time.monotonic() > end:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            raise RuntimeFailed(f"The model was not begun within {STARTED_S:g} s.")
        time.sleep(0.005)
