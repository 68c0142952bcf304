"""Podman, which needs no daemon: a container's output goes straight to the launch's log."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusters.agent.commands import Answer, clean_environment
from clusters.agent.runtimes.base import Launch
from clusters.agent.runtimes.engine import START_S, Engine

CDI = (Path("/etc/cdi"), Path("/var/run/cdi"))
NVIDIA = "nvidia.com/gpu"
LOG_DRIVER = "passthrough"
SAID = 4096  # bytes of the log's end in which a failed start is explained


class Podman(Engine):
    kind = program = "podman"
    remedy = "install podman 4 or later (with crun or runc) for the account of the agent"

    def facts(self) -> dict[str, Any] | None:
        answer = self._call("info", "--format=json")
        if not answer.good:
            return None
        try:
            document = json.loads(answer.out)
            host, version = document["host"], document["version"]["Version"]
        except (ValueError, KeyError, TypeError):
            return None
        drivers = (document.get("plugins") or {}).get("log") or []
        if host.get("serviceIsRemote") or LOG_DRIVER not in drivers:
            return None  # its containers live in another machine, or it is older than podman 4
        security = host.get("security") or {}
        rootless = bool(security.get("rootless"))
        controllers = host.get("cgroupControllers") or []
        return {
            "version": version,
            "rootless": rootless,
            "gpus": bool(cdi_devices()),
            "selinux": bool(security.get("selinuxEnabled")),
            "limits": [name for name in ("cpu", "memory", "pids") if name in controllers],
            "network": _rootless_network(host) if rootless else "bridge",
        }

    def gpu_options(self, gpus: Sequence[int]) -> list[str]:
        return [f"--device={NVIDIA}={index}" for index in gpus]

    def run(self, options: Sequence[str], launch: Launch, environment: Mapping[str, str]) -> Answer:
        """Let the container inherit the log, so that nothing stands between them: neither a
        restarted agent nor an engine that is busy loses a line.
        """
        began = time.monotonic()
        command = [self.program, "run", "--detach", f"--log-driver={LOG_DRIVER}", *options]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        with os.fdopen(os.open(launch.log, flags, 0o600), "ab") as log:
            before = log.seek(0, os.SEEK_END)
            try:
                child = subprocess.run(  # noqa: S603  (an argument list of our own making)
                    command,
                    cwd=launch.folder,  # its monitor notes there when memory ran out
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=clean_environment(os.environ, environment),
                    start_new_session=True,
                    timeout=START_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return Answer(None, "", "", f"no answer within {START_S:g} s")
            except (OSError, ValueError) as error:
                return Answer(None, "", "", f"{self.program} cannot be started: {error}")
        said = "" if child.returncode == 0 else _end(launch.log, before)
        return Answer(child.returncode, "", said, seconds=time.monotonic() - began)

    def follow(self, identity: str, log: Path, *, running: bool) -> None:
        """The container itself writes there."""


def cdi_devices(folders: Sequence[Path] = CDI) -> list[Path]:
    """Return the descriptions of NVIDIA GPUs by which containers get them."""
    found = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.[jy]*"))):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found += [path] if NVIDIA in text else []
    return found


def _rootless_network(host: Mapping[str, Any]) -> str:
    """Name what podman itself would take; its settings may say "host", where nothing is
    published.
    """
    named = host.get("rootlessNetworkCmd")
    if named:
        return str(named)
    return "slirp4netns" if (host.get("slirp4netns") or {}).get("executable") else ""


def _end(log: Path, start: int) -> str:
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(start, size - SAID))
        return stream.read(SAID).decode("utf-8", errors="replace")
