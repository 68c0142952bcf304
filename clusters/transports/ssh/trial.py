"""The button “Test”: each step to a site's agent, ok or failed, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.models import SshAccess, SshSession
from clusters.transports import trials
from clusters.transports.ssh import budget, installation
from clusters.transports.ssh.connection import Connection, Site, ask_for_keys
from clusters.transports.ssh.installation import Found
from clusters.transports.ssh.troubles import NEW_KEY, Code
from clusters.transports.trials import Trouble
from labportal.common.errors import DomainError
from labportal.realtime.events import publish

NAMES = ("Reachable", "Host key", "Sign-in", "Python", "Work folder", "Agent", "Scheduler")
CHECK_S = 90
LITTLE_MIB = 1024


def run(session: SshSession) -> bool:
    """Return whether all went well; the steps behind a failed one are not done."""
    access = SshAccess.objects.select_related("cluster").get(cluster=session.cluster_id)

    def keep(steps: list[dict[str, Any]]) -> None:
        session.steps = steps
        session.save(update_fields=["steps"])
        budget.renew(session)
        publish(f"cluster:{access.cluster_id}", "cluster.changed", {"id": access.cluster_id})

    trial = _Trial(access)
    try:
        trouble = trials.walk(trial.deeds(), keep, _otherwise)
    finally:
        trial.close()
    budget.end(session, trouble)
    return trouble is None


def _otherwise(error: Exception) -> Trouble:
    if isinstance(error, DomainError):
        return Trouble(Code.SETTINGS, error.message)
    return trials.unforeseen(Code.OTHER, error)


class _Trial:
    def __init__(self, access: SshAccess) -> None:
        self.access = access
        self.connection: Connection | None = None
        self.found: Found

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def deeds(self) -> dict[str, Callable[[], str]]:
        deeds = (
            self._reachable,
            self._host_key,
            self._sign_in,
            self._python,
            self._work,
            self._agent,
            self._scheduler,
        )
        return dict(zip(NAMES, deeds, strict=True))

    def _reachable(self) -> str:
        self.keys = ask_for_keys(self.access.host, self.access.port)
        return f"{self.access.host}, port {self.access.port} answers"

    def _host_key(self) -> str:
        confirmed = set(self.access.host_keys.splitlines())
        if not confirmed:
            Site.of(self.access)
        if not confirmed & set(self.keys):
            words = "The host shows other keys than those that were confirmed."
            raise Trouble(Code.HOST_KEY, words, NEW_KEY)
        return "as confirmed"

    def _sign_in(self) -> str:
        self.connection = Connection(Site.of(self.access), "test")
        self.connection.close()  # one that is open already would prove nothing
        self.connection.open()
        return f"as {self.access.user}"

    @property
    def _open(self) -> Connection:
        assert self.connection is not None  # noqa: S101  (the steps before have opened it)
        return self.connection

    def _python(self) -> str:
        self.found = installation.look(self._open, self.access)
        return f"{self.access.python} is {self.found.python}"

    def _work(self) -> str:
        free = self.found.free_mib
        room = f", {free / 1024:.1f} GiB free" if free is not None else ""
        if free is not None and free < LITTLE_MIB:
            words = f"Only {free} MiB are free where {self.found.work} is."
            raise Trouble(Code.DISK_FULL, words, "Make room, or enter another work folder.")
        return f"{self.found.work} can be written{room}"

    def _agent(self) -> str:
        changed = installation.install(self._open, self.access)
        return "put in its place" if changed else "in its place, as the portal has it"

    def _scheduler(self) -> str:
        said: dict[str, tuple[bool, str]] = {}
        for line in installation.check(self._open, self.access, timeout_s=CHECK_S):
            state, _, text = line.partition(" ")
            name, _, found = text.strip().partition(": ")
            said[name] = (state == "ok", found)
        if "scheduler" not in said:
            raise Trouble(Code.AGENT, "The agent over there says nothing of a scheduler.")
        good, found = said["scheduler"]
        if not good:
            words = f"{self.access.scheduler} does not answer: {found}"
            remedy = "Choose the scheduler that is there, or name the folder of its programs: "
            raise Trouble(Code.SCHEDULER, words, f"{remedy}[scheduler] path = /opt/slurm/bin.")
        known, which = said.get("partition", (True, ""))
        if not known:
            remedy = "Correct partition, or queue, in the section [scheduler] of the settings."
            raise Trouble(Code.SCHEDULER, f"The partition is wrong: {which}.", remedy)
        return found
