"""A lab on a real portal: submits work that leaves marks, breaks parts and mends them again."""

from __future__ import annotations

import contextlib
import itertools
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis

from bench.client import Client, Refused
from bench.sites import KINDS, Site
from bench.stack import PASSWORD, PERSON, Stack
from tests.chaos.book import Book, Work, until
from tests.chaos.proxy import Proxy
from tests.chaos.serving_site import Serving
from tests.chaos.small_disk import SmallDisk

SITES = {**KINDS, SmallDisk.kind: SmallDisk, Serving.kind: Serving}
OFFERS = """
    SELECT 1 FROM clusters_cluster
    WHERE name = %s AND capacity->'software'->'chaos'->>'ok' = 'true'
    AND last_exchange_at > now() - interval '30 s'"""
# What an operator does about sites that were held, or that are left alone for a while.
LET_IN = """
import json
from clusters.models import Cluster, SshAccess
from clusters.services import operation, ssh
from labportal.accounts.models import User
admin = User.objects.get(username="admin")
held = list(Cluster.objects.exclude(held_at=None))
for cluster in held:
    operation.release(cluster, actor=admin)
failing = SshAccess.objects.exclude(failures=0, held_at=None).select_related("cluster")
for access in failing:
    ssh.resume(access.cluster, actor=admin)
print(json.dumps([cluster.name for cluster in held]))
"""
OPEN = "SELECT id FROM calculations_calculation WHERE state IN ('queued', 'running')"


class Absent(Exception):
    """This machine lacks what a site needs; the message says what."""


