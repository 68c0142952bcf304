"""Makes a run's folder ready and says what is to be started there.

Runs in worker threads. `blame` decides whose fault a failure is: the hardware's (the portal tries
again elsewhere) or the run's own (it has failed).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calculations.software.base import RunSpec, Software
from calculations.software.registry import UnknownSoftware
from clusters.agent.config import Config
from clusters.agent.evaluation import failure, plugin_error
from clusters.agent.rationing import BeyondMachine
from clusters.agent.schedulers.base import Job, StartFailed, SubmissionRefused
from clusters.agent.schedulers.choice import launcher_of
from clusters.agent.staging import Staging, StagingFailed
from clusters.agent.workspace import UnsafeName, Workspace, matches

SECRET_WORDS = ("SECRET", "TOKEN", "PASSWORD", "PASSWD", "API_KEY", "APIKEY", "CREDENTIAL")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class DiskFull(Exception):
    """Too little room to begin."""


class NothingCarried(Exception):
    """The run before left no file of a name that this one was to take; the message names it."""


@dataclass
class Preparation:
    """Makes runs ready on one machine."""

    config: Config
    workspace: Workspace
    staging: Staging
    software: Callable[[str], Software]

    def prepare(self, spec: RunSpec, carry_attempt: int | None) -> Job:
        """Return a job whose folder holds all it needs. Raises what `blame` understands."""
        if self.workspace.free_mib() < self.config.minimum_free_mib:
            raise DiskFull
        plugin = self.software(spec.software)
        folder = self.workspace.make(spec.run, spec.attempt)
        self.staging.fetch(folder, spec.run, spec.files)
        carried = self._carried(spec, folder, carry_attempt)
        for name, text in plugin.prepare(spec.parameters, carried).items():
            self.workspace.write(folder, name, text.encode())
        return self.job(spec)

    def _carried(self, spec: RunSpec, folder: Path, attempt: int | None) -> list[str]:
        """Bring what is carried and return its names; another attempt of the run itself may be
        gone, a run before it may not.
        """
        if spec.carry is None:
            return []
        if attempt is None:
            raise StagingFailed(f"run {spec.carry.run} was never executed on this machine")
        own = spec.carry.run == spec.run
        if own and not self.workspace.folder(spec.run, attempt).is_dir():
            return []
        names = self.staging.carry(folder, spec.carry, attempt)
        if not own:
            _refuse_missing(spec.carry.patterns, self.software(spec.software).carry, names)
        return names

    def job(self, spec: RunSpec) -> Job:
        """Return the job of a folder that is ready."""
        plugin = self.software(spec.software)
        nodes = max(1, spec.resources.nodes)  # each gets a task, else schedulers leave it out
        tasks = spec.resources.tasks or (spec.resources.cores if plugin.mpi else nodes)
        site = self._site(plugin, tasks)
        resources = replace(spec.resources, tasks=tasks)
        command = plugin.command(spec.parameters, resources, site)
        ranks = tasks if site.get("launcher") else max(1, spec.resources.tasks)
        clean = environment(os.environ, max(1, resources.cores // ranks), self.config.key)
        return Job(
            key=(spec.run, spec.attempt),
            folder=self.workspace.folder(spec.run, spec.attempt),
            control=self.workspace.control(spec.run, spec.attempt),
            command=[str(word) for word in command],
            environment={**clean, **plugin.environment(site)},
            log_file=plugin.log_file,
            stdin_file=getattr(plugin, "stdin_file", ""),
            resources=resources,
            group=spec.group,
        )

    def _site(self, plugin: Software, tasks: int) -> Mapping[str, str]:
        """The site's settings of a program; how several tasks start, the scheduler knows too."""
        site = self.config.site(plugin.name)
        usual = launcher_of(self.config) if plugin.mpi and tasks > 1 else ""
        return {"launcher": usual, **site} if usual else site

    def blame(self, error: Exception, software: str) -> tuple[str, dict[str, Any] | None]:
        """Return (why, report); without a report the attempt is lost, by no fault of its own."""
        if isinstance(error, DiskFull) or getattr(error, "errno", None) in NO_ROOM:
            return self.disk_full(), None
        if isinstance(error, (StagingFailed, UnknownSoftware)):
            return str(error), None
        if isinstance(error, NothingCarried):
            remedy = (
                "Look at the files of the run before and name one that it leaves, "
                "or let the runs go side by side."
            )
            words = f"The run before left no file {error} for this one to start from."
            return "", failure("carried_file_missing", words, remedy)
        if isinstance(error, BeyondMachine):
            much, least = error.args
            words = f"The run asks for {much} ({socket.gethostname()})."
            return "", failure("submission_refused", words, f"{least}, or choose another cluster.")
        if isinstance(error, SubmissionRefused):
            remedy = (
                "Ask for what the site allows: see its partitions, accounts and limits in the page "
                "of the cluster, or ask its operator."
            )
            words = f"The scheduler did not take the job: {error}"
            return "", failure("submission_refused", words, remedy)
        if isinstance(error, UnsafeName):
            remedy = "Rename the file; letters, digits and . _ - are safe."
            return "", failure("unsafe_name", f"A file cannot be used: {error}.", remedy)
        if isinstance(error, StartFailed):
            remedy = "Show this to whoever looks after the plug-in."
            return "", failure("start_failed", f"The program was not started: {error}.", remedy)
        if isinstance(error, OSError):
            return f"the folder could not be made ready: {error}", None
        return "", plugin_error(software)

    def disk_full(self) -> str:
        try:
            free = f"{self.workspace.free_mib()} MiB free"
        except OSError as error:
            free = str(error)
        return f"disk full on {socket.gethostname()}: {free} in the work folder"


def _refuse_missing(asked: Iterable[str], usual: Sequence[str], names: Sequence[str]) -> None:
    """Raises NothingCarried. Of a plug-in's usual files some may be absent, not all; what was named
    by hand must be there.
    """
    empty = [p for p in asked if not any(matches(name, (p,)) for name in names)]
    missing = empty if not names else [pattern for pattern in empty if pattern not in usual]
    if missing:
        raise NothingCarried(" or ".join(missing))


def environment(of_agent: Mapping[str, str], threads: int, key: str) -> dict[str, str]:
    """Return the environment for a program: the agent's without anything secret, threads set."""
    clean = {
        name: value
        for name, value in of_agent.items()
        if not name.startswith("LABPORTAL_")
        and not any(word in name.upper() for word in SECRET_WORDS)
        and not (key and key in value)
    }
    clean.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    return clean
