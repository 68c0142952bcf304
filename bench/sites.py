"""Clusters of a stack with whatever stands behind them: carrier, agent and scheduler, for
benchmarks and chaos tests.

A site is opened once; its parts are processes of the stack, killed and started by name.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.stack import Stack

# How often a scheduler is asked: a tenth of what is usual, and less, so that nobody waits for it.
QUICK = (
    "poll_s = 0.5\nmisses = 3\nmissing_s = 6\nsubmit_pause_s = 1\npatience_s = 6\ntimeout_s = 5\n"
)
ATTEMPT = re.compile(r"runs/([0-9a-f-]{36})/\.?(\d+)/")


class Site:
    """An agent that calls the portal and runs plain processes."""

    kind = "process"
    carrier = "https"
    portal_parts: tuple[str, ...] = ()  # what the portal itself needs more for such sites

    def __init__(self, stack: Stack, number: int, *, slots: int = 4, url: str = "") -> None:
        self.stack, self.number, self.slots, self.url = stack, number, slots, url
        self.cluster = f"cluster-{number}"
        self.agent = f"agent-{number}"
        self.launcher: Sequence[str] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the processes, in the order in which they start."""
        return (self.agent,)

    @classmethod
    def missing(cls) -> str:
        """Why this machine cannot have such a site; empty where it can."""
        return ""

    def settings(self) -> str:
        """Lines that follow the agent's section [agent]."""
        return ""

    def serving(self) -> str:
        """Lines of the agent's section [serving]."""
        return "enabled = no"

    def environment(self) -> Mapping[str, str]:
        return {}

    def open(self) -> None:
        """Make what the agent needs before it starts."""

    def start(self, part: str) -> None:
        self.stack.start_agent(
            self.number,
            slots=self.slots,
            url=self.url,
            settings=self.settings(),
            serving=self.serving(),
            environment=self.environment(),
            launcher=self.launcher,
        )

    def heal(self) -> None:
        """Take away whatever was broken, other than its processes."""

    def submissions(self) -> Counter[str]:
        """How often each attempt was submitted, as "run/attempt" or by the job's name, from what
        the scheduler itself has noted.
        """
        return Counter()

    def close(self) -> None:
        """End what does not end with the stack."""


