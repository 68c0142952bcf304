"""Watches over a new version of the agent, from the file of the old one, until it is heard.

Started by the agent just before it changes itself (updating.py), as a process in the background.
Does the new one end, or is it not heard in time, the old file is put back and started again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusters.agent import procfs
from clusters.agent.updating import read_marker, write_marker

TRIAL_S = 120.0
LOOK_S = 0.2
GRACE_S = 10.0
SERVICE_MANAGER = "INVOCATION_ID"  # systemd sets it, and starts again what has ended


def go(marker: Path, pid: int, *, trial_s: float) -> int:
    """Leave the caller at once; the watch goes on in a process of its own."""
    start = procfs.read_stat(pid)
    if os.fork():
        return 0
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    watch(marker, pid, start.start if start else 0, trial_s=trial_s)
    os._exit(0)


def watch(
    marker: Path,
    pid: int,
    start: int,
    *,
    trial_s: float,
    restart: Callable[[dict[str, Any]], None] | None = None,
) -> bool:
    """Return whether the new version passed; what was left of the old one is gone then."""
    end = time.monotonic() + trial_s
    while True:
        note = read_marker(marker)
        if note.get("state") != "trial":
            for path in (note.get("previous", ""), marker):
                with contextlib.suppress(OSError):
                    Path(path).unlink()
            return True
        if not _lives(pid, start):
            _back_out(marker, note, "the new version ended at once", restart or _restart)
            return False
        if time.monotonic() > end:
            _end(pid, start)
            why = f"the new version reached no portal within {trial_s:.0f} s"
            _back_out(marker, note, why, restart or _restart)
            return False
        time.sleep(LOOK_S)


def _lives(pid: int, start: int) -> bool:
    stat = procfs.read_stat(pid)
    return stat is not None and stat.start == start and stat.state != procfs.ZOMBIE


def _end(pid: int, start: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.kill(pid, number)
        end = time.monotonic() + GRACE_S
        while _lives(pid, start) and time.monotonic() < end:
            time.sleep(LOOK_S)


def _back_out(
    marker: Path, note: dict[str, Any], why: str, restart: Callable[[dict[str, Any]], None]
) -> None:
    Path(note["previous"]).replace(note["target"])
    write_marker(marker, {**note, "state": "backed_out", "problem": f"{why}; the old one is back"})
    restart(note)


def _restart(note: dict[str, Any]) -> None:
    """Become the old agent, where nobody else starts it."""
    if not os.environ.get(SERVICE_MANAGER):
        os.execv(sys.executable, [sys.executable, note["target"], *note["arguments"]])  # noqa: S606
