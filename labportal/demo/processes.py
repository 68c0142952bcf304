"""The processes of the demo: started, watched, and ended together; __main__ alone calls this.

Each has a session of its own, so that Ctrl-C reaches the starter alone, which ends them in order.
"""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from labportal.embedded.files import alive, tail, write

END_SECONDS = 2.5
RESTARTS = 3  # of one process ...
RESTART_WINDOW_S = 60.0  # ... within this time; what ends more often cannot be helped by a start


class ProcessEnded(Exception):
    """One of the processes ends again and again; the message holds the end of its log."""


class Processes:
    def __init__(self, home: Path) -> None:
        self.logs = home / "logs"
        self.record = home / "processes.json"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {}
        self._restarts: dict[str, list[float]] = {}

    def end_left_over(self) -> None:
        """End what an earlier demo left when it was killed; a reused number is spared."""
        try:
            recorded = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        left = []
        for pid, began in recorded.values():
            try:
                process = psutil.Process(pid)
                if process.create_time() == began:
                    process.terminate()
                    left.append(process)
            except psutil.Error:
                continue
        deadline = time.monotonic() + END_SECONDS
        while any(map(alive, left)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in filter(alive, left):
            process.kill()
        self.record.unlink(missing_ok=True)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._commands[name] = (command, environment)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(  # noqa: S603 - commands of the demo itself
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self._record()

    def check(self) -> None:
        """Start again what has ended. Raise ProcessEnded where that did not help RESTARTS times."""
        for name, process in list(self.running.items()):
            if process.poll() is None:
                continue
            now = time.monotonic()
            recent = [t for t in self._restarts.get(name, ()) if now - t < RESTART_WINDOW_S]
            if len(recent) >= RESTARTS:
                raise ProcessEnded(
                    f"{name} ended with {process.returncode}:\n{tail(self.logs / f'{name}.log')}"
                )
            self._restarts[name] = [*recent, now]
            # Celery's pool would go on without its parent; each process has a group of its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            self.start(name, *self._commands[name])

    def end(self) -> None:
        """Ask all to end, wait END_SECONDS at most, then end them."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for process in self.running.values():
            try:
                process.wait(max(0.05, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_family(process.pid)
                process.wait()
        self.running.clear()
        self.record.unlink(missing_ok=True)

    def _record(self) -> None:
        known = {}
        for name, process in self.running.items():
            try:
                known[name] = (process.pid, psutil.Process(process.pid).create_time())
            except psutil.Error:
                continue
        write(self.record, json.dumps(known))


def _kill_family(pid: int) -> None:
    """Kill a process and its children (Celery's pool), which would go on without it."""
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.Error:
        return
    for process in family:
        try:
            process.kill()
        except psutil.Error:
            continue
