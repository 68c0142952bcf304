"""Docker by its command line: the daemon keeps what containers write, `docker logs` brings it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clusters.agent import procfs
from clusters.agent.commands import Answer, call, clean_environment
from clusters.agent.procfs import Identity
from clusters.agent.runtimes.base import Launch
from clusters.agent.runtimes.engine import START_S, Engine

LAST_LINES_S = 2.0  # that the end of a container's output may take to arrive
DONE = "done"
HOOK = "nvidia-container-runtime-hook"  # with it `--gpus` is understood
KEPT = ("--log-driver=json-file", "--log-opt=max-size=8m", "--log-opt=max-file=2")


class Docker(Engine):
    kind = program = "docker"
    remedy = "install docker, start its daemon, and put the account of the agent into its group"

    def __init__(self, agent: str) -> None:
        super().__init__(agent)
        self._followers: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def facts(self) -> dict[str, Any] | None:
        answer = self._call("info", "--format={{json .}}")
        if answer.code is None:
            return None
        try:
            document = json.loads(answer.out)
        except ValueError:
            return None
        if not document.get("ServerVersion") or document.get("ServerErrors"):
            return None
        security = " ".join(document.get("SecurityOptions") or [])
        limits = {"cpu": "CpuCfsQuota", "memory": "MemoryLimit", "pids": "PidsLimit"}
        return {
            "version": document["ServerVersion"],
            "rootless": "rootless" in security,
            "gpus": "nvidia" in (document.get("Runtimes") or {}) or shutil.which(HOOK) is not None,
            "selinux": "selinux" in security,
            "limits": [name for name, field in limits.items() if document.get(field)],
            "network": "bridge",
        }

    def gpu_options(self, gpus: Sequence[int]) -> list[str]:
        listed = ",".join(str(index) for index in gpus)
        return [f'--gpus="device={listed}"']  # docker itself reads the quotation marks

    def run(self, options: Sequence[str], launch: Launch, environment: Mapping[str, str]) -> Answer:
        return call(
            [self.program, "run", "--detach", *KEPT, *options],
            timeout_s=START_S,
            environment=environment,
        )

    def follow(self, identity: str, log: Path, *, running: bool) -> None:
        """A process of its own appends to the log, and goes on while the agent restarts; a note
        beside the log names it. After one was lost the log goes on from its last change; a line may
        come twice then, none is lost.
        """
        note = log.with_name(log.name + ".follower")
        with self._lock:
            child = self._followers.get(identity)
            if child is None and not _lives(note):
                child = self._followers[identity] = self._open(identity, log, note)
        if running or child is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            if child.wait(LAST_LINES_S) == 0:
                note.write_text(DONE, encoding="ascii")
                self._followers.pop(identity, None)

    def _open(self, identity: str, log: Path, note: Path) -> subprocess.Popen[bytes] | None:
        if _read(note) == DONE:
            return None
        since = [f"--since={log.stat().st_mtime:.9f}"] if note.exists() else []
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(log, flags, 0o600), "ab") as stream:
                child = subprocess.Popen(  # noqa: S603  (an argument list of our own making)
                    [self.program, "logs", "--follow", *since, identity],
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    env=clean_environment(os.environ, {}),
                    start_new_session=True,
                )
            stat = procfs.read_stat(child.pid)
            note.write_text(f"{procfs.boot_id()} {child.pid} {stat.start if stat else 0}")
        except OSError:  # the next look tries again
            return None
        return child


def _lives(note: Path) -> bool:
    words = _read(note).split()
    if len(words) != 3:
        return False
    return Identity(words[0], int(words[1]), int(words[2])).alive()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