class Fake(Site):
    """An agent before a scripted scheduler, which is told to go wrong by `site.fault`."""

    kind = "fake-slurm"
    dialect = "slurm"

    def open(self) -> None:
        from clusters.rehearsal.site import Site as FakeSite

        folder = self.stack.home / f"site-{self.number}"
        cores = max(4, self.slots // 2)
        self.site = FakeSite(folder, kind=self.dialect, nodes=2, cores=cores)

    def settings(self) -> str:
        return f"scheduler = {self.dialect}\n[scheduler]\nmax_jobs = {self.slots}\n{QUICK}"

    def environment(self) -> Mapping[str, str]:
        return {"PATH": self.site.path}

    def heal(self) -> None:
        self.site.heal()

    def submissions(self) -> Counter[str]:
        """The scheduler keeps each script that it was given; it names the folders of its runs."""
        found: Counter[str] = Counter()
        for script in (self.site.folder / "scripts").iterdir():
            found.update({"/".join(pair) for pair in ATTEMPT.findall(script.read_text())})
        return found

    def close(self) -> None:
        self.site.close()


class FakePbs(Fake):
    kind = "fake-pbs"
    dialect = "pbs"


class Slurm(Site):
    """An agent before a real Slurm on loopback."""

    kind = "slurm"

    @classmethod
    def missing(cls) -> str:
        from tests.slurm.site import missing

        lacks = missing()
        return f"{', '.join(lacks)} is not on this machine" if lacks else ""

    def open(self) -> None:
        from tests.slurm.site import SlurmSite

        self.site = SlurmSite(self.stack.home / f"slurm-{self.number}")
        self.site.start()

    def settings(self) -> str:
        return f"scheduler = slurm\n[scheduler]\nmax_jobs = {self.slots}\n{QUICK}"

    def environment(self) -> Mapping[str, str]:
        return self.site.environment

    def heal(self) -> None:
        """Start what was killed, and bring back nodes that were taken out, be it by a controller
        that found jobs which it had forgotten.
        """
        if "slurmctld" not in self.site.parts:
            self.site.start_controller()
        for number in range(1, self.site.nodes + 1):
            if f"node{number}" not in self.site.parts:
                self.site.start_node(f"node{number}")
        with contextlib.suppress(subprocess.SubprocessError):
            for line in self.site.run("sinfo", "-h", "-N", "-o", "%N %T").splitlines():
                name, _, state = line.partition(" ")
                if state.startswith(("down", "drain")):
                    self.site.works("scontrol", "update", f"nodename={name}", "state=resume")

    def submissions(self) -> Counter[str]:
        """By the job's name, from the books; the tasks of an array are one submission."""
        fields = ("sacct", "-n", "-X", "-P", "-D", "-S", "now-1days", "-o", "JobID,JobName")
        lines = (line.split("|") for line in self.site.run(*fields).splitlines())
        jobs = {(number.partition("_")[0], name) for number, name in lines}
        return Counter(name for _, name in jobs if name.startswith("lab-"))

    def close(self) -> None:
        self.site.stop()


SIGN_IN = """
import json
from clusters.models import Cluster, SshAccess
from clusters.services import ssh
from clusters.transports.ssh.connection import ask_for_keys
from labportal.accounts.models import User
admin = User.objects.get(username="admin")
cluster = Cluster.objects.get(name="{cluster}")
Cluster.objects.filter(pk=cluster.pk).update(carrier="ssh")
cluster.refresh_from_db()
access = ssh.set_up(cluster, host="127.0.0.1", port={port}, user="{user}", work="{work}",
    agent_settings="[agent]\\nslots = {slots}\\ncores = {slots}\\nminimum_free_mib = 1\\n",
    most_per_minute=60, exchange_s=10, actor=admin)
keys = ask_for_keys("127.0.0.1", {port})
SshAccess.objects.filter(pk=access.pk).update(offered_host_keys="\\n".join(keys))
ssh.confirm_host_keys(cluster, fingerprints=[ssh.fingerprint(k) for k in keys], actor=admin)
print(json.dumps(access.public_key))
"""


class Ssh(Site):
    """A cluster that the portal signs in to; its agent comes with each session."""

    kind = "ssh"
    carrier = "ssh"
    portal_parts = ("carriers",)

    @property
    def parts(self) -> tuple[str, ...]:
        return ()

    @classmethod
    def missing(cls) -> str:
        lacks = [name for name in ("sshd", "ssh", "sftp", "ssh-keygen") if not shutil.which(name)]
        return f"{', '.join(lacks)} is not on this machine" if lacks else ""

    def open(self) -> None:
        from tests.clusters.ssh.sshd import Sshd

        folder = self.stack.home / f"sshd-{self.number}"
        folder.mkdir()
        self.site = Sshd(folder)
        self.site.start()
        asked = {"cluster": self.cluster, "port": self.site.port, "user": self.site.user}
        work = {"work": self.stack.work(self.number), "slots": self.slots}
        self.site.allow(f"restrict {self.stack.python(SIGN_IN.format(**asked, **work))}")

    def restart(self) -> None:
        """Break every connection, and let in again."""
        self.site.stop()
        self.site.start()

    def heal(self) -> None:
        self.restart() if self.site._process is None else None

    def close(self) -> None:
        self.site.stop()


class Queue(Site):
    """A node of the lab that takes from a queue."""

    kind = "queue"
    carrier = "queue"
    portal_parts = ("carriers",)

    def __init__(self, stack: Stack, number: int, **options: Any) -> None:
        super().__init__(stack, number, **options)
        self.agent = f"node-{number}"

    def start(self, part: str) -> None:
        self.stack.start_node(self.number, slots=self.slots)


KINDS: dict[str, type[Site]] = {
    site.kind: site for site in (Site, Fake, FakePbs, Slurm, Ssh, Queue)
}


@contextlib.contextmanager
def portal_with(stack: Stack, kind: str, *, slots: int) -> Iterator[Site]:
    """Start the portal with one site, wait until that has told what it offers, and end the site."""
    stack.start_web()
    stack.start_worker()
    stack.start_beat()
    site = KINDS[kind](stack, 0, slots=slots)
    try:
        site.open()
        if "carriers" in site.portal_parts:
            stack.start_carriers()
        for part in site.parts:
            site.start(part)
        stack.wait_for_agent(seconds=60)
        yield site
    finally:
        site.close()
