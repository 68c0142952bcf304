"""One throw-away site of a rehearsal with its real agent, started from the agent file."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from clusters.rehearsal.plan import Step
from clusters.rehearsal.site import Site

PR_SET_PDEATHSIG = 1
CONFIG = """[portal]
url = {url}
key = {key}
allow_http = yes
[agent]
work = {work}
slots = {slots}
grace_s = 2
scheduler = {scheduler}
gpus = none
[serving]
enabled = no
[software.rehearsal]
marks = {marks}
"""
SCHEDULER = """[scheduler]
path = {path}
poll_s = 1
misses = 3
missing_s = 6
submit_pause_s = 1
patience_s = 6
timeout_s = 10
max_jobs = {slots}
"""


class Stand:
    """`kind` is slurm, pbs, torque or process; `marks` collects a line per execution."""

    def __init__(self, folder: Path, name: str, kind: str, *, cores: int) -> None:
        self.name, self.kind, self.folder = name, kind, folder
        self.marks = folder / "marks"
        self.marks.mkdir(parents=True)
        self.site = None
        if kind != "process":
            self.site = Site(folder / "site", kind, nodes=2, cores=max(1, cores // 2))
        self.slots = cores if kind == "process" else 10 * cores
        self._agent: subprocess.Popen[bytes] | None = None
        self._later: list[tuple[float, str]] = []
        self._healed_hits = 0  # of faults that have ended

    def settle(self, agent_file: Path, *, url: str, key: str) -> None:
        """Write the agent's settings and start it."""
        scheduler = {"slurm": "slurm", "process": "process"}.get(self.kind, "pbs")
        text = CONFIG.format(
            url=url,
            key=key,
            work=self.folder / "work",
            slots=self.slots,
            scheduler=scheduler,
            marks=self.marks,
        )
        if self.site is not None:
            text += SCHEDULER.format(path=self.site.programs, slots=self.slots)
        config = self.folder / "agent.ini"
        config.touch(mode=0o600)
        config.write_text(text)
        self._command = [sys.executable, str(agent_file), "--config", str(config), "run", "--quiet"]
        self.start()

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LABPORTAL_")}
        with (self.folder / "agent.out").open("ab") as out:
            self._agent = subprocess.Popen(  # noqa: S603  (the agent file that we have built)
                self._command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def suffer(self, step: Step) -> None:
        """Let one step of the plan happen here."""
        seconds = float(step.details.get("seconds", 2))
        if step.kind == "agent_kill":
            self.kill()
            self._later.append((time.monotonic() + seconds, "start"))
        elif step.kind == "agent_stop":
            self._signal(signal.SIGSTOP)
            self._later.append((time.monotonic() + seconds, "go on"))
        elif step.kind == "heal" and self.site is not None:
            self._healed_hits = self.fault_hits()
            self.site.heal()
        elif self.site is not None and step.kind != "heal":
            self.site.fault(step.kind, **step.details)

    def tick(self) -> None:
        """Do what is due by now."""
        for item in [item for item in self._later if item[0] <= time.monotonic()]:
            self._later.remove(item)
            self.start() if item[1] == "start" else self._signal(signal.SIGCONT)

    def ended(self) -> str:
        """What the agent said last, where it has ended by itself; "" while all is well."""
        agent = self._agent
        if agent is None or agent.poll() is None or any(what == "start" for _, what in self._later):
            return ""
        text = (self.folder / "agent.out").read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else f"its agent ended with code {agent.returncode}"

    def executions(self) -> dict[str, int]:
        """How often the program ran in each folder; every attempt has one of its own."""
        counts: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError):
            for line in (self.marks / "ran").read_text().splitlines():
                counts[line] = counts.get(line, 0) + 1
        return counts

    def waiting(self) -> int:
        """How many jobs the site's own queue holds."""
        return sum(job.state == "PENDING" for job in self.site.jobs()) if self.site else 0

    def submitted_twice(self) -> int:
        """How many jobs the site took of which it had one already."""
        jobs = self.site.jobs() if self.site else []
        return len(jobs) - len(
            {(job.request["variables"] or job.request["name"], job.element) for job in jobs}
        )

    def fault_hits(self) -> int:
        now = sum(fault["hits"] for fault in self.site.faults) if self.site else 0
        return self._healed_hits + now

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._agent is not None:
            self._agent.wait(20)

    def close(self) -> None:
        """End agent, site and programs."""
        self.kill()
        if self.site is not None:
            self.site.close()
        for process in _programs_below(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._agent is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._agent.pid, number)


def _end_with_parent() -> None:
    """Whoever kills the rehearsal ends its agents too (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _programs_below(folder: Path) -> list[int]:
    """What agents started goes on without them; it is known by where it runs."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return [process for process in found if process != os.getpid()]
