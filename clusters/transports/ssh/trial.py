"""The button “Test”: each step to a site's agent, ok or failed, and what to do about it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from clusters.models import SshAccess, SshSession
from clusters.transports.ssh import budget, installation
from clusters.transports.ssh.connection import Connection, Site, ask_for_keys
from clusters.transports.ssh.installation import Found
from clusters.transports.ssh.troubles import NEW_KEY, Code, Trouble
from labportal.common.errors import DomainError
from labportal.realtime.events import publish

log = logging.getLogger(__name__)

NAMES = ("Reachable", "Host key", "Sign-in", "Python", "Work folder", "Agent", "Scheduler")
CHECK_S = 90
LITTLE_MIB = 1024


@dataclass(slots=True)
class Step:
    name: str
    ok: bool
    found: str
    remedy: str = ""


def run(session: SshSession) -> bool:
    """Do the steps one after the other, and return whether all went well; those behind a failed
    one are not done.
    """
    access = SshAccess.objects.select_related("cluster").get(cluster=session.cluster_id)
    trouble: Trouble | None = None
    steps: list[Step] = []
    trial = _Trial(access)
    try:
        for step in trial.steps():
            steps.append(step)
            session.steps = [asdict(one) for one in steps]
            session.save(update_fields=["steps"])
            budget.renew(session)
            publish(f"cluster:{access.cluster_id}", "cluster.changed", {"id": access.cluster_id})
    except Trouble as error:
        trouble = error
    except DomainError as error:
        trouble = Trouble(Code.SETTINGS, error.message)
    except Exception as error:
        log.exception("the test of %s failed", access.cluster.name)
        trouble = Trouble(Code.OTHER, f"The portal failed: {type(error).__name__}.")
    finally:
        trial.close()
    if trouble is not None:
        steps.append(Step(NAMES[len(steps)], False, trouble.words, trouble.remedy))
    session.steps = [asdict(one) for one in steps]
    budget.end(session, trouble)
    return trouble is None


class _Trial:
    def __init__(self, access: SshAccess) -> None:
        self.access = access
        self.connection: Connection | None = None
        self.found: Found

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()

    def steps(self) -> Iterator[Step]:
        deeds: tuple[Callable[[], str], ...] = (
            self._reachable,
            self._host_key,
            self._sign_in,
            self._python,
            self._work,
            self._agent,
            self._scheduler,
        )
        for name, deed in zip(NAMES, deeds, strict=True):
            yield Step(name, True, deed())

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
        lines = installation.check(self._open, self.access, timeout_s=CHECK_S)
        for line in lines:
            state, _, text = line.partition(" ")
            name, _, found = text.strip().partition(": ")
            if name == "scheduler" and state != "ok":
                words = f"{self.access.scheduler} does not answer: {found}"
                remedy = "Choose the scheduler that is there, or name the folder of its programs: "
                raise Trouble(Code.SCHEDULER, words, f"{remedy}[scheduler] path = /opt/slurm/bin.")
            if name == "scheduler":
                return found
        raise Trouble(Code.AGENT, "The agent over there says nothing of a scheduler.")
