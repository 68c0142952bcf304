"""The marks and the shell text of a model that runs as a plain process.

One folder for each launch holds who started when, on which port, and with which exit code it ended,
so that a restarted agent knows as much as the one before it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from clusters.agent import procfs
from clusters.agent.procfs import Identity
from clusters.agent.schedulers import marks

PORT, KILLS, LIMIT, MEMORY, PLACE = "port", "oom-kills", "memory-limit", "too-much", "environment"
MARK = "LABPORTAL_LAUNCH"  # a variable by which processes are known that left their session

# The first to create the start marker runs the program, whoever was killed or came twice. SIGTERM
# goes to the program alone, as it goes to the first process of a container; a wait that it broke
# off may have taken the program's end in, whose code the next wait still tells. Out of memory, the
# kernel is to end models first, not the agent.
WRAPPER = r"""
asked=
trap 'asked=yes' TERM
trap : INT HUP QUIT XCPU USR1 USR2
control=$1 log=$2 data=$3
shift 3
ulimit -c 0
ulimit -d "$data"
read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/$$/stat
set -C
echo "$boot $stat" >"$control/started" || exit 125
set +C
echo 500 >/proc/self/oom_score_adj
"$@" </dev/null >>"$log" 2>&1 &
program=$!
trap 'kill -TERM "$program"' TERM
test -z "$asked" || kill -TERM "$program"
while :; do
    wait "$program"
    code=$?
    kill -0 "$program" 2>/dev/null || break
done
if test "$code" -gt 128; then
    wait "$program"
    again=$?
    test "$again" -eq 127 || code=$again
fi
echo "exit $code" >"$control/exit"
exit "$code"
"""


@dataclass(frozen=True)
class Session:
    """One launch by its folder of marks: `<replica>/<number>`."""

    control: Path

    @property
    def replica(self) -> str:
        return self.control.parent.name

    @property
    def mark(self) -> str:
        return f"{self.replica}:{self.control.name}"

    @property
    def identity(self) -> Identity | None:
        return marks.read_started(self.control)[0]

    @property
    def reference(self) -> str:
        found = self.identity
        return f"{found.pid}:{found.start}:{found.boot}" if found else ""

    @property
    def port(self) -> int:
        return self.number(PORT) or 0

    @property
    def code(self) -> int | None:
        return marks.read_exit(self.control)[0]

    def number(self, name: str) -> int | None:
        try:
            return int((self.control / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def write(self, name: str, text: str) -> None:
        """Write a mark, so that others see it whole. One that was deleted meanwhile stays so."""
        new = self.control / f"{name}.{threading.get_ident()}"
        with contextlib.suppress(FileNotFoundError):
            new.write_text(text, encoding="utf-8")
            new.replace(self.control / name)

    def members(self) -> list[procfs.Stat]:
        found = self.identity
        return procfs.session_members(found) if found else []

    def terminate(self) -> None:
        """Ask the program to end; without its shell, all that is left of it."""
        found = self.identity
        if found is not None and found.alive():
            _send(found.pid, signal.SIGTERM)
            return
        for stat in self.members():
            _send(stat.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End everything at once, also what has left the session."""
        for _ in range(3):  # what was being forked comes to light in the next round
            found = {stat.pid for stat in self.members()} | self._escaped()
            for pid in found:
                _send(pid, signal.SIGKILL)
            if not found:
                return

    def _escaped(self) -> set[int]:
        own, found, marked = os.getpid(), set(), f"{MARK}={self.mark}".encode()
        for entry in procfs.PROC.iterdir():
            if entry.name.isdigit() and int(entry.name) != own:
                with contextlib.suppress(OSError):  # ended, or another user's
                    if marked in (entry / "environ").read_bytes().split(b"\0"):
                        found.add(int(entry.name))
        return found


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
