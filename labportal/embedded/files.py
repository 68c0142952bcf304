"""What both servers need: private files, log tails, ports on loopback that stay the same."""

import json
import os
import socket
from pathlib import Path

import psutil


class ServerFailed(Exception):
    """A server did not start; the message holds the end of its log."""


def free_port(preferred: int = 0) -> int:
    """Return the preferred loopback port if it is free, else any free one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServerFailed("no free port on 127.0.0.1")


def remembered_port(home: Path, name: str, preferred: int = 0) -> int:
    """Return the port that was used last under this name, while it is free; remember the answer."""
    file = home / "ports.json"
    try:
        ports = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        ports = {}
    port = free_port(int(ports.get(name) or preferred))
    write(file, json.dumps(ports | {name: port}))
    return port


def write(file: Path, text: str) -> None:
    """Replace a file that only we may read."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
        target.write(text)
    draft.replace(file)


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; an ended process that nobody has collected yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    except OSError:
        return "(no log)"
