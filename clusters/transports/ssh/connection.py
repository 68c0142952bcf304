"""One shared connection per site and machine of the portal, and what is run through it.

Its folder is private, the key lies in it only while the connection is being opened, and the next
exchange finds the connection still open. Several threads and processes may use one site's.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from clusters.agent.commands import Answer, call, clean_environment
from clusters.models import SshAccess
from clusters.transports.ssh import arguments
from clusters.transports.ssh.arguments import Way
from clusters.transports.ssh.troubles import Code, from_ssh, no_room
from clusters.transports.trials import Trouble
from labportal.common.sealing import unseal

KEEP_S = 120  # so long stays the shared connection after its last use
OPEN_S = arguments.CONNECT_S + 15
SHORT_S = 10
TRANSFER_S = 3600
LONGEST_SOCKET = 80  # bytes of the path; the kernel takes 108, and ssh adds some


@dataclass(frozen=True, slots=True)
class Site:
    """What a sign-in needs, taken out of the database."""

    cluster_id: int
    host: str
    port: int
    user: str
    host_keys: str
    private_key: str
    certificate: str

    def __repr__(self) -> str:
        return f"Site({self.user}@{self.host}:{self.port})"

    @classmethod
    def of(cls, access: SshAccess) -> Site:
        """Raises Trouble where something has to be entered or confirmed first."""
        if not access.sealed_key:
            remedy = "Have the portal make one, or enter one, and give its public line to the site."
            raise Trouble(Code.NO_KEY, "There is no key to sign in with.", remedy)
        if not access.host_keys:
            words = "The host's keys are not confirmed yet."
            remedy = "Ask the host for its keys, compare the fingerprints and confirm them."
            raise Trouble(Code.NO_HOST_KEY, words, remedy)
        return cls(
            cluster_id=access.cluster_id,
            host=arguments.check_host(access.host),
            port=access.port,
            user=arguments.check_user(access.user),
            host_keys=access.host_keys,
            private_key=unseal(access.sealed_key),
            certificate=access.certificate,
        )


class Connection:
    """The way to one site. Raises Trouble wherever something is in the way.

    `purpose`: one that is named shares its connection with no other.
    """

    def __init__(self, site: Site, purpose: str = "") -> None:
        self.site = site
        self.folder = private_folder()
        of_site = (site.host, site.user, site.host_keys, site.private_key, site.certificate)
        known = "\0".join((str(site.port), purpose, *of_site))
        self._name = f"{site.cluster_id}-{hashlib.sha256(known.encode()).hexdigest()[:12]}"
        self.way = Way(
            host=site.host,
            port=site.port,
            user=site.user,
            control=self.folder / self._name,
            known_hosts=self._path("hosts"),
            alias=f"labportal-{site.cluster_id}",
        )

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self._name}.{suffix}"

    def open(self) -> bool:
        """Sign in where the shared connection is not open; return whether that was needed."""
        with self._alone():
            if self.is_open():
                return False
            self._sign_in()
            return True

    def is_open(self) -> bool:
        return self.way.control.exists() and _call(arguments.control(self.way, "check")).code == 0

    def _sign_in(self) -> None:
        log, key = self._path("log"), self._path("key")
        certificate = self._path("key-cert.pub") if self.site.certificate else None
        lines = self.site.host_keys.splitlines()
        _write(self.way.known_hosts, "".join(f"{self.way.alias} {line}\n" for line in lines))
        _write(log, "")
        try:
            _write(key, self.site.private_key.rstrip("\n") + "\n")
            if certificate:
                _write(certificate, self.site.certificate.strip() + "\n")
            words = arguments.master(
                self.way, key=key, certificate=certificate, log=log, keep_s=KEEP_S
            )
            answer = _call(words, timeout_s=OPEN_S)
        finally:
            key.unlink(missing_ok=True)
            if certificate:
                certificate.unlink(missing_ok=True)
        if answer.code != 0:
            said = log.read_text(errors="replace")[-4000:] + answer.err
            raise from_ssh(said if said.strip() else answer.problem.replace("gave no", "timed out"))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One opens at a time on this machine."""
        with self._path("lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def run(self, remote: str, *, timeout_s: float) -> Answer:
        """Run a command over there. Raises Trouble where the connection is gone."""
        answer = _call(arguments.command(self.way, remote), timeout_s=timeout_s)
        if answer.code == 255 or answer.code is None:
            raise self.lost(answer.err or answer.problem)
        return answer

    def pipe(self, remote: str, errors: int) -> subprocess.Popen[bytes]:
        """Start a command over there whose input and output are this end's pipes."""
        return subprocess.Popen(  # noqa: S603  (an argument list of checked words)
            arguments.command(self.way, remote),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=clean_environment(os.environ, {}),
            start_new_session=True,
        )

    def put(self, source: Path, target: str, *, have: int = 0) -> None:
        """Bring a file there, from `have` bytes on. Raises Trouble."""
        verb = "reput" if have else "put"
        self._transfer(f"{verb} {arguments.quoted(source)} {arguments.quoted(target)}")

    def get(self, source: str, target: Path) -> None:
        """Fetch a file, from where `target` ends on. Raises Trouble."""
        verb = "reget" if target.exists() else "get"
        self._transfer(f"{verb} {arguments.quoted(source)} {arguments.quoted(target)}")

    def _transfer(self, line: str) -> None:
        descriptor, name = tempfile.mkstemp(dir=self.folder, prefix="batch-")
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(line + "\n")
            answer = _call(arguments.sftp(self.way, Path(name)), timeout_s=TRANSFER_S)
        finally:
            Path(name).unlink(missing_ok=True)
        if answer.code != 0:
            raise self._transfer_trouble(answer)

    def _transfer_trouble(self, answer: Answer) -> Trouble:
        said = f"{answer.err}\n{answer.problem}".strip() or "no reason given"
        if no_room(said):
            remedy = "Make room in the work folder's file system."
            return Trouble(Code.DISK_FULL, "There is no room for a file over there.", remedy)
        if not self.is_open():
            return self.lost(said)
        if "message too long" in said.lower():
            words = "The account's profile prints something where sftp should speak."
            return Trouble(Code.NO_SFTP, words, "Let it print for terminals alone: [ -t 1 ].")
        if "connection closed" in said.lower() or "subsystem request failed" in said.lower():
            words = "The host offers no sftp, by which files travel."
            return Trouble(Code.NO_SFTP, words, "Ask the site to allow the subsystem sftp.")
        return Trouble(Code.OTHER, f"A file did not travel: {said.splitlines()[-1][:300]}")

    def lost(self, said: str) -> Trouble:
        last = (
            said.strip().splitlines()[-1][:200].rstrip(".") if said.strip() else "no reason given"
        )
        return Trouble(Code.LOST, f"The connection broke off: {last}.", "It is tried again.")

    def close(self) -> None:
        """End the shared connection, for everybody."""
        if self.way.control.exists():
            _call(arguments.control(self.way, "exit"))


def ask_for_keys(host: str, port: int) -> list[str]:
    """Return the host's keys as "type base64" lines, whoever it may be. Raises Trouble."""
    answer = _call(arguments.keyscan(host, port), timeout_s=OPEN_S)
    keys = sorted(
        " ".join(line.split()[1:3])
        for line in answer.out.splitlines()
        if not line.startswith("#") and len(line.split()) >= 3
    )
    if not keys:
        if answer.err.strip():
            raise from_ssh(answer.err)
        words = f"Nothing answers at {host}, port {port}."
        raise Trouble(Code.UNREACHABLE, words, "See that host and port are right.")
    return keys


def private_folder() -> Path:
    """Return this portal's own folder for sockets and keys; nobody else may have made it.

    Short, since the path of a socket must be.
    """
    whose = hashlib.sha256(f"{settings.HOME}\0{settings.SECRET_KEY}".encode()).hexdigest()[:10]
    name = f"labportal-{os.geteuid()}-{whose}"
    roots = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108  (checked below)
    fits = [root for root in roots if len(str(root / name)) < LONGEST_SOCKET - 20]
    folder = (fits or roots[-1:])[0] / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        words = f"The folder {folder} belongs to somebody else, or is open to others."
        raise Trouble(Code.OTHER, words, "Delete it on the portal's machine.")
    return folder


def _call(words: Sequence[str], *, timeout_s: float = SHORT_S) -> Answer:
    return call(words, timeout_s=timeout_s)


def _write(path: Path, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "w") as stream:
        stream.write(text)
