"""Argument lists of the OpenSSH programs, and what may stand in them. Pure; nothing is run here.

No configuration of the machine is read, nothing is asked, nothing is forwarded, and a host key that
was not confirmed is refused. What people enter stands behind `--` or as an option's value, never
where it could be read as an option.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from labportal.common.errors import InvalidInput

CONNECT_S = 15
OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "EscapeChar=none",
    f"ConnectTimeout={CONNECT_S}",
    "ConnectionAttempts=1",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
)
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,62}\$?")
PROGRAM = re.compile(r"[A-Za-z0-9_./~+][A-Za-z0-9_./~+-]*")
WORK_PART = re.compile(r"[\w.+=@,][\w.+=@, -]*")


@dataclass(frozen=True, slots=True)
class Way:
    """Where to and by which files; all values are checked."""

    host: str
    port: int
    user: str
    control: Path
    known_hosts: Path
    alias: str


def check_host(text: str) -> str:
    """Return a host's name or address. Raises InvalidInput."""
    text = text.strip()
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        pass
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise InvalidInput(
            "Enter a host's name such as login.hpc.example, or its address: letters, digits, dots "
            "and hyphens.",
            field="host",
        )
    return text


def check_user(text: str) -> str:
    text = text.strip()
    if not USER.fullmatch(text):
        raise InvalidInput(
            "Enter the account's name: letters, digits and . _ - + @, not with a hyphen first.",
            field="user",
        )
    return text


def check_python(text: str) -> str:
    text = text.strip()
    if not PROGRAM.fullmatch(text) or len(text) > 300:
        raise InvalidInput(
            "Enter a program's name or path such as python3.11 or /opt/python/bin/python3; no "
            "options, no spaces.",
            field="python",
        )
    return text


def check_work(text: str) -> str:
    """Return a folder that begins with / or ~/ and has only harmless parts. Raises InvalidInput."""
    text = text.strip().rstrip("/")
    root = "~/" if text.startswith("~/") else "/" if text.startswith("/") else ""
    parts = text.removeprefix(root).split("/")
    harmless = all(WORK_PART.fullmatch(part) and part not in {".", ".."} for part in parts)
    if not root or not harmless or len(text) > 400:
        raise InvalidInput(
            "Enter a folder that begins with / or ~/, such as ~/labportal or /scratch/lab/portal: "
            "letters, digits, spaces and . _ - + = @ , in its parts, no “..”.",
            field="work",
        )
    return text


def master(way: Way, *, key: Path, certificate: Path | None, log: Path, keep_s: int) -> list[str]:
    """Open the connection that all others share; it goes to the background once signed in."""
    more = ["-o", f"CertificateFile={certificate}"] if certificate else []
    return [
        *_base(),
        *("-o", f"UserKnownHostsFile={way.known_hosts}", "-o", f"HostKeyAlias={way.alias}"),
        *("-o", "ControlMaster=yes", "-o", f"ControlPath={way.control}"),
        *("-o", f"ControlPersist={keep_s}", "-i", str(key), *more),
        *("-E", str(log), "-p", str(way.port), "-l", way.user, "-N", "-f", "--", way.host),
    ]


def control(way: Way, word: str) -> list[str]:
    """Ask the shared connection: "check", or "exit"."""
    return [*_base(), *_shared(way), "-O", word, "--", way.host]


def command(way: Way, remote: str) -> list[str]:
    return [
        *_base(),
        *_shared(way),
        *("-p", str(way.port), "-l", way.user, "-T", "--", way.host, remote),
    ]


def sftp(way: Way, batch: Path) -> list[str]:
    host = f"[{way.host}]" if ":" in way.host else way.host
    options = [word for option in OPTIONS for word in ("-o", option)]
    return [
        *("sftp", "-F", "/dev/null", *options, *_shared(way)),
        *("-o", f"User={way.user}", "-P", str(way.port), "-b", str(batch), "--", host),
    ]


def keyscan(host: str, port: int) -> list[str]:
    return ["ssh-keyscan", "-T", str(CONNECT_S), "-p", str(port), "--", host]


def _base() -> list[str]:
    return ["ssh", "-F", "/dev/null", *(word for option in OPTIONS for word in ("-o", option))]


def _shared(way: Way) -> list[str]:
    """Through the shared connection or not at all: a way of its own is shut."""
    return [
        *("-o", "ControlMaster=no", "-o", f"ControlPath={way.control}"),
        *("-o", "ProxyCommand=false"),
    ]


def shell_path(path: str) -> str:
    """Return the shell's word for a path; the home stands for ~."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def quoted(path: str | Path) -> str:
    """Return a path as sftp's batch files want it. Only harmless paths come here."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