class Lab(Book):
    """`here` is the site at which a scenario plays; "agent" is the name of its agent there."""

    def __init__(self, stack: Stack, proxy: Proxy, kinds: Sequence[str], slots: int = 4) -> None:
        super().__init__(stack)
        self.slots = slots
        self.proxy = proxy
        self.kinds = list(kinds)
        self.common = ["worker", "beat", "web"]
        self.marks = stack.home / "marks"
        self.works: list[Work] = []
        self.here: Site
        self._numbers = itertools.count()
        self._token = ""
        self.accepted = 0  # calculations that the portal said it has

    def start(self) -> None:
        for name in self.common:
            self.restart(name)
        self.stack.wait_for_web()
        self.at(self.kinds[0])

    def at(self, kind: str) -> Site:
        """Play at the first site of this kind from here on. Raises Absent."""
        self.here = self.site(kind)
        return self.here

    def site(self, kind: str, nth: int = 0) -> Site:
        """Return a site, opened where it was not yet. Raises Absent."""
        name = f"{kind}-{nth}"
        if name not in self.sites:
            number = [n for n, other in enumerate(self.kinds) if other == kind][nth]
            missing = SITES[kind].missing()
            if missing:
                raise Absent(missing)
            site = SITES[kind](self.stack, number, slots=self.slots, url=self.proxy.url)
            self.sites[name] = site
            site.open()
            self.common += [n for n in site.portal_parts if n not in self.common]
            for part in (*site.portal_parts, *site.parts):
                if part not in self.stack.processes:
                    self.restart(part)
            self.heard(site)
        return self.sites[name]

    def heard(self, site: Site | None = None) -> None:
        """Wait until the portal knows what a site offers."""
        cluster = (site or self.here).cluster
        until(lambda: self.ask(OFFERS, cluster), lambda: f"{cluster}: {self._tails()}")

    def begin(self) -> None:
        """Forget the works of the scenario before."""
        self.works = []

    def tidy(self) -> None:
        """Bring everything back, for the end of a scenario and for the next one."""
        for work in self.works:
            work.release()
        self.proxy.mend()
        self.revive()
        for site in self.sites.values():
            site.heal()
        self.stack.wait_for_web()

    def revive(self) -> None:
        """Start what has ended, and let go on what stands still."""
        self.stack.start_servers()
        for name in self.parts:
            self.go_on(name) if self.alive(name) else self.restart(name)

    def give_up(self) -> None:
        """Cancel what a failed scenario has left, and let work in again everywhere."""
        self.tidy()
        self.let_in()
        for (number,) in self.ask(OPEN):
            self.cancel(Work(number, Path()))
        until(lambda: not self.ask(OPEN), "all that was left is cancelled")

    def let_in(self) -> list[str]:
        """Let work in again at all sites, as an operator would; return those that were held."""
        return self.stack.python(LET_IN)

    # Work

    def submit(
        self,
        *holds: str,
        count: int = 1,
        seconds: float = 0.0,
        cluster: str | None = None,
        failures: int = 0,
        retries: int = 0,
        keep: int = 0,
        walltime_s: int = 600,
    ) -> list[Work]:
        """`failures` executions of each do not converge, with advice for another try; `keep` bytes
        are sent to the portal.
        """
        folders = [self._marks(holds, keep) for _ in range(count)]
        asked = [
            {
                "name": "chaos",
                "software": "chaos",
                "cluster": cluster or self.here.cluster,
                "automatic_retries": retries,
                "walltime_s": walltime_s,
                "parameters": {
                    "folder": str(folder.parent),
                    "seconds": seconds,
                    "failures": failures,
                },
            }
            for folder in folders
        ]
        created = self.post("/api/v1/calculations/bulk/", {"calculations": asked, "submit": True})
        works = [Work(row["id"], folder) for row, folder in zip(created, folders, strict=True)]
        self.works += works
        self.accepted += len(works)
        return works

    def _marks(self, holds: Sequence[str], keep: int) -> Path:
        folder = self.marks / str(next(self._numbers)) / "0"
        folder.mkdir(parents=True)
        for step in holds:
            (folder / f"hold-{step}").touch()
        if keep:
            (folder / "keep").write_bytes(b"x" * keep)
        return folder

    def post(self, path: str, document: Any = None) -> Any:
        with Client(self.stack.url, authorization=self._token) as client:
            if not self._token:
                person = {"username": PERSON, "password": PASSWORD}
                self._token = f"Bearer {client.post('/api/v1/auth/token', person)['access']}"
                return self.post(path, document)
            try:
                return client.post(path, document)
            except Refused as refusal:
                if " 401 " not in str(refusal):
                    raise
                self._token = ""
                return self.post(path, document)

    def cancel(self, work: Work) -> bool:
        """Whether there was something to cancel."""
        try:
            self.post(f"/api/v1/calculations/{work.id}/cancel/", {"note": "not needed"})
        except Refused as refusal:
            assert " 409 " in str(refusal), refusal
            return False
        return True

    # Parts

    @property
    def parts(self) -> list[str]:
        return [*self.common, *(part for site in self.sites.values() for part in site.parts)]

    def named(self, name: str) -> str:
        return self.here.agent if name == "agent" else name

    def alive(self, name: str) -> bool:
        process = self.stack.processes.get(self.named(name))
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        if name in ("postgres", "redis"):
            self.stack.kill_server(name)
        else:
            self.stack.kill(self.named(name))

    def stop(self, name: str) -> None:
        """Let a process and its children stand still, as on a machine that is stuck."""
        if name in ("postgres", "redis"):
            self.stack.signal_server(name, signal.SIGSTOP)
        else:
            self.stack.signal(self.named(name), signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        if name in ("postgres", "redis"):
            self.stack.signal_server(name, signal.SIGCONT)
        else:
            self.stack.signal(self.named(name), signal.SIGCONT)

    def restart(self, name: str) -> None:
        """Start a part without waiting for it; whoever needs it must cope."""
        if name in ("postgres", "redis"):
            self.stack.start_servers()
            return
        name = self.named(name)
        if name in self.stack.processes:
            self.stack.kill(name)
        for site in self.sites.values():
            if name in site.parts:
                site.start(name)
                return
        {
            "web": self.stack.begin_web,
            "worker": self.stack.start_worker,
            "carriers": self.stack.start_carriers,
            "beat": self.stack.start_beat,
        }[name]()

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.stack.environment["REDIS_URL"])

    def _tails(self) -> str:
        return "\n".join(self.stack.tail(name) for name in self.stack.processes)


@contextlib.contextmanager
def open_lab(*kinds: str, slots: int = 4, **environment: str) -> Iterator[Lab]:
    """A lab with a cluster of each kind; all but the first begin when they are asked for."""
    told = {"LABPORTAL_SOFTWARE": "chaos=tests.chaos.plugin:Chaos", **environment}
    nodes = [n for n, kind in enumerate(kinds) if SITES[kind].carrier == "queue"]
    with (
        Stack(clusters=len(kinds), nodes=nodes, environment=told) as stack,
        Proxy(stack.port) as proxy,
    ):
        lab = Lab(stack, proxy, kinds, slots)
        try:
            lab.start()
            yield lab
        finally:
            for mark in lab.marks.glob("*/*/hold-*"):
                mark.unlink(missing_ok=True)
            lab.close()
            for name in list(stack.processes):
                lab.kill(name)
            for site in lab.sites.values():
                site.close()
